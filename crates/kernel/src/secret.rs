//! Text that nobody may read by accident.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret value. It prints as `[SECRET]`, compares in a time that does not tell where two differ, is not
/// `Serialize`, and its memory is overwritten when it is dropped. Whoever needs what is in it has to say so
/// with [`SecretText::reveal`].
#[derive(Clone, Default)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub fn new(words: impl Into<String>) -> SecretText {
        SecretText(Zeroizing::new(words.into()))
    }

    /// The value itself: for whoever it is meant for, never for a log, an event or an error.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &SecretText) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretText {}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[SECRET]")
    }
}

impl From<String> for SecretText {
    fn from(words: String) -> SecretText {
        SecretText::new(words)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SecretText, D::Error> {
        String::deserialize(d).map(SecretText::new)
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretText".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_show_what_it_holds() {
        let secret = SecretText::new("hunter2-hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[SECRET] Some([SECRET])");
        assert_eq!(secret, SecretText::new("hunter2-hunter2"));
        assert_ne!(secret, SecretText::new("hunter2-hunter3"));
        assert_ne!(secret, SecretText::new("hunter2"));
        let read: SecretText = serde_json::from_str("\"hunter2-hunter2\"").unwrap();
        assert_eq!(read.reveal(), secret.reveal());
    }
}
