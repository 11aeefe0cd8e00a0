//! Pages of those who look after applications: all of them, one, its secret and who is signed in to it.

use crate::api::{merged, overlap, rotated};
use crate::kind::{Application, Grants, Proof, SCOPES};
use crate::manage::{ApplicationView, SignIn};
use crate::{Sso, page::ask};
use kernel::{Error, Name, Result, Text};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use web::Reader;
use web::widget::{self, State, Table, Tone};

const HERE: &str = "/applications";

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        HERE,
        Access::SignedIn,
        ("page: applications", "페이지: 애플리케이션"),
        |c| Box::pin(show_all(c)),
    ),
    Route::post(
        HERE,
        Access::SignedIn,
        ("page: make an application", "페이지: 애플리케이션 생성"),
        |c| Box::pin(create(c)),
    ),
    Route::post(
        "/application-keys",
        Access::Platform,
        ("page: sign with new keys", "페이지: 새 키로 서명"),
        |c| Box::pin(keys(c)),
    ),
    Route::get(
        "/applications/{application}",
        Access::SignedIn,
        ("page: an application", "페이지: 애플리케이션"),
        |c| Box::pin(show(c)),
    ),
    Route::post(
        "/applications/{application}/{action}",
        Access::SignedIn,
        (
            "page: change an application, its secret, its sign-ins, or remove it",
            "페이지: 애플리케이션 변경, 비밀 값, 로그인 종료, 제거",
        ),
        |c| Box::pin(act(c)),
    ),
];

type Form = BTreeMap<String, String>;

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", |v| v.trim())
}

/// Where to prove once more who one is, and from there back; `None` when that was of late.
fn detour(call: &Call, back: &str) -> Option<Result<Response>> {
    let fresh = call.credential.is_fresh(call.site.store.now());
    (!fresh).then(|| found(&format!("/sign-in/again?back={}", web::segment(back))))
}

async fn show_all(call: Call) -> Result<Response> {
    let all = call.part::<Sso>()?.looked_after(&call).await?;
    let administers = call.site.policy.administers(&call.who);
    let r = Reader::of(&call);
    let title = r.t("Applications", "애플리케이션");
    Ok(ask::framed(&call, title, draw_all(&r, &all, administers)))
}

pub(crate) fn draw_all(r: &Reader, all: &[ApplicationView], administers: bool) -> Markup {
    let about = html! { (r.t(
        "What people sign in to with their naru account",
        "사람들이 naru 계정으로 로그인하는 곳",
    )) };
    let heads = vec![
        ("grow", r.t("Application", "애플리케이션").to_owned()),
        ("", r.t("Project", "프로젝트").to_owned()),
        ("", r.t("Proves itself by", "증명").to_owned()),
        ("wide", r.t("Last sign-in", "마지막 로그인").to_owned()),
    ];
    let row = |one: &ApplicationView| {
        let address = format!("{HERE}/{}", one.name);
        let cells = vec![
            html! { a href=(address) { strong { (one.spec.shown(&one.name)) } } " " (standing(r, &one.spec)) },
            project(&one.spec),
            html! { (proof(r, one.spec.proof)) },
            widget::ago_or_dash(r, one.status.used),
        ];
        (Some(address), cells)
    };
    html! {
        (widget::heading(html! { (r.t("Applications", "애플리케이션")) }, html! {}, about, html! {}))
        (widget::section("applications", "", html! {}, html! {
            @if all.is_empty() {
                (widget::empty(
                    r,
                    r.t("No application yet", "아직 애플리케이션이 없습니다"),
                    r.t("Register one, and give it the address of this server and its secret", "등록한 뒤 이 서버의 주소와 비밀 값을 넣어 주세요"),
                    &["naru application create wiki --redirect https://wiki.example.com/back"],
                ))
            } @else { (widget::table(&Table { heads, rows: all.iter().map(row).collect() })) }
        }))
        (widget::section("new", r.t("New application", "새 애플리케이션"), html! {}, new_form(r)))
        @if administers {
            (widget::section("keys", r.t("Keys that sign", "서명 키"), html! {}, html! {
                p.part-in.soft { (r.t(
                    "They turn by themselves every ninety days. Turn them now if somebody else may have them; what they signed is then worth nothing, and people sign in again",
                    "90일마다 저절로 바뀝니다. 새어 나갔을 수 있다면 지금 바꾸세요. 그 서명은 모두 무효가 되고 사람들은 다시 로그인합니다",
                )) }
                div.part-in { (widget::post("/application-keys", &[("forget", "true")], html! { (r.t("Turn, and forget the old ones", "바꾸고 옛 키 버리기")) }, Tone::Danger)) }
            }))
        }
    }
}

fn standing(r: &Reader, app: &Application) -> Markup {
    html! {
        @if app.disabled { (widget::badge(r, State::Canceled, Some(r.t("disabled", "중지")))) }
        @if app.trusted { (widget::badge(r, State::Passed, Some(r.t("trusted", "신뢰")))) }
    }
}

fn project(app: &Application) -> Markup {
    html! {
        @match &app.project {
            Some(p) => a href=(format!("/projects/{p}")) { (p) },
            None => span.faint { "–" },
        }
    }
}

fn proof<'a>(r: &Reader, proof: Proof) -> &'a str {
    let (en, ko) = match proof {
        Proof::Secret => ("a secret", "비밀 값"),
        Proof::Key => ("a key", "키"),
        Proof::Nothing => ("nothing (public)", "없음 (공개)"),
    };
    r.lang.pick(en, ko)
}

fn new_form(r: &Reader) -> Markup {
    html! {
        form.fields.part-in method="post" action=(HERE) {
            label for="name" { (r.t("Name, its client_id", "이름 (client_id)")) }
            input #name name="name" type="text" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" autocapitalize="none"
                title=(r.t("lower-case letters, digits and inner hyphens", "소문자, 숫자, 가운데 붙임표"));
            label for="title" { (r.t("As people see it", "사람에게 보이는 이름")) }
            input #title name="title" type="text" maxlength="200";
            label for="project" { (r.t("Of project (empty: the platform's)", "프로젝트 (비우면 플랫폼)")) }
            input #project name="project" type="text" maxlength="63" autocapitalize="none";
            label for="redirects" { (r.t("People come back to, one address a line", "로그인 뒤 돌아갈 주소, 한 줄에 하나")) }
            textarea #redirects name="redirects" rows="2" required placeholder="https://wiki.example.com/back" {}
            label for="proof" { (r.t("It runs", "실행되는 곳")) }
            select #proof name="proof" {
                option value="secret" { (r.t("on a server that keeps a secret", "비밀 값을 지킬 수 있는 서버")) }
                option value="nothing" { (r.t("in a browser, on a phone or in a terminal", "브라우저, 휴대전화, 터미널")) }
            }
            div { button.button.main { (r.t("Make", "만들기")) } }
        }
    }
}

fn lines(words: &str) -> Vec<&str> {
    words.split(['\n', ' ']).map(str::trim).filter(|l| !l.is_empty()).collect()
}

async fn create(mut call: Call) -> Result<Response> {
    if let Some(detour) = detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    let name = Name::parse(field(&form, "name"))?;
    let mut spec = json!({
        "title": field(&form, "title"),
        "redirects": lines(field(&form, "redirects")),
        "proof": if field(&form, "proof") == "nothing" { "nothing" } else { "secret" },
    });
    let project = Some(field(&form, "project")).filter(|project| !project.is_empty());
    if let (Some(project), Some(spec)) = (project, spec.as_object_mut()) {
        spec.insert("project".into(), json!(project));
    }
    let spec = merged(Application::default(), spec)?;
    let made = call.part::<Sso>()?.set(&call, name.clone(), spec, true).await?;
    page(&call, &name, made.as_deref()).await
}

async fn keys(mut call: Call) -> Result<Response> {
    if let Some(detour) = detour(&call, HERE) {
        return detour;
    }
    let form = call.form().await?;
    rotated(&call, form.contains_key("forget")).await?;
    found(HERE)
}

async fn show(call: Call) -> Result<Response> {
    page(&call, &call.name("application")?, None).await
}

async fn page(call: &Call, name: &Name, made: Option<&str>) -> Result<Response> {
    let sso = call.part::<Sso>()?;
    let view = sso.one(call, name).await?;
    let r = Reader { address: format!("{HERE}/{name}"), ..Reader::of(call) };
    Ok(ask::framed(call, view.spec.shown(name), draw(&r, &view, &sso.issuer(), made)))
}

pub(crate) fn draw(r: &Reader, view: &ApplicationView, issuer: &str, made: Option<&str>) -> Markup {
    let (name, app) = (&view.name, &view.spec);
    let here = format!("{HERE}/{name}");
    let (verb, words, tone) = match app.disabled {
        true => ("enable", r.t("Enable", "다시 허용"), Tone::Plain),
        false => ("disable", r.t("Disable", "중지"), Tone::Danger),
    };
    html! {
        (widget::heading(
            html! { (app.shown(name)) }, standing(r, app),
            html! { span { code { (name) } } @if app.project.is_some() { span { (project(app)) } } },
            widget::post(&format!("{here}/{verb}"), &[], html! { (words) }, tone),
        ))
        @if let Some(secret) = made {
            (widget::flash(State::Passed, r.t("Its secret. Keep it now: it is not shown again", "비밀 값입니다. 지금 보관하세요. 다시 보여 주지 않습니다"), None))
            div.part.part-in { div.command.secret {
                code { (secret) }
                button.quiet type="button" data-copy=(secret) hidden { (r.t("Copy", "복사")) }
            } }
        }
        (widget::section("how", r.t("What to tell it", "애플리케이션에 넣을 값"), html! {}, widget::facts(&[
            (r.t("Issuer", "발급자 (issuer)"), html! { code { (issuer) } }),
            ("client_id", html! { code { (name) } }),
            (r.t("Proves itself by", "증명"), html! { (proof(r, app.proof)) }),
            (r.t("May ask for", "scope"), html! { (joined(app.scopes.iter())) }),
            (r.t("Tokens", "토큰"), html! { (app.access_lasts) " / " (app.refresh_lasts) }),
        ])))
        (widget::section("settings", r.t("Settings", "설정"), html! {}, settings(r, app, &here)))
        @if app.proof == Proof::Secret {
            (widget::section("secrets", r.t("Secrets", "비밀 값"), html! {}, secrets(r, view, &here)))
        }
        (widget::section("sign-ins", r.t("Who is signed in", "로그인한 사람"), html! {
            @if !view.sign_ins.is_empty() {
                (widget::post(&format!("{here}/sign-out"), &[], html! { (r.t("Sign everybody out", "모두 로그아웃")) }, Tone::Danger))
            }
        }, sign_ins(r, view, &here)))
        (widget::section("remove", r.t("Remove", "제거"), html! {}, html! {
            div.part-in { (widget::post(&format!("{here}/remove"), &[], html! { (r.t("Remove; all its tokens are over", "제거. 모든 토큰이 끝납니다")) }, Tone::Danger)) }
        }))
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a String>) -> String {
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn settings(r: &Reader, app: &Application, here: &str) -> Markup {
    let groups: Vec<&str> = app.groups.iter().map(Name::as_str).collect();
    html! {
        form.fields.part-in method="post" action=(format!("{here}/set")) {
            label for="title" { (r.t("As people see it", "사람에게 보이는 이름")) }
            input #title name="title" type="text" maxlength="200" value=(app.title);
            @if app.grants.contains(&Grants::AuthorizationCode) {
                label for="redirects" { (r.t("People come back to", "로그인 뒤 돌아갈 주소")) }
                textarea #redirects name="redirects" rows="2" { (app.redirects.join("\n")) }
            }
            label for="logout" { (r.t("After signing out", "로그아웃 뒤 돌아갈 주소")) }
            textarea #logout name="logout_redirects" rows="2" { (app.logout_redirects.join("\n")) }
            label for="back" { (r.t("Is told of ended sessions at", "세션 종료를 알릴 주소")) }
            input #back name="back_channel_logout" type="text" value=(app.back_channel_logout.as_deref().unwrap_or_default());
            label for="groups" { (r.t("Only for these groups", "이 그룹만 로그인")) }
            input #groups name="groups" type="text" value=(groups.join(" ")) placeholder=(r.t("everybody", "누구나"));
            label for="scopes" { (r.t("May ask for", "요청할 수 있는 scope")) }
            input #scopes name="scopes" type="text" value=(joined(app.scopes.iter()))
                placeholder=(SCOPES.map(|s| s.name).join(" "));
            label { input type="checkbox" name="trusted" checked[app.trusted]; " " (r.t("Trusted: people are not asked (administrators only)", "신뢰: 동의를 묻지 않음 (관리자만)")) }
            label { input type="checkbox" name="pkce" checked[app.needs_pkce()] disabled[app.is_public()]; " " (r.t("Each sign-in needs PKCE", "로그인마다 PKCE 필요")) }
            div { button.button.main { (r.t("Save", "저장")) } }
        }
    }
}

fn secrets(r: &Reader, view: &ApplicationView, here: &str) -> Markup {
    html! {
        @for secret in &view.secrets {
            p.part-in {
                (r.t("made ", "생성: ")) (widget::ago(r, secret.made))
                @if let Some(until) = secret.until { " · " (r.t("works until ", "유효: ")) (until) }
            }
        }
        form.filter.part-in method="post" action=(format!("{here}/secret")) {
            label for="overlap" { (r.t("the old one works on for", "옛 값 유지 기간")) }
            select #overlap name="overlap" {
                option value="24h" { (r.t("a day", "하루")) }
                option value="7d" { (r.t("a week", "일주일")) }
                option value="" { (r.t("not at all", "없음")) }
            }
            button.button { (r.t("New secret", "새 비밀 값")) }
        }
    }
}

fn sign_ins(r: &Reader, view: &ApplicationView, here: &str) -> Markup {
    if view.sign_ins.is_empty() {
        return html! { p.plot-none { (r.t("nobody", "없습니다")) } };
    }
    let heads = vec![
        ("grow", r.t("Who", "누가").to_owned()),
        ("", r.t("May", "scope").to_owned()),
        ("wide", r.t("Signed in", "로그인").to_owned()),
        ("wide", r.t("Last tokens", "마지막 토큰").to_owned()),
        ("", String::new()),
    ];
    let row = |one: &SignIn| {
        let who = one.who.as_ref().map_or_else(|| view.name.to_string(), ToString::to_string);
        let end = widget::post(
            &format!("{here}/sign-out"),
            &[("sign_in", &one.id)],
            html! { (r.t("End", "종료")) },
            Tone::Plain,
        );
        let cells = vec![
            html! { (who) },
            html! { (joined(one.scopes.iter())) },
            widget::ago(r, one.created),
            widget::ago(r, one.renewed),
            end,
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: view.sign_ins.iter().map(row).collect() })
}

/// What a form of settings says, as a patch. A box that is not ticked is not sent.
fn patch(form: &Form, app: &Application) -> Value {
    let mut patch = Map::new();
    patch.insert("title".into(), json!(field(form, "title")));
    for name in ["redirects", "logout_redirects", "groups", "scopes"] {
        if form.contains_key(name) {
            patch.insert(name.into(), json!(lines(field(form, name))));
        }
    }
    let back = Some(field(form, "back_channel_logout")).filter(|words| !words.is_empty());
    patch.insert("back_channel_logout".into(), json!(back));
    patch.insert("trusted".into(), json!(form.contains_key("trusted")));
    patch.insert("pkce".into(), json!(app.is_public() || form.contains_key("pkce")));
    Value::Object(patch)
}

async fn act(mut call: Call) -> Result<Response> {
    let name = call.name("application")?;
    let here = format!("{HERE}/{name}");
    let sso = call.part::<Sso>()?;
    let before = sso.one(&call, &name).await?.spec;
    if let Some(detour) = detour(&call, &here) {
        return detour;
    }
    let form = call.form().await?;
    match call.param("action")?.to_owned().as_str() {
        "set" => {
            let spec = merged(before.clone(), patch(&form, &before))?;
            sso.set(&call, name, spec, false).await?;
        }
        verb @ ("disable" | "enable") => {
            let spec = Application { disabled: verb == "disable", ..before };
            sso.set(&call, name, spec, false).await?;
        }
        "secret" => {
            let overlap = overlap(Some(field(&form, "overlap")))?;
            let made = sso.new_secret(&call, name.clone(), overlap).await?;
            return page(&call, &name, Some(&made)).await;
        }
        "sign-out" => {
            let which = Some(field(&form, "sign_in").to_owned()).filter(|id| !id.is_empty());
            sso.end_sign_ins(&call, name, which).await?;
        }
        "remove" => {
            sso.remove(&call, name).await?;
            return found(HERE);
        }
        _ => {
            let say = Text::fixed("there is no such action", "그런 동작은 없습니다");
            return Err(Error::not_found("action.unknown", say));
        }
    }
    found(&here)
}
