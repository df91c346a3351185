//! `PartialObjectMetadata` and its List in protobuf: messages of one or two fields around types the
//! table has.

use apimachinery::codec::proto;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use serde_json::Value;

pub(super) fn encode(v: &Value) -> Result<Vec<u8>> {
    let raw = match v.get("items").and_then(Value::as_array) {
        None => one(v)?,
        Some(items) => {
            let mut raw = vec![];
            field(&mut raw, 1, &part("meta.v1.ListMeta", v)?);
            for item in items {
                field(&mut raw, 2, &one(item)?);
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

fn part(name: &str, v: &Value) -> Result<Vec<u8>> {
    let schema = api::schema();
    let ty = schema
        .id(name)
        .ok_or_else(|| ApiError::internal(format!("no {name} in the table")))?;
    let metadata = v
        .get("metadata")
        .cloned()
        .unwrap_or_else(|| Value::Object(Default::default()));
    proto::encode(schema, ty, &metadata).map_err(ApiError::internal)
}

/// A length-delimited field with a tag below 16.
fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag << 3 | 2);
    prost::encoding::encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
