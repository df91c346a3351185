//! The Lists of all kinds in protobuf, around items that are messages already.

use apimachinery::codec::proto;
use apimachinery::meta;
use apimachinery::status::Result;
use prost::encoding::{encode_varint, encoded_len_varint};
use serde_json::Value;

use super::metadata::{field, part};

/// Number and wire type of `items`.
const ITEM: u8 = 2 << 3 | 2;

/// What stands before the items, whose lengths say how long the whole is: envelope and metadata. `head` has apiVersion,
/// kind and metadata. [`proto::ENVELOPE_END`] comes last.
pub(crate) fn head(head: &Value, items: impl Iterator<Item = usize>) -> Result<Vec<u8>> {
    let mut metadata = vec![];
    field(&mut metadata, 1, &part("meta.v1.ListMeta", head)?);
    let items: usize = items.map(|len| 1 + encoded_len_varint(len as u64) + len).sum();
    let mut out = proto::envelope(meta::api_version(head), meta::kind(head), metadata.len() + items);
    out.extend_from_slice(&metadata);
    Ok(out)
}

/// What stands before an item of `len` bytes.
pub(crate) fn before(out: &mut Vec<u8>, _index: usize, len: usize) {
    out.push(ITEM);
    encode_varint(len as u64, out);
}
