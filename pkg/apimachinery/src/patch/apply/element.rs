//! One step of a field path, in the order and with the texts of upstream
//! (structured-merge-diff `fieldpath/element.go`, `serialize-pe.go`).

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use crate::field::{escape_html, quote};

/// One step of a field path.
#[derive(Clone, Debug)]
pub enum Element {
    /// The field of a struct or the entry of a map: `f:name`.
    Field(Box<str>),
    /// The element of a list of structs that has these keys, in the order of their names: `k:{"name":"x"}`.
    Key(Box<[(Box<str>, Value)]>),
    /// The element of a set: `v:"x"`.
    Value(Value),
    /// The element at a position: `i:3`.
    Index(i64),
}

impl Element {
    /// A field's element.
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// The element of the struct with these keys.
    pub fn key(mut keys: Vec<(Box<str>, Value)>) -> Self {
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Key(keys.into())
    }

    /// The element as a name in `fieldsV1`.
    pub fn to_name(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let mut out = String::from("k:{");
                for (at, (name, value)) in keys.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    out.push_str(&format!("{comma}{}:{}", go_json(&Value::from(&**name)), go_json(value)));
                }
                out.push('}');
                out
            }
            Self::Value(value) => format!("v:{}", go_json(value)),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    /// Reads a name of `fieldsV1`; None for kinds of elements a later version may know.
    ///
    /// # Errors
    /// When the name is malformed.
    pub fn from_name(name: &str) -> Result<Option<Self>, String> {
        if name.len() < 2 {
            return Err("key must be 2 characters long:".to_owned());
        }
        if name.as_bytes()[1] != b':' {
            return Err(format!("missing colon: {name}"));
        }
        let (kind, rest) = (name.as_bytes()[0], &name[2..]);
        Ok(Some(match kind {
            b'f' => Self::field(rest),
            b'v' => Self::Value(serde_json::from_str(rest).map_err(|error| error.to_string())?),
            b'k' => {
                let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|error| error.to_string())?;
                Self::key(keys.into_iter().map(|(name, value)| (name.into(), value)).collect())
            }
            b'i' => Self::Index(rest.parse().map_err(|_| format!("invalid index: {rest}"))?),
            _ => return Ok(None),
        }))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

/// As Go's `encoding/json` writes it.
fn go_json(value: &Value) -> String {
    escape_html(value.to_string())
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => {
                for (a, b) in a.iter().zip(b.iter()) {
                    let order = a.0.cmp(&b.0).then_with(|| compare(&a.1, &b.1));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            (Self::Value(a), Self::Value(b)) => compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={}", readable(value)))
                    .collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={}]", readable(value)),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

/// A value in a path's text (structured-merge-diff `value.ToString`).
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(list) => format!("[{}]", list.iter().map(readable).collect::<Vec<_>>().join(",")),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| format!("{name}={}", readable(value)))
            .collect(),
        other => other.to_string(),
    }
}

/// A total order of values: numbers, texts, booleans, lists, maps, null (structured-merge-diff `value.Compare`).
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => {
                let number = |n: &serde_json::Number| n.as_f64().unwrap_or_default();
                // JSON has no NaN, but a zero with a sign.
                number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal)
            }
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let first = a.iter().zip(b).map(|(a, b)| compare(a, b));
            first
                .into_iter()
                .find(|order| *order != Ordering::Equal)
                .unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let first = a
                .iter()
                .zip(b)
                .map(|((x, a), (y, b))| x.cmp(y).then_with(|| compare(a, b)));
            first
                .into_iter()
                .find(|order| *order != Ordering::Equal)
                .unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Equality under [`compare`]: `1` equals `1.0`.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    a == b || compare(a, b) == Ordering::Equal
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}
