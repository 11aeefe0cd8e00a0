//! The one list of all parts.

use part::Part;

pub static PARTS: &[&Part] = &[
    &console::PART,
    &delivery_git::PART,
    &delivery_pipeline::PART,
    &delivery_report::PART,
    &delivery_environment::PART,
    &delivery_load::PART,
    &delivery_review::PART,
    &orchestration_service::PART,
    &network_proxy::PART,
    &insight::PART,
    &security_directory::PART,
    &security_access::PART,
    &security_audit::PART,
    &security_secret::PART,
    &security_sso::PART,
    &security_authority::PART,
];

/// Every row of one table of the parts.
pub fn all<T: Copy + 'static>(pick: fn(&Part) -> &'static [T]) -> Vec<T> {
    PARTS.iter().flat_map(|p| pick(p).iter().copied()).collect()
}

/// The nouns of the command line, in order, each once.
pub fn nouns() -> Vec<&'static str> {
    let mut nouns: Vec<&str> = Vec::new();
    for row in all(|p| p.commands) {
        if !nouns.contains(&row.name) {
            nouns.push(row.name);
        }
    }
    nouns
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_is_there_twice() {
        let mut seen = BTreeSet::new();
        for route in all(|p| p.routes) {
            let key = format!("{} {}", route.method.http(), route.path);
            assert!(seen.insert(key.clone()), "two routes: {key}");
        }
        for kind in all(|p| p.kinds) {
            assert!(
                seen.insert(kind.kind.into()) && seen.insert(kind.plural.into()),
                "two kinds: {}",
                kind.kind
            );
        }
        // A noun may be shared by parts; a verb, and what the noun does without one, may not.
        for command in all(|p| p.commands) {
            let built = (command.build)(kernel::Lang::En);
            let alone = (!built.is_subcommand_required_set()).then_some("");
            let verbs = built.get_subcommands().map(clap::Command::get_name).chain(alone);
            for verb in verbs {
                let words = format!("naru {} {verb}", command.name);
                assert!(seen.insert(words.clone()), "two commands: {words}");
            }
        }
    }

    #[test]
    fn every_project_route_names_its_project() {
        for route in all(|p| p.routes) {
            let needs = matches!(route.access, naru_http::Access::Project(_));
            assert!(!needs || route.path.contains("{project}"), "{}", route.path);
        }
    }
}
