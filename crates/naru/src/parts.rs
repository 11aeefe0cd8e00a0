//! The one list of all parts.

use part::Part;

pub static PARTS: &[&Part] = &[
    &console::PART,
    &delivery_git::PART,
    &delivery_pipeline::PART,
    &delivery_report::PART,
    &delivery_environment::PART,
    &delivery_load::PART,
    &orchestration_service::PART,
    &network_proxy::PART,
    &insight::PART,
];

/// Every row of one table of the parts.
pub fn all<T: Copy + 'static>(pick: fn(&Part) -> &'static [T]) -> Vec<T> {
    PARTS.iter().flat_map(|p| pick(p).iter().copied()).collect()
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
        for command in all(|p| p.commands) {
            assert!(
                seen.insert(format!("naru {}", command.name)),
                "two commands: {}",
                command.name
            );
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
