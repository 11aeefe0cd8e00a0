//! `image` and `services`: what a job runs in, and what runs beside it.

use super::error;
use super::job::Warnings;
use super::read;
use super::vars;
use super::yaml::{At, Entry, Node};
use crate::variables::Variable;
use crate::work;
use kernel::{Result, text};
use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    pub name: String,
    pub entrypoint: Option<Vec<String>>,
    pub user: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// As written, variables included.
    image: String,
    aliases: Option<String>,
    entrypoint: Option<Vec<String>>,
    command: Option<Vec<String>>,
    variables: Vec<Variable>,
}

const PULL: &[(&str, ())] = &[("always", ()), ("if-not-present", ()), ("never", ())];

pub fn image(entry: &Entry, warnings: &mut Warnings) -> Result<Image> {
    let image = if entry.value.map().is_none() {
        Image { name: read::text(entry)?, ..Image::default() }
    } else {
        image_parts(entry, warnings)?
    };
    if image.name.is_empty() {
        return Err(error::wanted(&entry.value.at, "image", ("a `name`", "`name`을")));
    }
    let shown = kernel::shown(&image.name);
    warnings.push((
        entry.at.clone(),
        text!(
            "`image` is not pulled yet: the machine's own tools stand in for `{shown}`",
            "`image`를 아직 받지 않습니다. `{shown}` 대신 이 컴퓨터의 도구를 씁니다"
        ),
    ));
    Ok(image)
}

fn image_parts(entry: &Entry, warnings: &mut Warnings) -> Result<Image> {
    let mut image = Image::default();
    let known = ["name", "entrypoint", "docker", "kubernetes", "pull_policy"];
    for part in read::map(&entry.value, "image", &known)? {
        match part.key.as_str() {
            "name" => image.name = read::text(part)?,
            "entrypoint" => image.entrypoint = Some(read::words(part)?),
            "docker" => {
                for of in read::map(&part.value, "image:docker", &["platform", "user"])? {
                    match of.key.as_str() {
                        "user" => image.user = Some(read::text(of)?),
                        _ => warnings.push(platform(of)?),
                    }
                }
            }
            "pull_policy" => warnings.push(pull_policy(part, "image")?),
            key => warnings.push(error::no_effect(&part.at, &format!("image:{key}"))),
        }
    }
    Ok(image)
}

fn platform(entry: &Entry) -> Result<(At, kernel::Text)> {
    read::text(entry)?;
    Ok(error::no_effect(&entry.at, "image:docker:platform"))
}

fn pull_policy(entry: &Entry, inside: &str) -> Result<(At, kernel::Text)> {
    read::flatten(&entry.value, 0, &mut |node| {
        let one = Entry { value: node.clone(), ..entry.clone() };
        read::choice(&one, PULL)
    })?;
    Ok(error::no_effect(&entry.at, &format!("{inside}:pull_policy")))
}

pub fn services(entry: &Entry, warnings: &mut Warnings) -> Result<Vec<Service>> {
    let mut out = Vec::new();
    if entry.value.list().is_none() {
        return Err(read::no_list(entry));
    }
    read::flatten(&entry.value, 0, &mut |node| {
        out.push(service(node, warnings)?);
        Ok(())
    })?;
    Ok(out)
}

fn service(node: &Arc<Node>, warnings: &mut Warnings) -> Result<Service> {
    if let Some(image) = node.text() {
        return Ok(Service { image: image.to_owned(), ..Service::default() });
    }
    let mut service = Service::default();
    let known = [
        "name",
        "alias",
        "entrypoint",
        "command",
        "variables",
        "pull_policy",
        "docker",
        "kubernetes",
    ];
    for part in read::map(node, "services", &known)? {
        match part.key.as_str() {
            "name" => service.image = read::text(part)?,
            "alias" => service.aliases = Some(read::text(part)?),
            "entrypoint" => service.entrypoint = Some(read::words(part)?),
            "command" => service.command = Some(read::words(part)?),
            "variables" => service.variables = vars::job(part)?,
            "pull_policy" => warnings.push(pull_policy(part, "services")?),
            key => warnings.push(error::no_effect(&part.at, &format!("services:{key}"))),
        }
    }
    if service.image.is_empty() {
        return Err(error::wanted(&node.at, "services", ("a `name`", "`name`을")));
    }
    Ok(service)
}

impl Service {
    /// In neutral words: with the names made of the image's and the aliases, as far as variables let.
    pub fn expanded(&self, expand: &dyn Fn(&str) -> String) -> work::Service {
        let image = expand(&self.image);
        let mut aliases = default_names(&image);
        let own = self.aliases.as_deref().map(expand).unwrap_or_default();
        for alias in own.split([',', ' ']).map(str::trim).filter(|a| !a.is_empty()) {
            if !aliases.iter().any(|a| a == alias) {
                aliases.push(alias.to_owned());
            }
        }
        work::Service {
            image,
            aliases,
            entrypoint: self.entrypoint.clone(),
            command: self.command.clone(),
            variables: self.variables.clone(),
        }
    }
}

/// `registry.example.com:5000/group/postgres:15@sha256:…` is found as `group__postgres` and `group-postgres`:
/// without registry, tag and digest (https://docs.gitlab.com/ci/services/#accessing-the-services).
fn default_names(image: &str) -> Vec<String> {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    let last = image.rfind('/').map_or(0, |i| i + 1);
    let tag = image.get(last..).and_then(|name| name.find(':')).map(|i| last + i);
    let path = tag.and_then(|i| image.get(..i)).unwrap_or(image);
    let path = match path.split_once('/') {
        // A registry, not a directory of one.
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => path,
    };
    let mut names = vec![path.replace('/', "__"), path.replace('/', "-")];
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        for (image, want) in [
            ("postgres", "postgres"),
            ("postgres:15-alpine", "postgres"),
            ("tutum/wordpress:latest", "tutum__wordpress tutum-wordpress"),
            ("docker.io/library/redis@sha256:00", "library__redis library-redis"),
            ("registry.example.com:5000/a/b/c:1", "a__b__c a-b-c"),
            ("localhost/db", "db"),
        ] {
            assert_eq!(default_names(image).join(" "), want, "{image}");
        }
    }
}
