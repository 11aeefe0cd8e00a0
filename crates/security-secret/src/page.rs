//! Pages of secrets: which there are, and one with its versions and uses.

mod list;
mod one;
#[cfg(test)]
mod tests;

use crate::api::place;
use crate::set::{Settings, Value, Wanted};
use crate::{Generate, Secrets, plan};
use kernel::{Error, Result, SecretText, Text};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found};
use policy::{Action, Permission};
use std::collections::BTreeMap;
use web::Reader;

const VIEW: Access = Access::Project(Permission::View);
const SET: Access = Access::Action(Action::SecretWrite);
const REVEAL: Access = Access::Action(Action::SecretRead);

pub(crate) const ROUTES: &[Route] = &[
    Route::get(
        "/projects/{project}/secrets",
        VIEW,
        ("page: secrets", "페이지: 비밀 값 목록"),
        |c| Box::pin(list::show(c)),
    ),
    Route::post(
        "/projects/{project}/secrets",
        SET,
        ("page: set a new secret", "페이지: 새 비밀 값"),
        |c| Box::pin(create(c)),
    ),
    Route::get(
        "/projects/{project}/secrets/{secret}",
        VIEW,
        ("page: a secret", "페이지: 비밀 값"),
        |c| Box::pin(one::show(c)),
    ),
    Route::post(
        "/projects/{project}/secrets/{secret}/reveal",
        REVEAL,
        ("page: read a secret's value", "페이지: 비밀 값 열람"),
        |c| Box::pin(one::reveal(c)),
    ),
    Route::post(
        "/projects/{project}/secrets/{secret}/{action}",
        SET,
        (
            "page: set, change, draw anew, destroy or remove",
            "페이지: 설정, 범위 변경, 새로 생성, 파기, 제거",
        ),
        |c| Box::pin(act(c)),
    ),
];

type Form = BTreeMap<String, String>;

fn field<'a>(form: &'a Form, name: &str) -> &'a str {
    form.get(name).map_or("", |v| v.trim())
}

/// A new secret. One that is there already is changed on its own page.
async fn create(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (project, secrets) = (call.project()?, call.part::<Secrets>()?);
    let (name, variable) = plan::named(field(&form, "name"))?;
    if secrets.show(&project, &name).await.is_ok() {
        let say =
            kernel::text!("there is a secret {name} already", "{name} 비밀 값이 이미 있습니다");
        return Err(Error::conflict("secret.exists", say));
    }
    let settings = Settings { variable, ..scope(&form) };
    let wanted = Wanted { value: value(&form), settings, known: false, name: name.clone() };
    secrets.write(&project, vec![wanted], call.who.clone()).await?;
    found(&format!("/projects/{project}/secrets/{name}"))
}

/// What a form says of whom it is for. A box that is not ticked is not sent.
fn scope(form: &Form) -> Settings {
    let environments = field(form, "environments").split([',', '\n', ' ']).map(str::trim);
    let environments = environments.filter(|e| !e.is_empty() && *e != "*").map(str::to_owned);
    Settings {
        description: Some(field(form, "description").to_owned()),
        environments: Some(environments.collect()),
        protected: Some(form.contains_key("protected")),
        file: Some(field(form, "as") == "file"),
        jobs: Some(form.contains_key("jobs")),
        rotate_every: Some(field(form, "rotate_every").to_owned()),
        ..Settings::default()
    }
}

/// The value of a form; drawn here when none was typed.
fn value(form: &Form) -> Value {
    match form.get("value").filter(|v| !v.is_empty()) {
        // Browsers send lines as for mail.
        Some(words) => Value::Given(SecretText::new(words.replace("\r\n", "\n"))),
        None => Value::Drawn(None),
    }
}

async fn act(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let (project, name, _) = place(&call)?;
    let (secrets, who) = (call.part::<Secrets>()?, call.who.clone());
    let write = |settings, value| Wanted { name: name.clone(), settings, value, known: true };
    let same = Settings::default();
    match call.param("action")? {
        "set" => secrets.write(&project, vec![write(same, value(&form))], who).await.map(drop)?,
        "change" => {
            secrets.write(&project, vec![write(scope(&form), Value::Same)], who).await.map(drop)?;
        }
        "rotate" => {
            let drawn = Value::Drawn(None::<Generate>);
            secrets.write(&project, vec![write(same, drawn)], who).await.map(drop)?;
        }
        "destroy" => {
            let version = field(&form, "version").parse().unwrap_or(0);
            secrets.destroy(&project, &name, version, who).await?;
        }
        "remove" => {
            secrets.remove(&project, &name, who).await?;
            return found(&format!("/projects/{project}/secrets"));
        }
        _ => {
            return Err(Error::not_found(
                "action.unknown",
                Text::fixed("a secret cannot do that", "비밀 값에 그런 동작은 없습니다"),
            ));
        }
    }
    found(&format!("/projects/{project}/secrets/{name}"))
}

/// The fields that say whom a secret is for.
fn scope_fields(r: &Reader, spec: &crate::Secret) -> Markup {
    html! {
        label for="environments" { (r.t("Environments, * for any characters; empty for all", "환경. *는 아무 글자나, 비우면 전체")) }
        input #environments type="text" name="environments" value=(spec.environments.join(", "))
            placeholder="production, review/*" spellcheck="false";
        label for="as" { (r.t("Jobs find it", "작업이 받는 방식")) }
        select #as name="as" {
            option value="variable" selected[!spec.file] { (r.t("in the variable", "변수의 값으로")) }
            option value="file" selected[spec.file] { (r.t("in a file whose path is in the variable", "파일로 (변수에는 경로)")) }
        }
        span {}
        div {
            label.check { input type="checkbox" name="protected" checked[spec.protected];
                (r.t(" only for protected branches and tags", " 보호 브랜치와 태그에서만")) }
        }
        span {}
        div {
            label.check { input type="checkbox" name="jobs" checked[spec.jobs];
                (r.t(" jobs get it without asking; services always name what they need", " 작업이 그냥 받음 (서비스는 필요한 것을 이름으로 적음)")) }
        }
        label for="rotate_every" { (r.t("New value every", "교체 주기")) }
        input #rotate_every type="text" name="rotate_every" value=(spec.rotate_every.as_deref().unwrap_or("")) placeholder="90d";
        label for="description" { (r.t("What it is for", "용도")) }
        input #description type="text" name="description" maxlength="1000" value=(spec.description);
    }
}

fn value_field(r: &Reader) -> Markup {
    html! {
        label for="value" { (r.t("Value; empty to have one drawn", "값. 비우면 naru가 생성")) }
        textarea #value name="value" rows="3" spellcheck="false" autocomplete="off" autocapitalize="off" {}
    }
}
