//! JSON, decoded strictly by the table in one pass (upstream: sigs.k8s.io/json, apimachinery `serializer/json`).
//!
//! Names are case-sensitive. Unknown and duplicate fields do not fail the decoding: they are reported beside the
//! object, because the request's `fieldValidation` decides whether they are errors, warnings or nothing. A value of
//! the wrong type is an error, with the text Go's decoder has for it.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::field::quote;
use crate::gvk::GroupVersionKind;
use crate::meta;
use crate::schema::{Schema, TypeId};
use crate::status::ApiError;

mod decoder;
mod lexer;
#[cfg(test)]
mod tests;

pub(crate) use decoder::{is_zero, zero};

/// A decoded object and what strict decoding objects to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The object, normalised.
    pub object: Value,
    /// `unknown field "spec.x"`, `duplicate field "spec.y"`; at most 100.
    pub strict: Vec<String>,
    /// Lists and maps that were given and empty, which the object goes without, with their JSON pointers: rules may
    /// tell them from absent ones. At most 100.
    pub empty: Vec<(String, Value)>,
}

/// Why a text could not be decoded. The texts are those of Go's decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The text is no JSON.
    Syntax(String),
    /// A value has the wrong type for its field.
    Type(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) | Self::Type(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes an object of a known type.
///
/// # Errors
/// When the text is no JSON, nests too deep, or a value has the wrong type.
pub fn decode(schema: &Schema, ty: TypeId, bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let text = text_of(bytes);
    decoder::Decoder::new(schema, &text).document(ty)
}

/// Decodes an untyped tree (after a patch, from YAML) as an object of a known type.
///
/// # Errors
/// As [`decode`].
pub fn conform(schema: &Schema, ty: TypeId, tree: &Value) -> Result<Decoded, DecodeError> {
    decode(schema, ty, &encode(tree))
}

/// Parses JSON of no known type: integers that fit stay exact, nulls stay, duplicate keys are reported.
///
/// # Errors
/// When the text is no JSON or nests too deep.
pub fn parse(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let text = text_of(bytes);
    decoder::Decoder::new(empty(), &text).untyped()
}

/// As [`parse`], for bytes of our own: duplicate keys are not reported, which is faster.
///
/// # Errors
/// When the text is no JSON or nests too deep.
pub(crate) fn parse_quietly(bytes: &[u8]) -> Result<Value, DecodeError> {
    let text = text_of(bytes);
    decoder::Decoder::new(empty(), &text)
        .quiet()
        .untyped()
        .map(|out| out.object)
}

/// Writes a tree as compact JSON.
pub fn encode(tree: &Value) -> Vec<u8> {
    serde_json::to_vec(tree).expect("a tree with text keys always serialises")
}

/// Reads only `apiVersion` and `kind`; absent ones are empty (upstream: `SimpleMetaFactory.Interpret`).
///
/// # Errors
/// When the text is no JSON object or one of the two is no text.
pub fn type_meta(bytes: &[u8]) -> Result<(String, String), DecodeError> {
    let text = text_of(bytes);
    decoder::Decoder::new(empty(), &text).type_meta()
}

/// The error text strict decoding ends with.
pub fn strict_error(findings: &[String]) -> String {
    format!("strict decoding error: {}", findings.join(", "))
}

/// 400 for a body that cannot be decoded as the expected kind (upstream: apiserver `transformDecodeError`).
pub fn cannot_be_handled(actual: &GroupVersionKind, expected_kind: &str, why: impl fmt::Display) -> ApiError {
    ApiError::bad_request(format!(
        "{} in version {} cannot be handled as a {expected_kind}: {why}",
        actual.kind,
        quote(&actual.version)
    ))
}

/// 400 for a body in which no object can be seen at all (upstream: apiserver `transformDecodeError`).
pub fn unrecognized(expected: &GroupVersionKind, body: &[u8], why: impl fmt::Display) -> ApiError {
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why} ({})",
        expected.kind,
        summary(body)
    ))
}

/// Decodes a request's body that should be of the `expected` kind.
///
/// A body without `apiVersion` and `kind` gets the expected ones. A body of another version of the same kind is
/// decoded as that version; the caller compares and converts.
///
/// # Errors
/// 400 with upstream's text when the body is no JSON, of an unknown kind, of a kind other than the expected, or has
/// a value of the wrong type.
pub fn decode_request(schema: &Schema, expected: &GroupVersionKind, body: &[u8]) -> Result<Decoded, ApiError> {
    let unrecognized = |why: &dyn fmt::Display| unrecognized(expected, body, why);
    let (api_version, kind) = type_meta(body)
        .map_err(|error| unrecognized(&format!("couldn't get version/kind; json parse error: {error}")))?;
    let (actual, ty) = resolve(schema, expected, body, &api_version, &kind)?;
    let mut out = decode(schema, ty, body).map_err(|error| cannot_be_handled(&actual, &expected.kind, error))?;
    if out.object.is_null() {
        out.object = Value::Object(serde_json::Map::new());
    }
    meta::set_gvk(&mut out.object, &actual.api_version(), &actual.kind);
    Ok(out)
}

/// The kind a body says it is (what it leaves out is as expected), and its type.
///
/// # Errors
/// 400 when the version is no version, the kind is unknown, or another than the expected.
pub fn resolve(
    schema: &Schema,
    expected: &GroupVersionKind,
    body: &[u8],
    api_version: &str,
    kind: &str,
) -> Result<(GroupVersionKind, TypeId), ApiError> {
    let mut actual = expected.clone();
    if !kind.is_empty() {
        actual.kind = kind.to_owned().into();
    }
    if !api_version.is_empty() {
        let parsed = crate::gvk::GroupVersion::parse(api_version);
        let parsed = parsed.map_err(|error| unrecognized(expected, body, error))?;
        actual.group = parsed.group;
        actual.version = parsed.version;
    }
    let ty = schema.kind(&actual).ok_or_else(|| {
        let scheme = "pkg/api/legacyscheme/scheme.go:30";
        let why = format!(
            "no kind {} is registered for version {} in scheme {}",
            quote(&actual.kind),
            quote(&actual.api_version()),
            quote(scheme)
        );
        cannot_be_handled(&actual, &expected.kind, why)
    })?;
    if actual.kind != expected.kind {
        let package = crate::schema::group_prefix(&expected.group);
        let why = format!(
            "converting ({}.{}) to ({package}.{}): unknown conversion",
            actual.version, actual.kind, expected.kind
        );
        return Err(cannot_be_handled(&actual, &expected.kind, why));
    }
    Ok((actual, ty))
}

/// The start of a body as an error shows it (upstream: apiserver `summarizeData`).
fn summary(body: &[u8]) -> String {
    const MAX: usize = 30;
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') if body.len() > MAX => format!("{} ...", String::from_utf8_lossy(&body[..MAX])),
        Some(b'{') => String::from_utf8_lossy(body).into_owned(),
        Some(_) => {
            let hex: String = body.iter().take(MAX).map(|byte| format!("{byte:02x}")).collect();
            if body.len() > MAX { format!("{hex} ...") } else { hex }
        }
    }
}

/// The bytes as text; like Go's decoder, bytes that are no UTF-8 become U+FFFD. The check comes first because it is
/// several times faster than the lossy conversion.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn empty() -> &'static Schema {
    static EMPTY: std::sync::LazyLock<Schema> =
        std::sync::LazyLock::new(|| Schema::parse("").expect("an empty table is valid"));
    &EMPTY
}
