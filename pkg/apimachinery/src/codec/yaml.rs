//! YAML 1.1, which upstream reads by turning it into JSON first (upstream: sigs.k8s.io/yaml over go-yaml v2).
//!
//! The one module that knows serde-saphyr, so that it can be replaced.

mod duplicates;

use serde_json::Value;
use serde_saphyr::{Budget, DuplicateKeyPolicy, Options};

use self::duplicates::Duplicates;
use super::json::{self, DecodeError, Decoded};
use crate::field::quote;
use crate::schema::{Schema, TypeId};

/// Largest number of nodes in one document.
const MAX_NODES: usize = 5_000_000;
/// Largest number of nodes that aliases may add.
const MAX_REPLAYED: usize = 200_000;

/// Parses one document to a tree of no known type; the second part lists duplicate keys in go-yaml's words.
///
/// # Errors
/// When the text is no YAML, nests too deep or expands beyond reason.
pub fn parse(text: &str) -> Result<(Value, Vec<String>), DecodeError> {
    let fail = |error: &serde_saphyr::Error| {
        let plain = error.without_snippet();
        let line = plain.location().map_or(0, |location| location.line());
        DecodeError::Syntax(format!("error converting YAML to JSON: yaml: line {line}: {plain}"))
    };
    let strict = match serde_saphyr::from_str_with_options::<Value>(text, options(DuplicateKeyPolicy::Error)) {
        Ok(tree) => return Ok((tree, Vec::new())),
        Err(error) => match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { key, location } => {
                let first = || {
                    let key = quote(key.as_deref().unwrap_or_default());
                    vec![format!("line {}: key {key} already set in map", location.line())]
                };
                let all = serde_saphyr::from_str_with_options(text, options(DuplicateKeyPolicy::LastWins));
                let lines = all.map_or_else(|_| first(), |Duplicates(all)| all);
                format!("yaml: unmarshal errors:\n  {}", lines.join("\n  "))
            }
            // An empty document is null.
            serde_saphyr::Error::Eof { .. } => return Ok((Value::Null, Vec::new())),
            _ => return Err(fail(&error)),
        },
    };
    match serde_saphyr::from_str_with_options::<Value>(text, options(DuplicateKeyPolicy::LastWins)) {
        Ok(tree) => Ok((tree, vec![strict])),
        Err(error) => Err(fail(&error)),
    }
}

/// Turns one document into JSON; the second part lists duplicate keys.
///
/// # Errors
/// As [`parse`].
pub fn to_json(bytes: &[u8]) -> Result<(Vec<u8>, Vec<String>), DecodeError> {
    let (tree, strict) = parse(&String::from_utf8_lossy(bytes))?;
    Ok((json::encode(&tree), strict))
}

/// Decodes one document as an object of a known type.
///
/// # Errors
/// As [`parse`] and [`json::decode`].
pub fn decode(schema: &Schema, ty: TypeId, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let (text, mut strict) = to_json(bytes)?;
    let mut out = json::decode(schema, ty, &text)?;
    strict.append(&mut out.strict);
    out.strict = strict;
    Ok(out)
}

/// Writes a tree as YAML that a YAML 1.1 reader understands (texts such as `yes` are quoted).
///
/// # Errors
/// Never for trees of JSON; the writer's interface has errors.
pub fn encode(tree: &Value) -> Result<String, DecodeError> {
    serde_saphyr::to_string(tree).map_err(|error| DecodeError::Syntax(error.to_string()))
}

/// Splits a stream at its `---` lines; documents of white space and comments only are left out.
pub fn documents(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with(' '));
        if marker {
            out.push(&text[start..at]);
            start = if line[3..].trim().is_empty() { end } else { at };
        }
        at = end;
    }
    out.push(&text[start..]);
    out.retain(|document| {
        document
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    out
}

fn options(duplicates: DuplicateKeyPolicy) -> Options {
    let mut budget = Budget::default();
    budget.max_nodes = MAX_NODES;
    budget.max_events = 2 * MAX_NODES;
    budget.max_depth = super::MAX_DEPTH;
    let mut out = Options::default();
    out.budget = Some(budget);
    out.alias_limits.max_total_replayed_events = MAX_REPLAYED;
    out.duplicate_keys = duplicates;
    out.legacy_octal_numbers = true;
    out.with_snippet = false;
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_1_1_is_read() {
        let (tree, strict) = parse("a: yes\nb: 0777\nc: 'yes'\nd: ~\ne: [1, 1.5, x]\n1: y\n").unwrap();
        assert_eq!(
            tree,
            json!({"a": true, "b": 511, "c": "yes", "d": null, "e": [1, 1.5, "x"], "1": true})
        );
        assert!(strict.is_empty());
    }

    #[test]
    fn duplicates_are_reported_and_the_last_wins() {
        let (tree, strict) = parse("a: 1\na: 2\n").unwrap();
        assert_eq!(tree, json!({"a": 2}));
        assert_eq!(
            strict,
            ["yaml: unmarshal errors:\n  line 2: key \"a\" already set in map"]
        );
        let (_, strict) = parse("\na: 1\nb:\n  - c: 1\n    c: 2\na:\n  d: [x]\n  d: y\n").unwrap();
        let lines: Vec<&str> = strict[0].lines().collect();
        let expected = [
            "yaml: unmarshal errors:",
            "  line 5: key \"c\" already set in map",
            "  line 8: key \"d\" already set in map",
            "  line 7: key \"a\" already set in map",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn streams_are_split() {
        let text = "# head\n---\na: 1\n---\n# nothing\n---\nb: '---'\n--- \nc: |\n  ---\n";
        assert_eq!(documents(text), ["a: 1\n", "b: '---'\n", "c: |\n  ---\n"]);
        assert_eq!(parse("").unwrap().0, Value::Null);
    }

    #[test]
    fn wrong_texts_and_bombs_are_refused() {
        assert!(parse("a: [").is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        assert!(parse(bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn texts_that_look_like_booleans_are_quoted() {
        let text = encode(&json!({"a": "yes", "b": "0777"})).unwrap();
        assert_eq!(parse(&text).unwrap().0, json!({"a": "yes", "b": "0777"}));
        assert!(text.contains("\"yes\"") || text.contains("'yes'"), "{text}");
    }
}
