//! Service accounts: programs with accounts of their own. They have tokens, and no password.
//!
//! Administrators look after all of them, owners of a project after their project's, on the same pages below another
//! address. What an owner makes a token for is the project and nothing else, whatever else the account is a member of.

use crate::people::look::{Found, look};
use crate::people::{onward, search, sections_tabs};
use crate::sign_in::field;
use crate::{fresh, me, shown, token};
use account::{ServiceAccount, TokenView};
use http::StatusCode;
use kernel::{Error, Key, Kind, Name, Principal, Resource, Result, text};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, empty, found, json, json_status};
use policy::Permission;
use serde::Deserialize;
use serde_json::json;
use store::Put;
use web::widget::{self, State, Table, Tone};
use web::{Page, Reader};

const PAGE: usize = 50;

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/service-accounts",
        Access::Platform,
        ("page: service accounts", "페이지: 서비스 계정"),
        |c| Box::pin(show_all(c)),
    ),
    Route::post(
        "/service-accounts",
        Access::Platform,
        ("page: make a service account", "페이지: 서비스 계정 생성"),
        |c| Box::pin(create(c)),
    ),
    Route::get(
        "/service-accounts/{account}",
        Access::Platform,
        ("page: a service account", "페이지: 서비스 계정"),
        |c| Box::pin(show(c)),
    ),
    Route::post(
        "/service-accounts/{account}/{action}",
        Access::Platform,
        (
            "page: disable, enable, make or revoke a token",
            "페이지: 비활성화, 활성화, 토큰 생성·폐기",
        ),
        |c| Box::pin(act(c)),
    ),
    Route::get(
        "/projects/{project}/service-accounts",
        OWNER,
        ("page: service accounts of a project", "페이지: 프로젝트의 서비스 계정"),
        |c| Box::pin(show_all(c)),
    ),
    Route::post(
        "/projects/{project}/service-accounts",
        OWNER,
        ("page: make a service account of a project", "페이지: 프로젝트의 서비스 계정 생성"),
        |c| Box::pin(create(c)),
    ),
    Route::get(
        "/projects/{project}/service-accounts/{account}",
        OWNER,
        ("page: a service account of a project", "페이지: 프로젝트의 서비스 계정 하나"),
        |c| Box::pin(show(c)),
    ),
    Route::post(
        "/projects/{project}/service-accounts/{account}/{action}",
        OWNER,
        (
            "page: disable, enable, make or revoke a token",
            "페이지: 비활성화, 활성화, 토큰 생성·폐기",
        ),
        |c| Box::pin(act(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/service-accounts",
        OWNER,
        ("service accounts of a project", "프로젝트의 서비스 계정"),
        |c| Box::pin(api_list(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/service-accounts",
        OWNER,
        ("make a service account (`name`, `title`)", "서비스 계정 생성 (`name`, `title`)"),
        |c| Box::pin(api_create(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/service-accounts/{account}/{action}",
        OWNER,
        ("disable or enable a service account", "서비스 계정 비활성화·활성화"),
        |c| Box::pin(api_switch(c)),
    ),
    Route::get(
        "/api/v1/projects/{project}/service-accounts/{account}/tokens",
        OWNER,
        ("its tokens", "서비스 계정의 토큰"),
        |c| Box::pin(api_tokens(c)),
    ),
    Route::post(
        "/api/v1/projects/{project}/service-accounts/{account}/tokens",
        OWNER,
        (
            "make a token for the project; its text is in this answer alone",
            "프로젝트용 토큰 생성. 원문은 이 응답에만 있습니다",
        ),
        |c| Box::pin(api_token(c)),
    ),
    Route::delete(
        "/api/v1/projects/{project}/service-accounts/{account}/tokens/{token}",
        OWNER,
        ("revoke one of its tokens", "서비스 계정의 토큰 폐기"),
        |c| Box::pin(api_revoke(c)),
    ),
];

const OWNER: Access = Access::Project(Permission::Administer);

/// The project whose owner is asking; `None` for an administrator's pages.
fn within(call: &Call) -> Result<Option<Name>> {
    call.param("project").ok().map(Name::parse).transpose()
}

/// Where the pages are.
fn base(project: Option<&Name>) -> String {
    match project {
        Some(project) => format!("/projects/{project}/service-accounts"),
        None => "/service-accounts".to_owned(),
    }
}

pub(crate) fn unknown(name: &Name) -> Error {
    Error::not_found(
        "service-account.unknown",
        text!("there is no service account {name}", "{name} 서비스 계정이 없습니다"),
    )
    .hint(text!(
        "`naru service-account create {name}` makes one",
        "`naru service-account create {name}`로 만드세요"
    ))
}

async fn show_all(call: Call) -> Result<Response> {
    let words = call.query("q").unwrap_or_default();
    let project = within(&call)?;
    let all = match &project {
        Some(project) => Found { items: of_project(&call, project).await?, after: None },
        None => look(&call, "ServiceAccount", PAGE).await?,
    };
    let r = Reader::of(&call);
    let title = r.t("Service accounts", "서비스 계정").to_owned();
    let page = page_of(project.as_ref(), title);
    Ok(web::page(&call, &page, draw_all(&r, project.as_ref(), &all, &words)))
}

fn page_of(project: Option<&Name>, title: String) -> Page {
    match project {
        Some(project) => Page::of(project, "access", title),
        None => Page { title, bare: true, ..Page::default() },
    }
}

/// The service accounts that belong to a project, by name.
async fn of_project(call: &Call, project: &Name) -> Result<Vec<Resource>> {
    let names = call.site.accounts.services_of(project);
    let read = move |v: &store::View<'_>| {
        let found = names.into_iter().map(|name| v.resource(&Key::global::<ServiceAccount>(&name)));
        found.filter_map(Result::transpose).collect::<Result<Vec<Resource>>>()
    };
    call.site.store.read(read).await
}

fn standing(r: &Reader, disabled: bool) -> Markup {
    match disabled {
        true => widget::badge(r, State::Canceled, Some(r.t("disabled", "비활성"))),
        false => widget::badge(r, State::Passed, Some(r.t("active", "활성"))),
    }
}

fn project(account: &ServiceAccount) -> Markup {
    html! {
        @match &account.project {
            Some(p) => a href=(format!("/projects/{p}")) { (p) },
            None => span.faint { "–" },
        }
    }
}

pub(crate) fn draw_all(r: &Reader, owner: Option<&Name>, all: &Found, words: &str) -> Markup {
    let here = base(owner);
    let heads = vec![
        ("", r.t("Name", "이름").to_owned()),
        ("grow", r.t("What for", "용도").to_owned()),
        ("", r.t("Project", "프로젝트").to_owned()),
        ("", r.t("State", "상태").to_owned()),
    ];
    let row = |found: &Resource| {
        let account: ServiceAccount = found.spec().unwrap_or_default();
        let address = format!("{here}/{}", found.key.name);
        let cells = vec![
            html! { a href=(address) { strong { (found.key.name) } } },
            html! { (account.title) },
            project(&account),
            standing(r, account.disabled),
        ];
        (Some(address), cells)
    };
    html! {
        (widget::heading(html! { (r.t("Service accounts", "서비스 계정")) }, html! {}, html! {}, html! {
            @if owner.is_none() { (search(r, "/service-accounts", words)) }
        }))
        @if owner.is_none() { (sections_tabs(r, "/service-accounts")) }
        (widget::section("accounts", "", html! {}, html! {
            @if all.items.is_empty() { p.plot-none { (r.t("none yet", "아직 없습니다")) } }
            @else { (widget::table(&Table { heads, rows: all.items.iter().map(row).collect() })) }
            (onward(r, "/service-accounts", words, all.after.as_ref()))
        }))
        (widget::section("new", r.t("New service account", "새 서비스 계정"), html! {}, html! {
            form.filter.part-in method="post" action=(here) {
                label for="name" { (r.t("Name", "이름")) }
                input #name name="name" type="text" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" autocapitalize="none"
                    title=(r.t("lower-case letters, digits and inner hyphens", "소문자, 숫자, 가운데 붙임표"));
                label for="title" { (r.t("what for", "용도")) }
                input #title name="title" type="text" maxlength="200";
                @if owner.is_none() {
                    label for="project" { (r.t("of project", "프로젝트")) }
                    input #project name="project" type="text" maxlength="63" autocapitalize="none";
                }
                button.button.main { (r.t("Make", "만들기")) }
            }
        }))
    }
}

async fn create(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let name = Name::parse(field(&form, "name"))?;
    let owner = within(&call)?;
    let project = match &owner {
        Some(project) => Some(project.clone()),
        None => {
            let named = Some(field(&form, "project")).filter(|p| !p.is_empty());
            named.map(Name::parse).transpose()?
        }
    };
    let account =
        ServiceAccount { title: field(&form, "title").to_owned(), project, ..Default::default() };
    put(&call, &name, account, Some(0)).await?;
    found(&format!("{}/{name}", base(owner.as_ref())))
}

async fn put(
    call: &Call,
    name: &Name,
    account: ServiceAccount,
    expected: Option<u64>,
) -> Result<()> {
    account.check()?;
    let spec = serde_json::to_value(account).map_err(Error::internal)?;
    let key = Key::global::<ServiceAccount>(name);
    let (actor, accounts) = (call.who.clone(), call.site.accounts.clone());
    call.site
        .store
        .write(move |tx| {
            let labels = tx.resource(&key)?.map(|r| r.labels).unwrap_or_default();
            accounts.put(tx, Put { key, labels, spec, expected, actor }).map(drop)
        })
        .await
}

async fn one(call: &Call) -> Result<(Name, ServiceAccount)> {
    let name = call.name("account")?;
    let key = Key::global::<ServiceAccount>(&name);
    let found = call.site.store.read(move |v| v.resource(&key)).await?;
    let account: ServiceAccount = found.ok_or_else(|| unknown(&name))?.spec()?;
    match within(call)? {
        // Another project's is not there for this one's owner.
        Some(project) if account.project.as_ref() != Some(&project) => Err(unknown(&name)),
        _ => Ok((name, account)),
    }
}

async fn show(call: Call) -> Result<Response> {
    page(&call, None).await
}

async fn page(call: &Call, fresh: Option<&str>) -> Result<Response> {
    let (name, account) = one(call).await?;
    let tokens = call.site.accounts.tokens(&Principal::Service(name.clone())).await?;
    let owner = within(call)?;
    let r = Reader { address: format!("{}/{name}", base(owner.as_ref())), ..Reader::of(call) };
    let page = page_of(owner.as_ref(), name.to_string());
    Ok(web::page(call, &page, draw(&r, owner.as_ref(), (&name, &account), &tokens, fresh)))
}

pub(crate) fn draw(
    r: &Reader,
    owner: Option<&Name>,
    (name, account): (&Name, &ServiceAccount),
    tokens: &[TokenView],
    fresh: Option<&str>,
) -> Markup {
    let (action, words) = match account.disabled {
        true => ("enable", r.t("Enable", "활성화")),
        false => ("disable", r.t("Disable", "비활성화")),
    };
    let tone = if account.disabled { Tone::Plain } else { Tone::Danger };
    let below = html! { span { (account.title) } span { (r.t("project", "프로젝트")) " " (project(account)) } };
    let here = format!("{}/{name}", base(owner));
    html! {
        (widget::heading(
            html! { (name) }, standing(r, account.disabled), below,
            widget::post(&format!("{here}/{action}"), &[], html! { (words) }, tone),
        ))
        @if owner.is_none() { (sections_tabs(r, "/service-accounts")) }
        @if let Some(token) = fresh {
            (shown::secret(r, r.t("Made. Keep it now: it is not shown again", "만들었습니다. 지금 보관하세요. 다시 보여 주지 않습니다"), token))
        }
        (widget::section("new", r.t("New token", "새 토큰"), html! {}, me::tokens::form(r, &format!("{here}/token"))))
        (widget::section("tokens", r.t("Tokens", "토큰"), html! {}, me::tokens::list_of(r, tokens, |t| format!("{here}/revoke?token={t}"))))
    }
}

async fn act(mut call: Call) -> Result<Response> {
    let (name, mut account) = one(&call).await?;
    let owner = within(&call)?;
    let here = format!("{}/{name}", base(owner.as_ref()));
    if let Some(detour) = fresh::detour(&call, &here) {
        return detour;
    }
    let who = Principal::Service(name.clone());
    match call.param("action")?.to_owned().as_str() {
        action @ ("disable" | "enable") => {
            account.disabled = action == "disable";
            put(&call, &name, account, None).await?;
            found(&here)
        }
        "token" => {
            let form = call.form().await?;
            let mut wanted = token::Wanted::of_form(&form)?;
            if let Some(project) = owner {
                wanted.confine(project);
            }
            let made = token::make(&call, who, wanted).await?;
            page(&call, Some(&made)).await
        }
        "revoke" => {
            let token = Name::parse(&call.query("token").unwrap_or_default())?;
            call.site.accounts.revoke_token(&who, &token, call.who.clone()).await?;
            found(&here)
        }
        _ => Err(Error::not_found(
            "action.unknown",
            kernel::Text::fixed("there is no such action", "그런 동작은 없습니다"),
        )),
    }
}

async fn api_list(call: Call) -> Result<Response> {
    json(&json!({ "items": of_project(&call, &call.project()?).await? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: Name,
    #[serde(default)]
    title: String,
}

async fn api_create(mut call: Call) -> Result<Response> {
    let New { name, title } = call.json().await?;
    let account = ServiceAccount { title, project: Some(call.project()?), ..Default::default() };
    put(&call, &name, account, Some(0)).await?;
    json_status(StatusCode::CREATED, &json!({ "name": name }))
}

async fn api_switch(call: Call) -> Result<Response> {
    let (name, mut account) = one(&call).await?;
    account.disabled = match call.param("action")? {
        "disable" => true,
        "enable" => false,
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                kernel::Text::fixed("there is no such action", "그런 동작은 없습니다"),
            ));
        }
    };
    put(&call, &name, account, None).await?;
    json(&json!({ "name": name }))
}

async fn api_tokens(call: Call) -> Result<Response> {
    let (name, _) = one(&call).await?;
    json(&json!({ "items": call.site.accounts.tokens(&Principal::Service(name)).await? }))
}

async fn api_token(mut call: Call) -> Result<Response> {
    let mut wanted: token::Wanted = call.json().await?;
    let (name, _) = one(&call).await?;
    wanted.confine(call.project()?);
    let called = wanted.name().clone();
    let token = token::make(&call, Principal::Service(name), wanted).await?;
    json_status(StatusCode::CREATED, &json!({ "name": called, "token": token }))
}

async fn api_revoke(call: Call) -> Result<Response> {
    let (name, _) = one(&call).await?;
    let (who, token) = (Principal::Service(name), call.name("token")?);
    call.site.accounts.revoke_token(&who, &token, call.who.clone()).await?;
    Ok(empty())
}
