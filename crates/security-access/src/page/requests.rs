//! Asking for rights, and deciding about what others ask.

use crate::api::{Wish, verb};
use kernel::{Principal, Resource, Result};
use maud::{Markup, html};
use naru_http::{Call, Response, found};
use policy::{Action, Given, Grant, GrantStatus, Phase, PlatformRole, Role, Subject, Target};
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

/// One request or grant as the page shows it.
pub(super) struct Shown {
    pub id: String,
    pub grant: Grant,
    pub status: GrantStatus,
    /// The reader may approve or deny it.
    pub decides: bool,
    /// The reader may take it back.
    pub revokes: bool,
}

pub(super) async fn show(call: Call) -> Result<Response> {
    let all = read(&call).await?;
    let project = call.query("project").and_then(|p| kernel::Name::parse(&p).ok());
    let visible = match &project {
        Some(p) => call.site.policy.can(&call.who, Action::ProjectView, &Target::project(p)).await,
        None => false,
    };
    let project = project.filter(|_| visible);
    let r = Reader::of(&call);
    let title = r.t("Access requests", "권한 요청");
    let page = match &project {
        Some(project) => Page::of(project, "access", title).bare(),
        None => Page { title: title.to_owned(), bare: true, ..Page::default() },
    };
    let about = html! { (r.t(
        "A right for a time: somebody else approves it, and it ends by itself",
        "정해진 시간 동안만 쓰는 권한입니다. 다른 사람이 승인하고, 시간이 지나면 저절로 끝납니다",
    )) };
    let glass =
        call.site.policy.can(&call.who, Action::AccessBreakGlass, &Target::platform()).await;
    let on = project.as_ref().map(|p| format!("project/{p}"));
    let body = html! {
        (widget::heading(html! { (title) }, html! {}, about, html! {}))
        @if let Some(project) = &project { (super::tabs(&r, project, "requests")) }
        (widget::section("ask", r.t("Ask", "요청하기"), html! {}, form(&r, on.as_deref().unwrap_or(""), glass)))
        (lists(&r, &all))
    };
    Ok(web::page(&call, &page, body))
}

async fn read(call: &Call) -> Result<Vec<Shown>> {
    let policy = &call.site.policy;
    let wanted = call.query("project");
    let mut all = Vec::new();
    for resource in policy.requests(&call.who).await?.into_iter().take(500) {
        let one = shown(call, &resource).await?;
        let here = one.grant.on.project_name().map(ToString::to_string);
        if wanted.is_none() || wanted == here {
            all.push(one);
        }
    }
    Ok(all)
}

async fn shown(call: &Call, resource: &Resource) -> Result<Shown> {
    let (grant, status) = (resource.spec::<Grant>()?, resource.status::<Grant>()?);
    let open = matches!(status.phase, Phase::Requested | Phase::Active);
    let own = status.asked_by.as_ref() == Some(&call.who)
        || Subject::of(&call.who).as_ref() == Some(&grant.to);
    let on = grant.on.project_name().map_or_else(Target::platform, Target::project);
    let approver = open && call.site.policy.can(&call.who, Action::AccessApprove, &on).await;
    let person = matches!(call.who, Principal::User(_));
    Ok(Shown {
        id: resource.key.name.to_string(),
        decides: status.phase == Phase::Requested && approver && !own && person,
        revokes: open && (own || approver),
        grant,
        status,
    })
}

pub(super) async fn ask(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let wish = Wish {
        what: field("what"),
        on: field("on"),
        reason: field("reason"),
        lasts: field("lasts"),
        to: String::new(),
        second_person: field("how") == "second-person",
    };
    let wanted = wish.read()?;
    match field("how").as_str() {
        "break-glass" => call.site.policy.break_glass(&call.who, wanted).await?,
        _ => call.site.policy.request(&call.who, wanted).await?,
    };
    found("/access")
}

pub(super) async fn decide(mut call: Call) -> Result<Response> {
    let (id, verb) = (call.name("request")?, verb(call.param("verb")?)?);
    let form = call.form().await?;
    let remark = form.get("remark").map_or("", String::as_str);
    call.site.policy.decide_request(&call.who, &id, verb, remark).await?;
    found("/access")
}

const LASTS: [(&str, &str, &str); 5] = [
    ("30m", "30 minutes", "30분"),
    ("1h", "an hour", "1시간"),
    ("4h", "4 hours", "4시간"),
    ("1d", "a day", "하루"),
    ("7d", "a week", "일주일"),
];

pub(super) fn form(r: &Reader, on: &str, glass: bool) -> Markup {
    let roles = Role::ALL.map(|role| (role.name(), role.text()));
    let platform = PlatformRole::ALL.map(|role| (role.name(), role.text()));
    let actions = Action::ALL.map(|action| (action.name(), action.text()));
    let group = |label: &str, all: &[(&str, kernel::Text)]| {
        html! { optgroup label=(label) {
            @for (name, words) in all {
                @let words = words.get(r.lang);
                option value=(name) { (name) @if words != *name { " – " (words) } }
            }
        } }
    };
    html! {
        form.filter.part-in method="post" action="/access" {
            label for="what" { (r.t("What", "권한")) }
            select #what name="what" {
                (group(r.t("Roles of a project", "프로젝트 역할"), &roles))
                (group(r.t("Roles of the platform", "플랫폼 역할"), &platform))
                (group(r.t("Actions", "동작"), &actions))
            }
            label for="on" { (r.t("On", "대상")) }
            input #on type="text" name="on" value=(on) required maxlength="300"
                placeholder="project/shop, environment/shop/production, platform";
            label for="lasts" { (r.t("for", "기간")) }
            select #lasts name="lasts" {
                @for (value, en, ko) in LASTS {
                    option value=(value) selected[value == "1h"] { (r.t(en, ko)) }
                }
            }
            label for="reason" { (r.t("Why", "이유")) }
            input #reason type="text" name="reason" required minlength="3" maxlength="500"
                placeholder=(r.t("what you need it for", "무엇에 필요한지"));
            div.row {
                button.button.main name="how" value="ask" { (r.t("Ask", "요청")) }
                button.button name="how" value="second-person"
                    title=(r.t("Ask for the approval that an action takes beside the right itself", "권한과 별도로 필요한 승인을 요청합니다")) {
                    (r.t("Ask for approval", "승인 요청"))
                }
                @if glass {
                    button.button.danger name="how" value="break-glass"
                        title=(r.t("At once, without approval; every administrator sees it", "승인 없이 바로 얻습니다. 모든 관리자에게 보입니다")) {
                        (r.t("Break the glass", "비상 권한"))
                    }
                }
            }
        }
    }
}

pub(super) fn lists(r: &Reader, all: &[Shown]) -> Markup {
    let of = |so: &dyn Fn(&Shown) -> bool| all.iter().filter(|s| so(s)).collect::<Vec<_>>();
    let waiting = of(&|s| s.status.phase == Phase::Requested);
    let active = of(&|s| s.status.phase == Phase::Active);
    let over = of(&|s| !matches!(s.status.phase, Phase::Requested | Phase::Active));
    let over = over.into_iter().take(50).collect::<Vec<_>>();
    html! {
        (widget::section("waiting", r.t("Waiting for a decision", "결정을 기다리는 요청"), html! {}, table(r, &waiting)))
        (widget::section("active", r.t("In force", "지금 유효한 권한"), html! {}, table(r, &active)))
        @if !over.is_empty() {
            (widget::section("over", r.t("Over", "끝난 것"), html! {}, table(r, &over)))
        }
    }
}

fn table(r: &Reader, all: &[&Shown]) -> Markup {
    if all.is_empty() {
        return html! { p.plot-none { (r.t("none", "없습니다")) } };
    }
    let heads = vec![
        ("", r.t("State", "상태").to_owned()),
        ("grow", r.t("Who, what and why", "누구의 어떤 권한, 이유").to_owned()),
        ("wide", r.t("Until", "기한").to_owned()),
        ("num", String::new()),
    ];
    let rows = all.iter().map(|one| (None, row(r, one)));
    widget::table(&Table { heads, rows: rows.collect() })
}

fn row(r: &Reader, one: &Shown) -> Vec<Markup> {
    let (grant, status) = (&one.grant, &one.status);
    let (state, words) = phase(r, status.phase, grant.broken_glass);
    let decided = status.decided_by.as_ref().map(ToString::to_string);
    let place = |verb: &str| format!("/access/{}/{verb}", one.id);
    vec![
        widget::badge(r, state, Some(words)),
        html! {
            div { strong { (grant.to) } " " (what(r, grant.give)) " " span.soft { (grant.on) } }
            div.soft {
                (grant.reason)
                @if let Some(by) = decided { " · " (by) @if !status.remark.is_empty() { ": " (status.remark) } }
            }
        },
        widget::ago_or_dash(r, status.until),
        html! {
            @if one.decides {
                (widget::post(&place("approve"), &[], html! { (r.t("Approve", "승인")) }, Tone::Main))
                (widget::post(&place("deny"), &[], html! { (r.t("Deny", "거절")) }, Tone::Plain))
            } @else if one.revokes {
                (widget::post(&place("revoke"), &[], html! { (r.t("Revoke", "회수")) }, Tone::Danger))
            }
        },
    ]
}

fn what(r: &Reader, give: Given) -> String {
    give.text().get(r.lang).to_owned()
}

fn phase(r: &Reader, phase: Phase, broken: bool) -> (State, &str) {
    match phase {
        Phase::Requested => (State::Waiting, r.t("asked", "요청됨")),
        Phase::Active if broken => (State::Failed, r.t("broken glass", "비상 권한")),
        Phase::Active => (State::Live, r.t("in force", "유효")),
        Phase::Denied => (State::Canceled, r.t("denied", "거절됨")),
        Phase::Revoked => (State::Canceled, r.t("revoked", "회수됨")),
        Phase::Expired => (State::Skipped, r.t("over", "만료")),
    }
}
