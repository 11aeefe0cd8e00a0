//! Resources in a file: one or more YAML (or JSON) documents.

use kernel::resource::Labels;
use kernel::{Error, Name, Result, text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One document of a manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub kind: String,
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Name>,
    /// Left out, those of the resource stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    #[serde(default)]
    pub spec: Value,
}

/// The documents of a file, in order.
///
/// # Errors
/// `manifest.invalid`, with the line where one does not fit.
pub fn read_documents(file: &str, words: &str) -> Result<Vec<Document>> {
    serde_saphyr::from_multiple::<Document>(words).map_err(|e| {
        let why = e.to_string();
        let first = why.lines().next().unwrap_or("").to_owned();
        let at = e.location();
        let error = Error::invalid(
            "manifest.invalid",
            text!("the manifest cannot be read: {first}", "매니페스트를 읽을 수 없습니다: {first}"),
        )
        .hint(text!(
            "each document has `kind`, `name` and `spec`; `naru explain KIND` lists the fields",
            "각 문서에는 `kind`, `name`, `spec`이 있습니다. `naru explain KIND`가 필드를 보여 줍니다"
        ));
        match at {
            Some(at) => error.at(file, at.line() as u32, at.column() as u32),
            None => error,
        }
    })
}
