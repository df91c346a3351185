//! `/registry/ranges/servicenodeports`: a RangeAllocation whose data is a big-endian bitmap.
//!
//! Upstream: `pkg/registry/core/service/allocator/{bitmap.go,storage/storage.go}`; the bytes are
//! those of Go's `big.Int`, bit i for port `first + i`.

use std::collections::BTreeSet;
use std::sync::Arc;

use apimachinery::status::{ApiError, Result};
use async_trait::async_trait;
use prost::Message;

use super::node_ports::Ports;
use crate::registry::Registry;
use crate::storage::Write;

const MAGIC: &[u8] = b"k8s\0";
const PATH: &str = "ranges/servicenodeports";

/// `runtime.Unknown`.
#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", optional, tag = "2")]
    raw: Option<Vec<u8>>,
    #[prost(string, optional, tag = "3")]
    content_encoding: Option<String>,
    #[prost(string, optional, tag = "4")]
    content_type: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, optional, tag = "1")]
    api_version: Option<String>,
    #[prost(string, optional, tag = "2")]
    kind: Option<String>,
}

/// `core.v1.RangeAllocation`.
#[derive(Clone, PartialEq, Message)]
struct RangeAllocation {
    /// Kept as it is: we never look inside.
    #[prost(bytes = "vec", optional, tag = "1")]
    metadata: Option<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    range: Option<String>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// Encodes the stored bytes.
pub(crate) fn encode(range: (u16, u16), used: &BTreeSet<u16>) -> Vec<u8> {
    let bits = usize::from(range.1 - range.0) + 1;
    let mut little = vec![0u8; bits.div_ceil(8)];
    for port in used.iter().filter(|p| (range.0..=range.1).contains(p)) {
        let i = usize::from(port - range.0);
        little[i / 8] |= 1 << (i % 8);
    }
    while little.last() == Some(&0) {
        little.pop();
    }
    little.reverse();
    let object = RangeAllocation {
        metadata: Some(vec![]),
        range: Some(format!("{}-{}", range.0, range.1)),
        data: Some(little),
    };
    let unknown = Unknown {
        type_meta: Some(TypeMeta {
            api_version: Some("v1".into()),
            kind: Some("RangeAllocation".into()),
        }),
        raw: Some(object.encode_to_vec()),
        content_encoding: Some(String::new()),
        content_type: Some(String::new()),
    };
    [MAGIC, &unknown.encode_to_vec()].concat()
}

/// Decodes stored bytes; the range they name may differ from the flag's.
pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<(u16, BTreeSet<u16>), String> {
    let bad = |e: prost::DecodeError| e.to_string();
    let body = bytes.strip_prefix(MAGIC).ok_or("not protobuf")?;
    let unknown = Unknown::decode(body).map_err(bad)?;
    let object = RangeAllocation::decode(unknown.raw.unwrap_or_default().as_slice()).map_err(bad)?;
    let first: u16 = object
        .range
        .as_deref()
        .and_then(|r| r.split_once('-'))
        .and_then(|(f, _)| f.parse().ok())
        .ok_or("no range")?;
    let mut used = BTreeSet::new();
    for (i, byte) in object.data.unwrap_or_default().iter().rev().enumerate() {
        for bit in (0..8).filter(|b| byte & (1 << b) != 0) {
            if let Some(port) = u16::try_from(i * 8 + bit).ok().and_then(|o| first.checked_add(o)) {
                used.insert(port);
            }
        }
    }
    Ok((first, used))
}

/// The range in the byte store.
pub(crate) struct Stored {
    registry: Arc<Registry>,
}

impl Stored {
    /// Keeps the range below the registry's prefix.
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Stored { registry }
    }
}

#[async_trait]
impl Ports for Stored {
    async fn load(&self, _range: (u16, u16)) -> Result<(BTreeSet<u16>, i64)> {
        let key = self.registry.key(PATH);
        let (kv, _) = self.registry.storage().get(&key).await.map_err(ApiError::internal)?;
        match kv {
            None => Ok((BTreeSet::new(), 0)),
            Some(kv) => {
                let (_, used) = decode(&kv.value).map_err(ApiError::internal)?;
                Ok((used, kv.mod_rev))
            }
        }
    }

    async fn store(&self, range: (u16, u16), used: &BTreeSet<u16>, version: i64) -> Result<bool> {
        let key = self.registry.key(PATH);
        let value = encode(range, used).into();
        let storage = self.registry.storage();
        let written = if version == 0 {
            storage.create(&key, value, None).await
        } else {
            storage.update(&key, value, version, None).await
        };
        Ok(matches!(written.map_err(ApiError::internal)?, Write::Done(_)))
    }
}
