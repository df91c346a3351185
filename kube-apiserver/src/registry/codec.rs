//! Stored bytes: `k8s\0` protobuf in the storage version, JSON and a newline for the kinds upstream
//! keeps as JSON. Reading sniffs, so either form is understood for every kind.

use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use bytes::Bytes;
use serde_json::Value;

use crate::resources::Resource;

/// Kinds stored as JSON (etcd-keys.tsv).
fn as_json(row: &Resource) -> bool {
    matches!(row.group, "apiextensions.k8s.io" | "apiregistration.k8s.io")
}

/// The bytes to store for a hub object; resourceVersion and selfLink are not stored.
pub(crate) fn encode(row: &Resource, obj: &Value) -> Result<Bytes> {
    let mut stored = obj.clone();
    meta::remove(&mut stored, "resourceVersion");
    meta::remove(&mut stored, "selfLink");
    meta::set_gvk(&mut stored, row.storage_version.unwrap_or(row.version), row.kind);
    let mut bytes = serde_json::to_vec(&stored).map_err(ApiError::internal)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// The hub object in stored bytes.
pub(crate) fn decode(row: &Resource, bytes: &[u8]) -> Result<Value> {
    let mut obj: Value = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
    meta::set_gvk(&mut obj, &row.api_version(), row.kind);
    Ok(obj)
}
