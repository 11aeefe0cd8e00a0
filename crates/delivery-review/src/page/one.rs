//! One merge request: conversation, commits, changes, pipelines.

use super::{branches, diff, person, pipeline_badge, state_badge};
use crate::kind::State;
use crate::{Blocker, MergeRequestView, Reviews, Side, Thread, desk, prose};
use kernel::diff::Difference;
use kernel::journey::Commit;
use kernel::{Principal, Result};
use maud::{Markup, html};
use naru_http::{Call, Response};
use web::widget::{self, Table, Tone};
use web::{Page, Reader};

pub(super) async fn show(call: Call) -> Result<Response> {
    let (project, number) = (call.project()?, desk::number(call.param("number")?)?);
    let reviews = call.part::<Reviews>()?;
    let view = reviews.show(&project, number, &call.who).await?;
    let record = reviews.need(&project, number).await?;
    let r = Reader::of(&call);
    let tab = call.query("tab").unwrap_or_default();
    let diff = reviews.difference(&record).await?;
    let body = match tab.as_str() {
        "commits" => commits(&r, &view, &reviews.commits(&record).await?),
        "changes" => {
            let side =
                if call.query("side").as_deref() == Some("old") { Side::Old } else { Side::New };
            let line = call.number("line")?.and_then(|l| usize::try_from(l).ok());
            let asked = call.query("path").zip(line).map(|(path, line)| (path, side, line));
            diff::draw(&r, &view, &diff, asked.as_ref())
        }
        "pipelines" => pipelines(&r, &view),
        _ => conversation(&r, &view, &diff, &call.who),
    };
    let page = Page::of(&project, "merge-requests", view.spec.title.clone())
        .bare()
        .crumb(project.as_str(), format!("/projects/{project}"))
        .crumb(r.t("Merge requests", "머지 요청"), format!("/projects/{project}/merge-requests"));
    Ok(web::page(&call, &page, html! { (top(&r, &view, &tab, &diff)) (body) }))
}

fn top(r: &Reader, view: &MergeRequestView, tab: &str, diff: &Difference) -> Markup {
    let (spec, status) = (&view.spec, &view.status);
    let known = ["commits", "changes", "pipelines"];
    let entry = |words: String, word: &'static str| {
        let open = tab == word || (word.is_empty() && !known.contains(&tab));
        let query = if word.is_empty() { String::new() } else { format!("?tab={word}") };
        (words, format!("{}{query}", view.address), open)
    };
    let items = [
        entry(format!("{} {}", r.t("Conversation", "대화"), status.comments), ""),
        entry(format!("{} {}", r.t("Commits", "커밋"), status.ahead), "commits"),
        entry(format!("{} {}", r.t("Changes", "변경 내용"), diff.files.len()), "changes"),
        entry(
            format!("{} {}", r.t("Pipelines", "파이프라인"), status.pipelines.len()),
            "pipelines",
        ),
    ];
    let items: Vec<(&str, String, bool)> =
        items.iter().map(|(w, a, o)| (w.as_str(), a.clone(), *o)).collect();
    html! {
        (widget::heading(
            html! { (spec.title) " " span.faint { "!" (view.number) } },
            state_badge(r, status.state, spec.draft),
            html! {
                a.tag href=(format!("/projects/{}/code/{}", view.project, spec.repository)) { (spec.repository) }
                (branches(&spec.source, &spec.target))
                span.soft { (person(&spec.author)) }
                @if let Some(at) = status.opened { span.soft { (widget::ago(r, at)) } }
                @for label in &spec.labels { span.tag { (label) } }
            },
            html! {},
        ))
        (widget::tabs(r.t("Merge request", "머지 요청"), &items))
    }
}

fn conversation(r: &Reader, view: &MergeRequestView, diff: &Difference, who: &Principal) -> Markup {
    let open = view.status.state == State::Opened;
    html! {
        @if !view.spec.description.trim().is_empty() {
            (widget::section("about", "", html! {}, html! { div.part-in { (prose::draw(&view.spec.description)) } }))
        }
        (merging(r, view, who))
        @if !view.threads.is_empty() {
            (widget::section("threads", r.t("Comments", "댓글"), html! {}, html! {
                @for t in &view.threads {
                    (thread(r, view, t, t.anchor.as_ref().is_some_and(|a| !a.holds(diff))))
                }
            }))
        }
        (widget::section("say", r.t("Comment", "댓글 달기"), html! {}, html! { div.part-in { (reply(r, view, &[], false)) } }))
        @if open { (edit(r, view)) }
    }
}

/// What is in the way, and the buttons.
fn merging(r: &Reader, view: &MergeRequestView, who: &Principal) -> Markup {
    let status = &view.status;
    let code = |commit: &str| {
        widget::commit(
            commit,
            Some(&format!(
                "/projects/{}/code/{}/commit/{commit}",
                view.project, view.spec.repository
            )),
        )
    };
    let pipeline = html! {
        @if let Some(p) = status.pipeline() {
            @match &p.run {
                Some(run) => a href=(format!("/projects/{}/runs/{run}", view.project)) { (pipeline_badge(r, p.state)) },
                None => (pipeline_badge(r, p.state)),
            }
            @if let Some(why) = &p.reason { " " span.soft { (why.get(r.lang)) } }
        } @else { span.soft { "–" } }
    };
    let approvals = html! {
        @for a in &status.approvals { span.tag { (person(&a.by)) } " " }
        @if view.rules.approvals > 0 { span.soft { (status.approvals.len()) " / " (view.rules.approvals) } }
        @else if status.approvals.is_empty() { span.soft { "–" } }
    };
    let facts = [
        (r.t("Pipeline", "파이프라인"), pipeline),
        (r.t("Approved by", "승인"), approvals),
        (r.t("Head", "최신 커밋"), html! { @if let Some(head) = &status.head { (code(head)) } }),
        (r.t("Behind", "뒤처짐"), html! { (status.behind) }),
    ];
    widget::section(
        "merge",
        r.t("Merging", "병합"),
        html! {},
        html! {
            (widget::facts(&facts))
            div.part-in.stack { @match status.state {
                State::Opened => (open(r, view, who)),
                State::Merged => @if let Some(m) = &status.merged {
                    (widget::flash(widget::State::Passed, &format!("{} {}", r.t("merged by", "병합한 사람:"), person(&m.by)), None))
                    p { (code(&m.commit)) " " (widget::ago(r, m.at)) }
                },
                State::Closed => {
                    @if let Some(why) = &status.reason { (widget::flash(widget::State::Skipped, why.get(r.lang), None)) }
                    (button(view, "reopen", r.t("Reopen", "다시 열기"), Tone::Plain))
                }
            } }
        },
    )
}

fn button(view: &MergeRequestView, action: &str, words: &str, tone: Tone) -> Markup {
    widget::post(&format!("{}/{action}", view.address), &[], html! { (words) }, tone)
}

fn open(r: &Reader, view: &MergeRequestView, who: &Principal) -> Markup {
    let status = &view.status;
    let approved = status.approvals.iter().any(|a| a.by == *who);
    let waits = !view.blockers.is_empty() && view.blockers.iter().all(Blocker::passes);
    html! {
        @if let Some(auto) = &status.auto_merge {
            (widget::flash(
                widget::State::Waiting,
                r.t("merges when its pipeline succeeds", "파이프라인이 성공하면 병합됩니다"),
                Some(&person(&auto.by)),
            ))
        } @else if let Some(why) = &status.reason {
            (widget::flash(widget::State::Warned, why.get(r.lang), Some(r.t("it did not merge by itself", "자동으로 병합하지 않았습니다"))))
        }
        @if view.blockers.is_empty() {
            (widget::flash(widget::State::Passed, r.t("It can be merged", "병합할 수 있습니다"), None))
        } @else {
            ul.reasons { @for b in &view.blockers {
                li { strong { (b.text().get(r.lang)) } " — " span.soft { (b.todo().get(r.lang)) } }
            } }
        }
        div.row {
            @if view.blockers.is_empty() { (merge_form(r, view)) }
            @if waits && status.auto_merge.is_none() {
                (button(view, "merge-later", r.t("Merge when the pipeline succeeds", "파이프라인 성공 시 병합"), Tone::Main))
            }
            @if status.auto_merge.is_some() {
                (button(view, "merge-not", r.t("Do not merge by itself", "자동 병합 취소"), Tone::Plain))
            }
            @if view.spec.author != *who {
                @if approved { (button(view, "unapprove", r.t("Take approval back", "승인 취소"), Tone::Plain)) }
                @else { (button(view, "approve", r.t("Approve", "승인"), Tone::Plain)) }
            }
            @if view.spec.draft { (button(view, "ready", r.t("Mark as ready", "준비됨으로 표시"), Tone::Plain)) }
            @else { (button(view, "draft", r.t("Make it a draft", "초안으로 바꾸기"), Tone::Plain)) }
            (button(view, "close", r.t("Close", "닫기"), Tone::Danger))
        }
    }
}

fn merge_form(r: &Reader, view: &MergeRequestView) -> Markup {
    let head = view.status.head.as_deref().unwrap_or_default();
    html! {
        form.filter method="post" action=(format!("{}/merge", view.address)) {
            input type="hidden" name="head" value=(head);
            button.button.main { (r.t("Merge", "병합")) }
            label { input type="checkbox" name="squash" value="yes" checked[view.spec.squash]; " " (r.t("squash", "하나로 합치기")) }
            label { input type="checkbox" name="remove_source" value="yes" checked[view.spec.remove_source]; " " (r.t("delete the branch", "브랜치 삭제")) }
        }
    }
}

/// What was said in one thread, and a way to answer.
pub(super) fn thread(r: &Reader, view: &MergeRequestView, t: &Thread, outdated: bool) -> Markup {
    let settled = t.resolved.is_some();
    html! {
        article.thread #(format!("t{}", t.id)) {
            @if let Some(a) = &t.anchor {
                div.sub {
                    code { (a.path) ":" (a.line) }
                    @if outdated { span.tag { (r.t("outdated", "지난 내용")) } }
                    @if let Some((by, _)) = &t.resolved { span.tag { (r.t("resolved by ", "해결: ")) (person(by)) } }
                }
                @if outdated { (widget::code_block(&a.text)) }
            }
            @for note in &t.notes {
                div.note {
                    p.sub { strong { (person(&note.by)) } " " (widget::ago(r, note.at)) }
                    (prose::draw(&note.body))
                }
            }
            @if t.anchor.is_some() {
                @let action = if settled { "unresolve" } else { "resolve" };
                @let words = if settled { r.t("Open again", "다시 열기") } else { r.t("Resolve", "해결") };
                (widget::post(&format!("{}/{action}", view.address), &[("thread", &t.id)], html! { (words) }, Tone::Plain))
            }
            @if !settled {
                details { summary { (r.t("Answer", "답하기")) } (reply(r, view, &[("thread", &t.id)], t.anchor.is_some())) }
            }
        }
    }
}

/// A field for words.
pub(super) fn reply(
    r: &Reader,
    view: &MergeRequestView,
    more: &[(&str, &str)],
    settles: bool,
) -> Markup {
    html! {
        form.fields method="post" action=(format!("{}/comment", view.address)) {
            @for (name, value) in more { input type="hidden" name=(name) value=(value); }
            textarea name="body" rows="4" required aria-label=(r.t("Comment, in Markdown", "댓글 (마크다운)"))
                placeholder=(r.t("Markdown: code blocks and links", "마크다운: 코드 블록과 링크")) {}
            @if settles { label { input type="checkbox" name="resolve" value="yes"; " " (r.t("and resolve", "해결로 표시")) } }
            button.button { (r.t("Comment", "댓글 달기")) }
        }
    }
}

fn edit(r: &Reader, view: &MergeRequestView) -> Markup {
    let spec = &view.spec;
    let join = |names: &[kernel::Name]| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    widget::section(
        "edit",
        "",
        html! {},
        html! {
            details.part-in {
                summary { (r.t("Edit", "고치기")) }
                form.fields method="post" action=(format!("{}/edit", view.address)) {
                    label for="title" { (r.t("Title", "제목")) }
                    input #title type="text" name="title" value=(spec.title) maxlength="255" required;
                    label for="description" { (r.t("Description", "설명")) }
                    textarea #description name="description" rows="8" { "\n" (spec.description) }
                    label for="labels" { (r.t("Labels", "레이블")) }
                    input #labels type="text" name="labels" value=(spec.labels.join(", "));
                    label for="assignees" { (r.t("Assignees", "담당자")) }
                    input #assignees type="text" name="assignees" value=(join(&spec.assignees));
                    label for="reviewers" { (r.t("Reviewers", "리뷰어")) }
                    input #reviewers type="text" name="reviewers" value=(join(&spec.reviewers));
                    button.button { (r.t("Save", "저장")) }
                }
            }
        },
    )
}

fn commits(r: &Reader, view: &MergeRequestView, all: &[Commit]) -> Markup {
    let heads = vec![
        ("", r.t("Commit", "커밋").to_owned()),
        ("grow", r.t("Subject", "제목").to_owned()),
        ("wide", r.t("Author", "작성자").to_owned()),
        ("", r.t("When", "언제").to_owned()),
    ];
    let row = |c: &Commit| {
        let code =
            format!("/projects/{}/code/{}/commit/{}", view.project, view.spec.repository, c.id);
        let change = kernel::journey::change_name(&view.spec.repository, &c.id);
        let cells = vec![
            widget::commit(&c.id, Some(&code)),
            html! {
                @match change {
                    Some(change) => a href=(format!("/projects/{}/changes/{change}", view.project)) { (c.subject) },
                    None => (c.subject),
                }
            },
            html! { (c.author) },
            widget::ago(r, c.committed),
        ];
        (Some(code), cells)
    };
    widget::section(
        "commits",
        "",
        html! {},
        widget::table(&Table { heads, rows: all.iter().map(row).collect() }),
    )
}

fn pipelines(r: &Reader, view: &MergeRequestView) -> Markup {
    if view.status.pipelines.is_empty() {
        return html! { p.plot-none { (r.t("no pipeline yet", "아직 파이프라인이 없습니다")) } };
    }
    let heads = vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Of", "대상").to_owned()),
        ("", r.t("Commit", "커밋").to_owned()),
        ("", r.t("When", "언제").to_owned()),
    ];
    let row = |p: &crate::Pipeline| {
        let run = p.run.as_ref().map(|run| format!("/projects/{}/runs/{run}", view.project));
        let of = if p.detached {
            r.t("merge request", "머지 요청")
        } else {
            r.t("branch", "브랜치")
        };
        let cells = vec![
            pipeline_badge(r, p.state),
            html! {
                @match &run { Some(run) => a href=(run) { (of) }, None => (of) }
                @if let Some(why) = &p.reason { div.sub.reason { (why.get(r.lang)) } }
            },
            widget::commit(&p.commit, None),
            widget::ago(r, p.at),
        ];
        (run, cells)
    };
    let rows = view.status.pipelines.iter().map(row).collect();
    widget::section("pipelines", "", html! {}, widget::table(&Table { heads, rows }))
}
