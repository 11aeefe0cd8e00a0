//! Groups: their pages and the change of their members. A team's owners look after it themselves.

use crate::people::look::{Found, look};
use crate::people::{search, sections_tabs};
use crate::sign_in::field;
use account::{Group, Member};
use kernel::{Error, Key, Kind, Name, Principal, Resource, Result, Text, text};
use maud::{Markup, html};
use naru_http::{Access, Call, Response, Route, found, json};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use store::{Put, View};
use web::widget::{self, Table, Tone};
use web::{Page, Reader};

const PAGE: usize = 50;
/// Members shown, nested ones included.
const SHOWN: usize = 2000;

pub(crate) const ROUTES: &[Route] = &[
    Route::get("/groups", Access::Platform, ("page: groups", "페이지: 그룹"), |c| {
        Box::pin(show_all(c))
    }),
    Route::post(
        "/groups",
        Access::Platform,
        ("page: make a group", "페이지: 그룹 생성"),
        |c| Box::pin(create(c)),
    ),
    Route::get("/groups/{group}", Access::SignedIn, ("page: a group", "페이지: 그룹"), |c| {
        Box::pin(show(c))
    }),
    Route::post(
        "/groups/{group}/members",
        Access::SignedIn,
        ("page: add or remove a member", "페이지: 구성원 추가·삭제"),
        |c| Box::pin(page_change(c)),
    ),
    Route::get(
        "/api/v1/groups/{group}/members",
        Access::SignedIn,
        ("members of a group, those of groups within it included", "그룹과 하위 그룹의 구성원"),
        |c| Box::pin(api_members(c)),
    ),
    Route::post(
        "/api/v1/groups/{group}/members",
        Access::SignedIn,
        ("add and remove members", "구성원 추가·삭제"),
        |c| Box::pin(api_change(c)),
    ),
];

/// One member, and by which groups it is in, from the outermost in. Empty: by itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Reached {
    #[serde(flatten)]
    pub member: Member,
    pub by: Vec<Name>,
}

/// All members of `group`, each once, by the shortest way to it.
pub(crate) fn reach(groups: &BTreeMap<Name, Group>, group: &Name) -> Vec<Reached> {
    let mut out: Vec<Reached> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut next = std::collections::VecDeque::from([(group.clone(), Vec::new())]);
    while let Some((name, by)) = next.pop_front() {
        for member in groups.get(&name).map_or(&[][..], |g| &g.members) {
            if out.len() >= SHOWN || !seen.insert(member.clone()) {
                continue;
            }
            if let Member::Group(inner) = member {
                let way = by.iter().cloned().chain([inner.clone()]).collect();
                next.push_back((inner.clone(), way));
            }
            out.push(Reached { member: member.clone(), by: by.clone() });
        }
    }
    out
}

/// The groups that are within `group`, itself included.
fn within(v: &View<'_>, group: &Name) -> Result<BTreeMap<Name, Group>> {
    let mut groups = BTreeMap::new();
    let mut next = vec![group.clone()];
    while let Some(name) = next.pop() {
        if groups.contains_key(&name) {
            continue;
        }
        let Some(found) = v.resource(&Key::global::<Group>(&name))? else { continue };
        let spec: Group = found.spec()?;
        next.extend(spec.members.iter().filter_map(|m| match m {
            Member::Group(inner) => Some(inner.clone()),
            _ => None,
        }));
        groups.insert(name, spec);
    }
    Ok(groups)
}

/// Whether the caller may see and change the group: administrators, and the owners of a team.
async fn allowed(call: &Call, group: &Name) -> Result<Resource> {
    let key = Key::global::<Group>(group);
    let found = call.site.store.read(move |v| v.resource(&key)).await?;
    let owner = match (&found, &call.who) {
        (Some(found), Principal::User(user)) => found.spec::<Group>()?.owners.contains(user),
        _ => false,
    };
    if !owner {
        call.site.policy.may_administer(&call.who).await?;
    }
    found.ok_or_else(|| unknown(group))
}

fn unknown(group: &Name) -> Error {
    Error::not_found("group.unknown", text!("there is no group {group}", "{group} 그룹이 없습니다"))
        .hint(text!(
            "`naru group create {group}` makes one",
            "`naru group create {group}`로 만드세요"
        ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    add: Vec<Member>,
    remove: Vec<Member>,
}

async fn change(call: &Call, group: &Name, change: Change) -> Result<()> {
    allowed(call, group).await?;
    let (key, actor, name) = (Key::global::<Group>(group), call.who.clone(), group.clone());
    let accounts = call.site.accounts.clone();
    call.site
        .store
        .write(move |tx| {
            let found = tx.resource(&key)?.ok_or_else(|| unknown(&name))?;
            let mut spec: Group = found.spec()?;
            spec.members.retain(|m| !change.remove.contains(m) && !change.add.contains(m));
            spec.members.extend(change.add);
            spec.check()?;
            let spec = serde_json::to_value(spec).map_err(Error::internal)?;
            let put =
                Put { key, labels: found.labels, spec, expected: Some(found.revision), actor };
            accounts.put(tx, put).map(drop)
        })
        .await
}

/// `user:ada`, `group:crew`, `service:deployer`, or `ada` alone for a user.
///
/// # Errors
/// `member.invalid`.
pub(crate) fn member(words: &str) -> Result<Member> {
    let words = words.trim();
    match words.split_once(':') {
        None => Ok(Member::User(Name::parse(words)?)),
        Some(("user", name)) => Ok(Member::User(Name::parse(name)?)),
        Some(("group", name)) => Ok(Member::Group(Name::parse(name)?)),
        Some(("service", name)) => Ok(Member::Service(Name::parse(name)?)),
        Some(_) => Err(Error::invalid(
            "member.invalid",
            Text::fixed("this is no member", "구성원으로 읽을 수 없습니다"),
        )
        .hint(Text::fixed(
            "write user:NAME, group:NAME or service:NAME",
            "user:이름, group:이름, service:이름처럼 쓰세요",
        ))),
    }
}

async fn api_members(call: Call) -> Result<Response> {
    let group = call.name("group")?;
    allowed(&call, &group).await?;
    let name = group.clone();
    let groups = call.site.store.read(move |v| within(v, &name)).await?;
    json(&json!({ "items": reach(&groups, &group) }))
}

async fn api_change(mut call: Call) -> Result<Response> {
    let wanted: Change = call.json().await?;
    let group = call.name("group")?;
    change(&call, &group, wanted).await?;
    json(&json!({ "group": group }))
}

async fn page_change(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let group = call.name("group")?;
    let one = |name: &str| -> Result<Vec<Member>> {
        let words = field(&form, name);
        if words.is_empty() { Ok(Vec::new()) } else { Ok(vec![member(words)?]) }
    };
    let wanted = Change { add: one("add")?, remove: one("remove")? };
    change(&call, &group, wanted).await?;
    found(&format!("/groups/{group}"))
}

async fn create(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let name = Name::parse(field(&form, "name"))?;
    let group = Group { title: field(&form, "title").to_owned(), ..Group::default() };
    group.check()?;
    let spec = serde_json::to_value(group).map_err(Error::internal)?;
    let put = Put {
        key: Key::global::<Group>(&name),
        labels: Default::default(),
        spec,
        expected: Some(0),
        actor: call.who.clone(),
    };
    let accounts = call.site.accounts.clone();
    call.site.store.write(move |tx| accounts.put(tx, put)).await?;
    found(&format!("/groups/{name}"))
}

async fn show_all(call: Call) -> Result<Response> {
    let words = call.query("q").unwrap_or_default();
    let groups = look(&call, "Group", PAGE).await?;
    let r = Reader::of(&call);
    let page = Page { title: r.t("Groups", "그룹").to_owned(), bare: true, ..Page::default() };
    Ok(web::page(&call, &page, draw_all(&r, &groups, &words)))
}

pub(crate) fn draw_all(r: &Reader, groups: &Found, words: &str) -> Markup {
    let heads = vec![
        ("", r.t("Name", "이름").to_owned()),
        ("grow", r.t("Called", "보이는 이름").to_owned()),
        ("num", r.t("Members", "구성원").to_owned()),
        ("wide", r.t("Looked after by", "담당자").to_owned()),
    ];
    let row = |found: &Resource| {
        let group: Group = found.spec().unwrap_or_default();
        let address = format!("/groups/{}", found.key.name);
        let owners: Vec<&str> = group.owners.iter().map(Name::as_str).collect();
        let cells = vec![
            html! { a href=(address) { strong { (found.key.name) } } },
            html! { (group.title) },
            html! { (group.members.len()) },
            html! { (owners.join(", ")) },
        ];
        (Some(address), cells)
    };
    html! {
        (widget::heading(html! { (r.t("Groups", "그룹")) }, html! {}, html! {}, search(r, "/groups", words)))
        (sections_tabs(r, "/groups"))
        (widget::section("groups", "", html! {}, html! {
            @if groups.items.is_empty() { p.plot-none { (r.t("none yet", "아직 없습니다")) } }
            @else { (widget::table(&Table { heads, rows: groups.items.iter().map(row).collect() })) }
            (crate::people::onward(r, "/groups", words, groups.after.as_ref()))
        }))
        (widget::section("new", r.t("New group", "새 그룹"), html! {}, html! {
            form.filter.part-in method="post" action="/groups" {
                label for="name" { (r.t("Name", "이름")) }
                input #name name="name" type="text" required maxlength="63" pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" autocapitalize="none"
                    title=(r.t("lower-case letters, digits and inner hyphens", "소문자, 숫자, 가운데 붙임표"));
                label for="title" { (r.t("called", "보이는 이름")) }
                input #title name="title" type="text" maxlength="200";
                button.button.main { (r.t("Make", "만들기")) }
            }
        }))
    }
}

async fn show(call: Call) -> Result<Response> {
    let name = call.name("group")?;
    let found = allowed(&call, &name).await?;
    let inner = name.clone();
    let groups = call.site.store.read(move |v| within(v, &inner)).await?;
    let outer = call.site.accounts.direct_groups(&Member::Group(name.clone()));
    let r = Reader::of(&call);
    let page = Page { title: name.to_string(), bare: true, ..Page::default() };
    let body = draw(&r, &name, &found.spec()?, &reach(&groups, &name), &outer);
    Ok(web::page(&call, &page, body))
}

pub(crate) fn draw(
    r: &Reader,
    name: &Name,
    group: &Group,
    all: &[Reached],
    outer: &[Name],
) -> Markup {
    let below = html! {
        @if !group.title.is_empty() { span { (group.title) } }
        @if !outer.is_empty() {
            span { (r.t("within", "상위 그룹")) @for o in outer { " " a href=(format!("/groups/{o}")) { (o) } } }
        }
        @if !group.owners.is_empty() {
            span { (r.t("looked after by", "담당자")) @for o in &group.owners { " " (o) } }
        }
    };
    html! {
        (widget::heading(html! { (name) }, html! {}, below, html! {}))
        (sections_tabs(r, "/groups"))
        (widget::section("add", r.t("Add a member", "구성원 추가"), html! {}, html! {
            form.filter.part-in method="post" action=(format!("/groups/{name}/members")) {
                input type="text" name="add" required maxlength="80" placeholder="ada, group:crew, service:deployer" autocapitalize="none"
                    aria-label=(r.t("user, group:NAME or service:NAME", "사용자, group:이름 또는 service:이름"));
                button.button.main { (r.t("Add", "추가")) }
            }
        }))
        (widget::section("members", r.t("Members", "구성원"), html! { span.faint { (all.len()) } }, list(r, name, all)))
    }
}

fn list(r: &Reader, group: &Name, all: &[Reached]) -> Markup {
    if all.is_empty() {
        return html! { p.plot-none { (r.t("nobody yet", "아직 없습니다")) } };
    }
    let heads = vec![
        ("", r.t("Kind", "종류").to_owned()),
        ("grow", r.t("Name", "이름").to_owned()),
        ("wide", r.t("By way of", "경유 그룹").to_owned()),
        ("num", String::new()),
    ];
    let row = |reached: &Reached| {
        let (kind, name, address) = match &reached.member {
            Member::User(n) => (r.t("person", "사람"), n, format!("/people/{n}")),
            Member::Group(n) => (r.t("group", "그룹"), n, format!("/groups/{n}")),
            Member::Service(n) => {
                (r.t("service account", "서비스 계정"), n, format!("/service-accounts/{n}"))
            }
        };
        let by: Vec<&str> = reached.by.iter().map(Name::as_str).collect();
        let remove = html! {
            @if by.is_empty() {
                (widget::post(
                    &format!("/groups/{group}/members"), &[("remove", &reached.member.to_string())],
                    html! { (r.t("Remove", "빼기")) }, Tone::Danger,
                ))
            }
        };
        let cells = vec![
            html! { (kind) },
            html! { a href=(address) { strong { (name) } } },
            html! { @if by.is_empty() { span.faint { "–" } } @else { (by.join(" › ")) } },
            remove,
        ];
        (None, cells)
    };
    widget::table(&Table { heads, rows: all.iter().map(row).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(words: &str) -> Name {
        Name::parse(words).unwrap()
    }

    #[test]
    fn nested_members_are_reached_once_by_the_shortest_way_even_in_a_circle() {
        let group = |members: &[&str]| Group {
            members: members.iter().map(|m| member(m).unwrap()).collect(),
            ..Group::default()
        };
        let groups = BTreeMap::from([
            (name("all"), group(&["han", "group:crew", "group:guests"])),
            (name("crew"), group(&["han", "dalia", "group:night", "service:bot"])),
            (name("night"), group(&["eve", "group:all"])),
        ]);
        let all = reach(&groups, &name("all"));
        let seen: Vec<String> = all
            .iter()
            .map(|r| {
                let by: Vec<_> = r.by.iter().map(Name::as_str).collect();
                format!("{} {}", r.member, by.join("/"))
            })
            .collect();
        assert_eq!(
            seen,
            [
                "user:han ",
                "group:crew ",
                "group:guests ",
                "user:dalia crew",
                "group:night crew",
                "service:bot crew",
                "user:eve crew/night",
                "group:all crew/night",
            ]
        );
    }

    #[test]
    fn how_members_are_written() {
        assert_eq!(member("ada").unwrap(), Member::User(name("ada")));
        assert_eq!(member(" group:crew").unwrap(), Member::Group(name("crew")));
        assert!(member("robot:x").is_err() && member("").is_err() && member("group:").is_err());
    }
}
