//! Extra host names lead to one service each. Whoever has one keeps it: the release that serves and the one
//! on its way in are asked, so that nothing has to be remembered beside them.

use crate::kind::Service;
use crate::state::{self, ServiceKey, State};
use crate::sync::all_services;
use kernel::{Error, Result, text};
use std::collections::BTreeSet;
use store::View;

/// # Errors
/// `host.taken`, naming who has it, when one of the host names of `config` leads to another service or
/// soon will.
pub(crate) fn check(view: &View<'_>, key: &ServiceKey, config: &Service) -> Result<()> {
    if config.hosts.is_empty() {
        return Ok(());
    }
    if let Some((host, owner)) = config.hosts.iter().find_map(|h| Some((h, named_after(h, key)?))) {
        return Err(taken(host, &owner));
    }
    for other in all_services(view, None)?.iter().filter(|other| *other != key) {
        let theirs = of(view, other)?;
        if let Some(host) = config.hosts.iter().find(|h| theirs.contains(*h)) {
            return Err(taken(host, &other.to_string()));
        }
    }
    Ok(())
}

/// The host names of a service.
fn of(view: &View<'_>, key: &ServiceKey) -> Result<BTreeSet<String>> {
    let state = State::load(view, key)?;
    let coming = state.rollout.iter().chain(&state.overtaken).map(|r| &r.release);
    let mut hosts = BTreeSet::new();
    for name in state.current.iter().chain(coming) {
        hosts.extend(state::release(view, key, name)?.into_iter().flat_map(|r| r.config.hosts));
    }
    Ok(hosts)
}

/// The service whose own address this is, `<service>.<project>.localhost`, if that is another.
fn named_after(host: &str, key: &ServiceKey) -> Option<String> {
    let (service, project) = host.strip_suffix(".localhost")?.split_once('.')?;
    let own = service == key.service.as_str() && project == key.project.as_str();
    (!own && !project.contains('.')).then(|| format!("{project}/{service}"))
}

fn taken(host: &str, owner: &str) -> Error {
    Error::conflict(
        "host.taken",
        text!(
            "the host name {host} already leads to the service {owner}",
            "호스트 이름 {host}은(는) 이미 {owner} 서비스의 것입니다"
        ),
    )
    .hint(text!(
        "take it out of `hosts` there first, or choose another",
        "그쪽 `hosts`에서 먼저 빼거나 다른 이름을 고르세요"
    ))
}
