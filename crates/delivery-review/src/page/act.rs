//! Buttons and forms of a merge request's page.

use super::{labels, names};
use crate::desk::{self, Edit};
use crate::merge::How;
use crate::talk::Say;
use crate::{Reviews, Side};
use kernel::{Error, Result, Text};
use naru_http::{Call, Response, found};

/// Does it, then goes back to the page.
pub(super) async fn act(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (project, number) = (call.project()?, desk::number(call.param("number")?)?);
    let (reviews, who) = (call.part::<Reviews>()?, call.who.clone());
    let text = |name: &str| form.get(name).filter(|w| !w.is_empty()).cloned();
    let yes = |name: &str| form.contains_key(name);
    let here = crate::record::address(&project, number);
    let back = text("tab").filter(|t| t == "changes").map(|t| format!("{here}?tab={t}"));
    match call.param("action")? {
        "approve" => drop(reviews.approve(&project, number, who).await?),
        "unapprove" => drop(reviews.unapprove(&project, number, who).await?),
        "close" => drop(reviews.close(&project, number, who).await?),
        "reopen" => drop(reviews.reopen(&project, number, who).await?),
        "merge-not" => drop(reviews.merge_not(&project, number, who).await?),
        "merge-later" => drop(reviews.merge_later(&project, number, who).await?),
        "merge" => {
            let how = How {
                squash: Some(yes("squash")),
                remove_source: Some(yes("remove_source")),
                message: None,
                head: text("head"),
                when_pipeline_succeeds: false,
            };
            reviews.merge(&project, number, how, &who).await?;
        }
        "comment" => {
            let say = Say {
                body: text("body").unwrap_or_default().replace("\r\n", "\n"),
                thread: text("thread"),
                path: text("path"),
                line: text("line").and_then(|l| l.parse().ok()),
                side: Some(if text("side").as_deref() == Some("old") {
                    Side::Old
                } else {
                    Side::New
                }),
            };
            let thread = reviews.comment(&project, number, say, who.clone()).await?;
            if yes("resolve") {
                reviews.resolve(&project, number, (thread.id, true), who).await?;
            }
        }
        action @ ("resolve" | "unresolve") => {
            let thread = text("thread").unwrap_or_default();
            reviews.resolve(&project, number, (thread, action == "resolve"), who).await?;
        }
        action @ ("ready" | "draft") => {
            let edit = Edit { draft: Some(action == "draft"), ..Edit::default() };
            reviews.edit(&project, number, edit, who).await?;
        }
        "edit" => {
            let edit = Edit {
                title: text("title"),
                description: form.get("description").map(|d| d.replace("\r\n", "\n")),
                labels: Some(labels(form.get("labels"))),
                assignees: Some(names(form.get("assignees"))?),
                reviewers: Some(names(form.get("reviewers"))?),
                ..Edit::default()
            };
            reviews.edit(&project, number, edit, who).await?;
        }
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                Text::fixed("a merge request cannot do that", "머지 요청에 그런 동작은 없습니다"),
            ));
        }
    }
    found(&back.unwrap_or(here))
}
