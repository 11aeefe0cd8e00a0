//! Templates that ship with naru, by the names that people know: `include: {template: Rust.gitlab-ci.yml}`.

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../templates/", $name)))),*]
    };
}

/// Sorted by name.
const ALL: &[(&str, &str)] = templates![
    "Bash.gitlab-ci.yml",
    "C++.gitlab-ci.yml",
    "Getting-Started.gitlab-ci.yml",
    "Go.gitlab-ci.yml",
    "Gradle.gitlab-ci.yml",
    "Maven.gitlab-ci.yml",
    "Nodejs.gitlab-ci.yml",
    "Pages/HTML.gitlab-ci.yml",
    "Pages/Hugo.gitlab-ci.yml",
    "Python.gitlab-ci.yml",
    "Ruby.gitlab-ci.yml",
    "Rust.gitlab-ci.yml",
    "Workflows/Branch-Pipelines.gitlab-ci.yml",
    "Workflows/MergeRequest-Pipelines.gitlab-ci.yml",
];

/// Every name.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

pub fn find(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
