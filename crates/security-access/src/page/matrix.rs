//! People and groups by actions.

use kernel::Result;
use maud::{Markup, html};
use naru_http::{Call, Response};
use policy::{Action, Decision, Matrix, MatrixRow, Reason, Subject, Target};
use web::widget::{self, State, Table};
use web::{Page, Reader, icon};

pub(super) async fn show(call: Call) -> Result<Response> {
    let project = call.project()?;
    let matrix = call.site.policy.matrix(&project).await?;
    let r = Reader::of(&call);
    let page = Page::of(&project, "access", r.t("Access", "권한")).bare();
    let about = html! { (r.t(
        "Roles, groups, policies and grants together, as every request is decided",
        "역할, 그룹, 정책, 임시 권한을 모두 합친 실제 판단 결과입니다",
    )) };
    let whole = Target::project(&project);
    let owner = call.site.policy.can(&call.who, Action::ProjectAdminister, &whole).await;
    let programs = html! {
        @if owner {
            a.button href=(format!("/projects/{project}/service-accounts")) { (r.t("Service accounts", "서비스 계정")) }
        }
    };
    let body = html! {
        (widget::heading(html! { (r.t("Access", "권한")) }, html! {}, about, programs))
        (super::tabs(&r, &project, "access"))
        (widget::section("matrix", "", html! {}, draw(&r, &matrix)))
        (legend(&r))
    };
    Ok(web::page(&call, &page, body))
}

pub(super) fn draw(r: &Reader, matrix: &Matrix) -> Markup {
    if matrix.rows.is_empty() {
        return widget::empty(
            r,
            r.t("Nobody is a member", "구성원이 없습니다"),
            r.t(
                "Members are users, groups and service accounts with a role, in the project's spec",
                "구성원은 프로젝트 spec에 역할과 함께 적힌 사용자, 그룹, 서비스 계정입니다",
            ),
            &["naru apply -f project.yaml"],
        );
    }
    let head = |action: &Action| ("mark", action.name().replace('.', " "));
    let mut heads = vec![("grow", r.t("Who", "누구").to_owned())];
    heads.extend(matrix.actions.iter().map(head));
    let rows = matrix.rows.iter().map(|row| (None, cells(r, row, &matrix.actions)));
    widget::table(&Table { heads, rows: rows.collect() })
}

fn cells(r: &Reader, row: &MatrixRow, actions: &[Action]) -> Vec<Markup> {
    let (sort, name) = match &row.who {
        Subject::User(name) => (r.t("user", "사용자"), name),
        Subject::Group(name) => (r.t("group", "그룹"), name),
        Subject::Service(name) => (r.t("service account", "서비스 계정"), name),
    };
    let mut cells = vec![html! { strong { (name) } " " span.soft { (sort) } }];
    cells.extend(row.cells.iter().zip(actions).map(|(d, action)| cell(r, d, *action)));
    cells
}

fn cell(r: &Reader, decision: &Decision, action: Action) -> Markup {
    let because = decision.text();
    let words = format!("{}: {}", action.words(r.lang), because.get(r.lang));
    let second = |reason: &Reason| matches!(reason, Reason::SecondPerson { .. });
    let state = match decision.allow {
        true => State::Passed,
        false if decision.because.iter().any(second) => State::Waiting,
        false => return html! { span.faint title=(words) aria-label=(words) role="img" { "–" } },
    };
    let picture = if state == State::Passed { icon::check() } else { icon::clock() };
    html! { span.pip.(state.class()) title=(words) aria-label=(words) role="img" { (picture) } }
}

fn legend(r: &Reader) -> Markup {
    html! {
        p.soft {
            span.pip.is-passed { (icon::check()) } " " (r.t("may", "가능")) " · "
            span.pip.is-waiting { (icon::clock()) } " " (r.t("with a second person's approval", "다른 사람의 승인 필요")) " · "
            "– " (r.t("may not", "불가")) ". "
            (r.t("Point at a mark to see why", "표시에 마우스를 올리면 까닭이 보입니다"))
        }
    }
}
