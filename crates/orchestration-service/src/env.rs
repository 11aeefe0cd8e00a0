//! Values of a service's environment: words, or the name of a secret.

use kernel::{Name, Result, text};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `LEVEL: 7`, `PASSWORD: {secret: DATABASE_PASSWORD}`, or
/// `KEY: {secret: {name: TLS_KEY, version: 3, file: true, roll: true}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Env {
    Plain(String),
    Secret(SecretRef),
}

/// A secret of the project, opened when an instance starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// Its name, or that of its variable.
    pub name: String,
    /// The newest when an instance starts, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The value is in a file, and that file's path in the variable.
    #[serde(default, skip_serializing_if = "is_no")]
    pub file: bool,
    /// A new value replaces all instances, as a rollout.
    #[serde(default, skip_serializing_if = "is_no")]
    pub roll: bool,
}

fn is_no(flag: &bool) -> bool {
    !flag
}

impl SecretRef {
    fn named(name: &str) -> SecretRef {
        SecretRef { name: name.to_owned(), version: None, file: false, roll: false }
    }

    /// As the port takes it: `database-password@3`.
    pub(crate) fn asked(&self) -> String {
        match self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether it is the secret of this name, however it is written.
    pub(crate) fn means(&self, secret: &Name) -> bool {
        Name::slug(&self.name).as_ref() == Some(secret)
    }

    /// # Errors
    /// `service.spec`
    pub(crate) fn check(&self, variable: &str) -> Result<()> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let name = &self.name;
        if !name.is_empty()
            && name.len() <= 128
            && name.bytes().all(fits)
            && self.version != Some(0)
        {
            return Ok(());
        }
        Err(crate::error::spec(
            text!(
                "`{variable}` names no secret",
                "`{variable}`에 적은 비밀 값 이름이 맞지 않습니다"
            ),
            text!(
                "write `{variable}: {{secret: DATABASE_PASSWORD}}`",
                "`{variable}: {{secret: DATABASE_PASSWORD}}`처럼 쓰세요"
            ),
        ))
    }
}

impl From<&str> for Env {
    fn from(words: &str) -> Env {
        Env::Plain(words.to_owned())
    }
}

impl From<String> for Env {
    fn from(words: String) -> Env {
        Env::Plain(words)
    }
}

impl PartialEq<&str> for Env {
    fn eq(&self, words: &&str) -> bool {
        matches!(self, Env::Plain(plain) if plain == words)
    }
}

impl Serialize for Env {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Env::Plain(words) => s.serialize_str(words),
            Env::Secret(secret) => {
                let mut map = s.serialize_map(Some(1))?;
                if *secret == SecretRef::named(&secret.name) {
                    map.serialize_entry("secret", &secret.name)?;
                } else {
                    map.serialize_entry("secret", secret)?;
                }
                map.end()
            }
        }
    }
}

/// Read as an enum: of a scalar that gives the words as they are written (`1.10`, `yes`), where asking for anything
/// would give what YAML makes of them.
impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Env, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Env;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("words, or {secret: NAME}")
            }
            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Env, A::Error> {
                let (words, content) = data.variant::<String>()?;
                if words != "secret" {
                    return content.unit_variant().map(|()| Env::Plain(words));
                }
                // The word itself is not told apart from the key by all readers: content decides.
                content.newtype_variant::<Named>().map(|named| Env::Secret(named.0))
            }
        }
        d.deserialize_enum("Env", &["secret"], Either)
    }
}

/// A name, or the whole.
struct Named(SecretRef);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Named, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Named;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a secret, or {name, version, file, roll}")
            }
            fn visit_str<E>(self, name: &str) -> Result<Named, E> {
                Ok(Named(SecretRef::named(name)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Named, A::Error> {
                SecretRef::deserialize(MapAccessDeserializer::new(map)).map(Named)
            }
        }
        d.deserialize_any(Either)
    }
}

impl JsonSchema for Env {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Env".into()
    }
    fn json_schema(g: &mut SchemaGenerator) -> Schema {
        let whole = g.subschema_for::<SecretRef>();
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "object", "required": ["secret"], "additionalProperties": false,
              "properties": { "secret": { "oneOf": [{ "type": "string" }, whole] } } }
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type All = BTreeMap<String, Env>;

    #[test]
    fn words_stay_as_they_are_written_and_secrets_are_named() {
        let file = "A: 7\nB: 1.10\nC: yes\nD: \"\"\nE: 0x1F\nF: true\nG: |\n  two\n  lines\n\
                    S: {secret: DATABASE_PASSWORD}\nT: {secret: {name: tls-key, version: 3, file: true, roll: true}}\n";
        let all: All = serde_saphyr::from_str(file).unwrap();
        for (name, words) in [
            ("A", "7"),
            ("B", "1.10"),
            ("C", "yes"),
            ("D", ""),
            ("E", "0x1F"),
            ("F", "true"),
            ("G", "two\nlines\n"),
        ] {
            assert_eq!(all[name], words, "{name}");
        }
        assert_eq!(all["S"], Env::Secret(SecretRef::named("DATABASE_PASSWORD")));
        let Env::Secret(whole) = &all["T"] else { panic!("{:?}", all["T"]) };
        assert_eq!((whole.asked().as_str(), whole.file, whole.roll), ("tls-key@3", true, true));
        assert!(whole.means(&Name::parse("tls-key").unwrap()));
        let json = serde_json::to_value(&all).unwrap();
        assert_eq!(json["S"], serde_json::json!({ "secret": "DATABASE_PASSWORD" }));
        assert_eq!(serde_json::from_value::<All>(json).unwrap(), all);
        for wrong in [
            "A: {secrets: x}",
            "A: [x]",
            "A: {secret: {name: x, vers: 1}}",
            "A: {secret: x, roll: true}",
        ] {
            assert!(serde_saphyr::from_str::<All>(wrong).is_err(), "{wrong}");
        }
    }
}
