//! The patches a client may send, each applied to an untyped object.
//!
//! - [`json`]: a list of operations (RFC 6902);
//! - [`merge`]: a partial object (RFC 7386);
//! - [`strategic`]: a partial object merged by the schema table's patch strategies and keys;
//! - [`apply`]: a configuration merged with regard to who owns which field (server-side apply).
//!
//! A patch yields a tree that must be decoded by the table again ([`crate::codec::json::conform`]): it may contain
//! anything.

use std::fmt;

use serde_json::Value;

use crate::status::{ApiError, reason};

pub mod apply;
mod go;
pub mod json;
pub mod merge;
pub mod strategic;

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The patch itself is malformed: 400 with this text.
    Malformed(String),
    /// The patch does not apply to this object: 422. Upstream hides the text from clients.
    Inapplicable(String),
    /// The patch is refused as a whole: 500 with this text (upstream gives the error no status).
    Failed(String),
    /// The patch has too many operations: 413 with this text.
    TooLarge(String),
}

impl Error {
    /// The error as a client sees it (upstream: apiserver `handlers/patch.go`).
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::Malformed(text) => ApiError::bad_request(text.clone()),
            Self::Inapplicable(_) => {
                let text = "the server rejected our request due to an error in our request";
                let mut error = ApiError::generic(422, reason::INVALID, text);
                error.details = Some(Box::default());
                error
            }
            Self::Failed(text) => ApiError::generic(500, "", text.clone()),
            Self::TooLarge(text) => ApiError::too_large(text),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) | Self::Inapplicable(text) | Self::Failed(text) | Self::TooLarge(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for Error {}

/// A value as Go prints it in a text: `map[a:1]`.
pub fn go_text(value: &Value) -> String {
    go::plain(value)
}

/// What `encoding/json` says of a value that is not of a type of Go.
fn cannot_unmarshal(value: &Value, into: &str) -> String {
    let form = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {form} into Go value of type {into}")
}
