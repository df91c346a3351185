//! Protobuf messages of one or two fields around types the table has: `PartialObjectMetadata` and its List.

use apimachinery::codec::proto;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use serde_json::Value;

pub(super) fn encode(v: &Value) -> Result<Vec<u8>> {
    let raw = match v.get("items").and_then(Value::as_array) {
        None => one(v)?,
        Some(items) => {
            // The two fields have each other's tag in v1beta1.
            let beta = meta::api_version(v).ends_with("v1beta1");
            let (metadata, item) = if beta { (2, 1) } else { (1, 2) };
            let mut raw = vec![];
            field(&mut raw, metadata, &part("meta.v1.ListMeta", v)?);
            for each in items {
                field(&mut raw, item, &one(each)?);
            }
            raw
        }
    };
    Ok(proto::wrap(meta::api_version(v), meta::kind(v), &raw))
}

/// `message PartialObjectMetadata { ObjectMeta metadata = 1; }`
fn one(v: &Value) -> Result<Vec<u8>> {
    let mut raw = vec![];
    field(&mut raw, 1, &part("meta.v1.ObjectMeta", v)?);
    Ok(raw)
}

pub(super) fn part(name: &str, v: &Value) -> Result<Vec<u8>> {
    let schema = api::schema();
    let ty = schema
        .id(name)
        .ok_or_else(|| ApiError::internal(format!("no {name} in the table")))?;
    let empty = Value::Object(Default::default());
    let metadata = v.get("metadata").unwrap_or(&empty);
    proto::encode(schema, ty, metadata).map_err(ApiError::internal)
}

/// A length-delimited field with a tag below 16.
pub(super) fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag << 3 | 2);
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
