//! Stored bytes: `k8s\0` protobuf in the storage version, JSON and a newline for the kinds upstream
//! keeps as JSON. Reading sniffs, so either form is understood for every kind.

use apimachinery::codec::{json, proto};
use apimachinery::meta;
use apimachinery::schema::TypeId;
use apimachinery::status::{ApiError, Result};
use bytes::Bytes;
use serde_json::Value;

use crate::resources::Resource;

/// Kinds stored as JSON (etcd-keys.tsv).
fn as_json(row: &Resource) -> bool {
    matches!(row.group, "apiextensions.k8s.io" | "apiregistration.k8s.io")
}

/// The bytes to store for a hub object. resourceVersion and selfLink are not stored: they are taken off while the
/// bytes are made.
pub(crate) fn encode(row: &Resource, obj: &mut Value) -> Result<Bytes> {
    let unstored = ["resourceVersion", "selfLink"].map(|field| (field, meta::take(obj, field)));
    let bytes = stored(row, obj);
    for (field, value) in unstored {
        if let Some(value) = value {
            meta::set(obj, field, value);
        }
    }
    bytes
}

fn stored(row: &Resource, obj: &Value) -> Result<Bytes> {
    if as_json(row) {
        let mut bytes = json::encode(obj);
        bytes.push(b'\n');
        return Ok(bytes.into());
    }
    let raw = message(row, obj)?;
    let hub = row.api_version();
    Ok(proto::wrap(row.storage_version.unwrap_or(&hub), row.kind, &raw).into())
}

/// A hub object as a protobuf message, without envelope.
pub(crate) fn message(row: &Resource, obj: &Value) -> Result<Vec<u8>> {
    let schema = api::schema();
    proto::encode(schema, hub_type(row)?, obj).map_err(ApiError::internal)
}

fn hub_type(row: &Resource) -> Result<TypeId> {
    api::schema()
        .kind_of(row.group, row.version, row.kind)
        .ok_or_else(|| ApiError::internal(format!("no {} in the schema table", row.kind)))
}

/// The hub object in stored bytes.
pub(crate) fn decode(row: &Resource, bytes: &[u8]) -> Result<Value> {
    let mut obj: Value = if proto::is_proto(bytes) {
        let unknown = proto::unwrap(bytes).map_err(ApiError::internal)?;
        proto::decode(api::schema(), hub_type(row)?, unknown.raw).map_err(ApiError::internal)?
    } else {
        // The reader of requests: what it let in must be readable again, however deep.
        json::parse(bytes).map_err(ApiError::internal)?.object
    };
    meta::set_gvk(&mut obj, &row.api_version(), row.kind);
    Ok(obj)
}
