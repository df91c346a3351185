//! Kubernetes protobuf, by the table (upstream: apimachinery `runtime/serializer/protobuf`, the generated `.proto`).
//!
//! An object on the wire is the magic `k8s\0` and a `runtime.Unknown` that holds `apiVersion`, `kind` and the bytes of
//! the message. Fields are written in tag order as Go writes them, but zero values that Go would leave out of JSON
//! are not written: readers take them for zero anyway.
//!
//! Decoding trusts nothing: lengths are checked against the input, nesting against [`super::MAX_DEPTH`], and no input
//! panics.

use std::fmt;

use serde_json::{Map, Value};

use crate::meta;
use crate::schema::{Schema, TypeId};

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;
mod wire;

/// What every object in Kubernetes protobuf starts with.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// Why bytes could not be decoded, or a tree not be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes do not start with [`MAGIC`].
    NotKubernetes,
    /// The bytes end within a value.
    Truncated,
    /// A varint, wire type or tag is malformed.
    Malformed(&'static str),
    /// A field has another wire type than its kind.
    WireType {
        /// The field's JSON name.
        field: String,
        /// What was found.
        wire: u8,
    },
    /// Messages nest too deep.
    TooDeep,
    /// A value is not valid for its kind, such as a quantity.
    Value {
        /// The field's JSON name.
        field: String,
        /// What is wrong.
        what: String,
    },
    /// The table has no such kind.
    UnknownKind(String),
    /// The tree has a field the type lacks.
    UnknownField(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Texts of upstream's serializer where it has one.
            Self::NotKubernetes => {
                f.write_str("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
            }
            Self::Truncated => f.write_str("unexpected EOF"),
            Self::Malformed(what) => write!(f, "proto: {what}"),
            Self::WireType { field, wire } => write!(f, "proto: wrong wireType = {wire} for field {field}"),
            Self::TooDeep => f.write_str("proto: exceeded max depth"),
            Self::Value { field, what } => write!(f, "field {field}: {what}"),
            Self::UnknownKind(kind) => write!(f, "no kind {kind} in the schema table"),
            Self::UnknownField(field) => write!(f, "field {field} is not in the schema table"),
        }
    }
}

impl std::error::Error for Error {}

/// The envelope of an object, borrowed from its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// `apiVersion`
    pub api_version: &'a str,
    /// `kind`
    pub kind: &'a str,
    /// The message's bytes.
    pub raw: &'a [u8],
    /// Compression of `raw`; always empty today.
    pub content_encoding: &'a str,
    /// Media type of `raw`; empty = protobuf.
    pub content_type: &'a str,
}

/// Whether bytes are an object in Kubernetes protobuf.
pub fn is_proto(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Encodes an object that carries `apiVersion` and `kind`, with its envelope.
///
/// # Errors
/// When the table lacks the kind or a field, or a value does not fit its kind.
pub fn encode_object(schema: &Schema, object: &Value) -> Result<Vec<u8>, Error> {
    let (api_version, kind) = (meta::api_version(object), meta::kind(object));
    let ty = find(schema, api_version, kind)?;
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(MAGIC);
    wire::nested(&mut out, 1, |out| {
        wire::text(out, 1, api_version);
        wire::text(out, 2, kind);
    });
    let mut failed = Ok(());
    wire::nested(&mut out, 2, |out| {
        failed = encoder::Encoder::new(schema, out, &mut false).message(ty, object)
    });
    failed?;
    // Go writes the two empty texts.
    wire::text(&mut out, 3, "");
    wire::text(&mut out, 4, "");
    Ok(out)
}

/// Encodes a bare message of a type, without envelope.
///
/// # Errors
/// As [`encode_object`].
pub fn encode(schema: &Schema, ty: TypeId, object: &Value) -> Result<Vec<u8>, Error> {
    message(schema, ty, object).map(|message| message.bytes)
}

/// A message without envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is on the wire.
    pub bytes: Vec<u8>,
    /// The bytes are read as the very tree they were made of, but for the envelope's `apiVersion` and `kind`. When this
    /// is false they may be: it is said of trees without empty lists, zeros that are left out, and their like.
    pub faithful: bool,
}

/// As [`encode`], and tells whether who has the tree need not read the bytes to know what others will.
///
/// # Errors
/// As [`encode_object`].
pub fn message(schema: &Schema, ty: TypeId, object: &Value) -> Result<Message, Error> {
    let (mut bytes, mut differs) = (Vec::with_capacity(1024), false);
    encoder::Encoder::new(schema, &mut bytes, &mut differs).message(ty, object)?;
    Ok(Message {
        bytes,
        faithful: !differs,
    })
}

/// An object's message with `metadata.resourceVersion`, put where Go writes it: `metadata` is the first field of every
/// object, and the version is number 6 of its own. `None` when the message has no metadata there, has a version already,
/// or is malformed.
pub fn with_resource_version(message: &[u8], version: &str) -> Option<Vec<u8>> {
    const METADATA: (u32, u8) = (1, 2);
    const VERSION: u32 = 6;
    let mut reader = wire::Reader::new(message);
    if reader.key().ok()?? != METADATA {
        return None;
    }
    let metadata = reader.delimited().ok()?;
    let mut fields = wire::Reader::new(metadata);
    let mut before = 0;
    while let Some((tag, wire)) = fields.key().ok()? {
        match tag {
            VERSION => return None,
            _ if tag > VERSION => break,
            _ => fields.skip(wire).ok()?,
        }
        before = metadata.len() - fields.rest().len();
    }
    let mut out = Vec::with_capacity(message.len() + version.len() + 8);
    wire::nested(&mut out, METADATA.0, |out| {
        out.extend_from_slice(&metadata[..before]);
        wire::text(out, VERSION, version);
        out.extend_from_slice(&metadata[before..]);
    });
    out.extend_from_slice(reader.rest());
    Some(out)
}

/// Wraps message bytes into the envelope.
pub fn wrap(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = envelope(api_version, kind, raw.len());
    out.extend_from_slice(raw);
    out.extend_from_slice(ENVELOPE_END);
    out
}

/// The envelope of a message of `len` bytes up to the message; behind it comes [`ENVELOPE_END`]. There is room for up to
/// 64 KiB of the message.
pub fn envelope(api_version: &str, kind: &str, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len.min(64 << 10) + api_version.len() + kind.len() + 32);
    out.extend_from_slice(MAGIC);
    wire::nested(&mut out, 1, |out| {
        wire::text(out, 1, api_version);
        wire::text(out, 2, kind);
    });
    wire::key(&mut out, 2, 2);
    wire::varint(&mut out, len as u64);
    out
}

/// What stands behind a message in its envelope: the two empty texts that Go writes.
pub const ENVELOPE_END: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// Opens the envelope.
///
/// # Errors
/// When the magic is missing or the envelope is malformed.
pub fn unwrap(bytes: &[u8]) -> Result<Unknown<'_>, Error> {
    let rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(Error::NotKubernetes)?;
    let mut out = Unknown::default();
    let mut reader = wire::Reader::new(rest);
    while let Some((tag, wire)) = reader.key()? {
        match (tag, wire) {
            (1, 2) => {
                let mut inner = wire::Reader::new(reader.delimited()?);
                while let Some((tag, wire)) = inner.key()? {
                    match (tag, wire) {
                        (1, 2) => out.api_version = inner.str()?,
                        (2, 2) => out.kind = inner.str()?,
                        _ => inner.skip(wire)?,
                    }
                }
            }
            (2, 2) => out.raw = reader.delimited()?,
            (3, 2) => out.content_encoding = reader.str()?,
            (4, 2) => out.content_type = reader.str()?,
            _ => reader.skip(wire)?,
        }
    }
    Ok(out)
}

/// Decodes an object with its envelope; the tree carries `apiVersion` and `kind`.
///
/// # Errors
/// When the envelope or message is malformed, or the table lacks the kind.
pub fn decode_object(schema: &Schema, bytes: &[u8]) -> Result<Value, Error> {
    decoder::Decoder::new(schema).object(bytes)
}

/// Decodes a bare message of a type.
///
/// # Errors
/// When the message is malformed.
pub fn decode(schema: &Schema, ty: TypeId, bytes: &[u8]) -> Result<Value, Error> {
    decoder::Decoder::new(schema).message(ty, bytes)
}

/// Encodes a `WatchEvent`: the type and an object's complete bytes (with envelope, when it has one).
pub fn encode_watch_event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.len() + 24);
    wire::text(&mut out, 1, kind);
    wire::nested(&mut out, 2, |out| wire::bytes(out, 1, object));
    out
}

/// Opens a `WatchEvent`: the type and the object's bytes.
///
/// # Errors
/// When the event is malformed.
pub fn decode_watch_event(bytes: &[u8]) -> Result<(&str, &[u8]), Error> {
    let (mut kind, mut object): (&str, &[u8]) = ("", &[]);
    let mut reader = wire::Reader::new(bytes);
    while let Some((tag, wire)) = reader.key()? {
        match (tag, wire) {
            (1, 2) => kind = reader.str()?,
            (2, 2) => object = decoder::raw_bytes(reader.delimited()?)?,
            _ => reader.skip(wire)?,
        }
    }
    Ok((kind, object))
}

fn find(schema: &Schema, api_version: &str, kind: &str) -> Result<TypeId, Error> {
    schema
        .kind_of_object(api_version, kind)
        .ok_or_else(|| Error::UnknownKind(format!("{api_version}, Kind={kind}")))
}

/// Adds `apiVersion` and `kind` to a decoded message.
fn named(mut object: Value, unknown: &Unknown<'_>) -> Value {
    if !object.is_object() {
        object = Value::Object(Map::new());
    }
    meta::set_gvk(&mut object, unknown.api_version, unknown.kind);
    object
}
