//! Field paths and field errors (upstream: apimachinery `util/validation/field`).

use std::fmt;

use serde_json::Value;

/// Where in an object an error is: `spec.containers[0].image`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

/// A value as an error message shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum BadValue {
    /// The value is left out of the message.
    Omitted,
    /// Shown as `null`.
    Null,
    /// Shown quoted, as Go's `%q`.
    Text(String),
    /// Shown as is: numbers, booleans, already formatted structures.
    Raw(String),
}

/// What kind of rule a value broke; the text is the `Status` cause's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// `FieldValueNotFound`
    NotFound,
    /// `FieldValueRequired`
    Required,
    /// `FieldValueDuplicate`
    Duplicate,
    /// `FieldValueInvalid`
    Invalid,
    /// `FieldValueNotSupported`
    NotSupported,
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
    /// `FieldValueTooMany`
    TooMany,
    /// `InternalError`
    Internal,
}

/// One broken rule at one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The kind of rule.
    pub kind: ErrorType,
    /// The field's path as text.
    pub field: String,
    /// The offending value.
    pub bad_value: BadValue,
    /// What the rule asks for.
    pub detail: String,
}

/// All broken rules of one object, in the order they were found.
pub type ErrorList = Vec<Error>;

// === impl Path ===

impl Path {
    /// A path of one name.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The path of the object itself (upstream's nil path, printed `<nil>` in an error's field).
    pub fn root() -> Self {
        Self::default()
    }

    /// The named field below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + 1 + name.len());
        text.push_str(&self.0);
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(name);
        Self(text)
    }

    /// The element at `index` of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The entry under `key` of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text, empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

// === impl BadValue ===

impl BadValue {
    /// A value shown unquoted, by its `Display`.
    pub fn raw(value: impl fmt::Display) -> Self {
        Self::Raw(value.to_string())
    }

    /// A text whose type in Go has a name of its own (`types.UID`, enumerations): shown as JSON, not as `%q`.
    pub fn named(value: &str) -> Self {
        Self::Raw(escape_html(Value::from(value).to_string()))
    }
}

impl From<&str> for BadValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for BadValue {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for BadValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&Value> for BadValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::String(text) => Self::Text(text.clone()),
            other => Self::Raw(escape_html(other.to_string())),
        }
    }
}

impl<T: Into<BadValue>> From<Option<T>> for BadValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! raw_bad_values {
    ($($kind:ty),*) => {$(
        impl From<$kind> for BadValue {
            fn from(value: $kind) -> Self { Self::Raw(value.to_string()) }
        }
        impl From<&$kind> for BadValue {
            fn from(value: &$kind) -> Self { Self::Raw(value.to_string()) }
        }
    )*};
}
raw_bad_values!(bool, i32, i64, u16, u32, u64, usize, f64);

// === impl ErrorType ===

impl ErrorType {
    /// The reason put into a `Status` cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

// === impl Error ===

impl Error {
    fn new(kind: ErrorType, path: &Path, bad_value: BadValue, detail: impl Into<String>) -> Self {
        Self {
            kind,
            field: path.to_string(),
            bad_value,
            detail: detail.into(),
        }
    }

    /// A value that must be given is missing or empty.
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Required, path, BadValue::Omitted, detail)
    }

    /// A value is malformed or out of bounds.
    pub fn invalid(path: &Path, value: impl Into<BadValue>, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Invalid, path, value.into(), detail)
    }

    /// A value is not one of the allowed ones. They are shown in the order given (upstream sorts sets).
    pub fn not_supported<S: AsRef<str>>(path: &Path, value: impl Into<BadValue>, allowed: &[S]) -> Self {
        let mut detail = String::new();
        if !allowed.is_empty() {
            let quoted: Vec<String> = allowed.iter().map(|one| quote(one.as_ref())).collect();
            detail = format!("supported values: {}", quoted.join(", "));
        }
        Self::new(ErrorType::NotSupported, path, value.into(), detail)
    }

    /// A value that must be unique occurs again.
    pub fn duplicate(path: &Path, value: impl Into<BadValue>) -> Self {
        Self::new(ErrorType::Duplicate, path, value.into(), "")
    }

    /// A valid value is not permitted here and now.
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Forbidden, path, BadValue::Omitted, detail)
    }

    /// A string is longer than `max` bytes. The value itself is never shown.
    pub fn too_long(path: &Path, max: usize) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::new(
            ErrorType::TooLong,
            path,
            BadValue::Omitted,
            format!("may not be more than {max} {unit}"),
        )
    }

    /// A list has more than `max` items.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(
            ErrorType::TooMany,
            path,
            actual.into(),
            format!("must have at most {max} {unit}"),
        )
    }

    /// A value that refers to something refers to nothing.
    pub fn not_found(path: &Path, value: impl Into<BadValue>) -> Self {
        Self::new(ErrorType::NotFound, path, value.into(), "")
    }

    /// The check itself failed.
    pub fn internal(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Internal, path, BadValue::Omitted, detail)
    }

    /// The message without the field name, as it stands in a `Status` cause.
    pub fn body(&self) -> String {
        use ErrorType::{Forbidden, Internal, Required, TooLong};
        let mut text = self.kind.text().to_owned();
        if !matches!(self.kind, Required | Forbidden | TooLong | Internal) {
            match &self.bad_value {
                BadValue::Omitted => {}
                BadValue::Null => text.push_str(": null"),
                BadValue::Text(value) => {
                    text.push_str(": ");
                    text.push_str(&quote(value));
                }
                BadValue::Raw(value) => {
                    text.push_str(": ");
                    text.push_str(value);
                }
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl std::error::Error for Error {}

/// The text of a list: one error as is, several as `[a, b]`, equal texts once (upstream: `ErrorList.ToAggregate`,
/// `errors.NewAggregate`). None when the list is empty.
pub fn aggregate<E: fmt::Display>(errors: &[E]) -> Option<String> {
    let mut texts: Vec<String> = Vec::with_capacity(errors.len());
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.len() {
        0 => None,
        1 => texts.pop(),
        _ => Some(format!("[{}]", texts.join(", "))),
    }
}

/// JSON as Go's `json.Marshal` writes it, given any other writer's: characters that mean something in HTML or end
/// lines in JavaScript are escaped. JSON has them only in texts.
pub fn escape_html(json: String) -> String {
    const ESCAPED: [(char, &str); 5] = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    if !json.contains(ESCAPED.map(|(c, _)| c)) {
        return json;
    }
    ESCAPED.iter().fold(json, |json, (c, text)| json.replace(*c, text))
}

/// Quotes as Go's `%q` does.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || c == '\u{feff}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_upstreams() {
        let path = Path::new("spec").child("containers").index(0);
        assert_eq!(
            Error::invalid(&path.child("name"), "Y", "must be lower case").to_string(),
            "spec.containers[0].name: Invalid value: \"Y\": must be lower case"
        );
        assert_eq!(
            Error::invalid(&path, 3, "m").to_string(),
            "spec.containers[0]: Invalid value: 3: m"
        );
        assert_eq!(
            Error::required(&path.key("a"), "").to_string(),
            "spec.containers[0][a]: Required value"
        );
        assert_eq!(
            Error::not_supported(&Path::new("p"), "x", &["A", "B"]).to_string(),
            "p: Unsupported value: \"x\": supported values: \"A\", \"B\""
        );
        assert_eq!(
            Error::too_long(&Path::new("p"), 63).to_string(),
            "p: Too long: may not be more than 63 bytes"
        );
        assert_eq!(
            Error::too_many(&Path::new("p"), 5, 3).to_string(),
            "p: Too many: 5: must have at most 3 items"
        );
    }

    #[test]
    fn structures_are_escaped_as_gos_json_and_texts_are_not() {
        let path = Path::new("p");
        let list = serde_json::json!(["<&>"]);
        assert_eq!(
            Error::invalid(&path, &list, "").to_string(),
            "p: Invalid value: [\"\\u003c\\u0026\\u003e\"]"
        );
        assert_eq!(
            Error::invalid(&path, "<&>", "").to_string(),
            "p: Invalid value: \"<&>\""
        );
    }

    #[test]
    fn equal_errors_are_listed_once() {
        let error = Error::required(&Path::new("a"), "");
        assert_eq!(
            aggregate(&[error.clone(), error.clone()]).as_deref(),
            Some("a: Required value")
        );
        let other = Error::forbidden(&Path::new("b"), "no");
        assert_eq!(
            aggregate(&[error, other]).as_deref(),
            Some("[a: Required value, b: Forbidden: no]")
        );
        assert_eq!(aggregate::<Error>(&[]), None);
    }
}
