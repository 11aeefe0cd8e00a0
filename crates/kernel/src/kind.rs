//! Kinds of resources, as plain data.

use crate::{Error, Result, text};
use schemars::{JsonSchema, Schema};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The spec of a kind of resource. The same struct makes the API, the YAML schema and the documents.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// As written after `kind:`, for example `Service`.
    const KIND: &'static str;
    type Status: Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync;

    /// What the struct's types cannot say. The spec already has its defaults filled in.
    ///
    /// # Errors
    /// `Invalid`, with a hint.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `/api/v1/projects/{project}/{plural}/{name}`
    Project,
    /// `/api/v1/{plural}/{name}`
    Platform,
}

/// Who may write a kind's spec through the generic API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// People and pipelines.
    People,
    /// Only the part that owns it; the API reads.
    Part,
}

/// One kind, described without opening anything: help, JSON Schema, OpenAPI and menus print from this.
#[derive(Clone, Copy)]
pub struct KindDef {
    pub kind: &'static str,
    /// In paths and on the command line: `services`.
    pub plural: &'static str,
    pub scope: Scope,
    pub writer: Writer,
    pub about: Text2,
    /// Columns of `naru get`: a heading and a JSON pointer (RFC 6901) into the resource.
    pub columns: &'static [(&'static str, &'static str)],
    /// What stays when one is deleted, and how to remove that, too.
    pub leaves: Option<Text2>,
    pub spec_schema: fn() -> Schema,
    pub status_schema: fn() -> Schema,
    /// Checks a spec and fills in its defaults.
    pub check: fn(&Value) -> Result<Value>,
}

/// A pair of words, English then Korean, in tables.
pub type Text2 = (&'static str, &'static str);

impl KindDef {
    pub const fn of<K: Kind>(
        plural: &'static str,
        scope: Scope,
        writer: Writer,
        about: Text2,
        columns: &'static [(&'static str, &'static str)],
    ) -> KindDef {
        KindDef {
            kind: K::KIND,
            plural,
            scope,
            writer,
            about,
            columns,
            leaves: None,
            spec_schema: schema_of::<K>,
            status_schema: schema_of::<K::Status>,
            check: check_of::<K>,
        }
    }

    pub const fn leaves(self, words: Text2) -> KindDef {
        KindDef { leaves: Some(words), ..self }
    }
}

fn schema_of<T: JsonSchema>() -> Schema {
    schemars::schema_for!(T)
}

fn check_of<K: Kind>(spec: &Value) -> Result<Value> {
    let spec = if spec.is_null() { Value::Object(Default::default()) } else { spec.clone() };
    let typed: K = serde_json::from_value(spec).map_err(|e| {
        let (kind, why) = (K::KIND, e.to_string());
        Error::invalid(
            "spec.invalid",
            text!(
                "the spec of a {kind} does not fit: {why}",
                "{kind}의 spec이 맞지 않습니다: {why}"
            ),
        )
        .hint(text!(
            "`naru explain {kind}` lists its fields",
            "`naru explain {kind}`가 필드를 보여 줍니다"
        ))
    })?;
    typed.check()?;
    serde_json::to_value(typed).map_err(Error::internal)
}
