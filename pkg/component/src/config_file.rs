//! Configuration files: YAML or JSON documents with `apiVersion` and `kind`.

use serde_json::Value;

/// Reads a file and checks what it claims to be; both fields stay in the value.
///
/// # Errors
/// The file cannot be read or parsed, or is of another kind (upstream's texts).
pub fn load(path: &str, api_version: &str, kind: &str) -> anyhow::Result<Value> {
    load_any(path, &[api_version], kind)
}

/// As [`load`], of one of several versions.
///
/// # Errors
/// As [`load`].
pub fn load_any(path: &str, api_versions: &[&str], kind: &str) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("open {path}: {error}"))?;
    let value = parse(&text).map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (has_version, has_kind) = (field("apiVersion"), field("kind"));
    anyhow::ensure!(!has_kind.is_empty(), "{path}: Object 'Kind' is missing in file");
    anyhow::ensure!(
        !has_version.is_empty(),
        "{path}: Object 'apiVersion' is missing in file"
    );
    anyhow::ensure!(
        has_kind == kind && api_versions.contains(&has_version.as_str()),
        "{path}: no kind {has_kind:?} is registered for version {has_version:?}"
    );
    Ok(value)
}

/// Decodes a configuration type, which says `deny_unknown_fields`, with upstream's text for fields it
/// does not know.
///
/// # Errors
/// An unknown field, or a value of the wrong type.
pub fn decode_strict<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        match text
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split('`').next())
        {
            Some(field) => format!("strict decoding error: unknown field {field:?}"),
            None => format!("strict decoding error: {text}"),
        }
    })
}

/// A YAML or JSON text by Kubernetes' rules; an empty text is an empty object, a key given twice an
/// error.
///
/// # Errors
/// Syntax, in the parser's words.
pub fn parse(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let (value, duplicates) = apimachinery::codec::yaml::parse(text).map_err(|error| error.to_string())?;
    if duplicates.is_empty() {
        Ok(value)
    } else {
        Err(duplicates.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        a: i64,
    }

    #[test]
    fn unknown_fields_are_named_as_upstream_does() {
        assert_eq!(super::decode_strict(serde_json::json!({"a": 1})), Ok(Small { a: 1 }));
        let error = super::decode_strict::<Small>(serde_json::json!({"a": 1, "b": 2})).unwrap_err();
        assert_eq!(error, "strict decoding error: unknown field \"b\"");
    }

    #[test]
    fn yaml_is_read_and_a_repeated_key_refused() {
        assert_eq!(
            super::parse("a: 1\nb: [x]\n"),
            Ok(serde_json::json!({"a": 1, "b": ["x"]}))
        );
        assert!(super::parse("a: 1\na: 2\n").is_err());
    }
}
