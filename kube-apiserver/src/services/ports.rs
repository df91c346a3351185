//! Node ports: one bitmap object, changed by compare-and-swap.
//!
//! The object is a `RangeAllocation`, which no API serves; its protobuf is written here. The bitmap
//! is a big-endian number whose bit *i* is port *low + i* (upstream `allocator.AllocationBitmap`).

use std::sync::Arc;

use apimachinery::codec::proto;
use bytes::Bytes;
use prost::Message as _;
use rand::Rng as _;

use crate::registry::Registry;
use crate::storage::{Storage, Write};

/// Rounds of read-change-write.
const ROUNDS: usize = 64;

/// `core.v1.RangeAllocation`; its metadata is empty.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeAllocation {
    #[prost(bytes = "bytes", optional, tag = "1")]
    metadata: Option<Bytes>,
    #[prost(string, optional, tag = "2")]
    range: Option<String>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// The port allocator.
pub(super) struct Ports {
    storage: Arc<dyn Storage>,
    key: String,
    low: u16,
    high: u16,
}

impl Ports {
    pub(super) fn new(registry: &Registry, (low, high): (u16, u16)) -> Self {
        Ports { storage: registry.storage().clone(), key: registry.key("ranges/servicenodeports"), low, high }
    }

    /// Reserves `wanted` (each must be free) and `any` more; answers the latter.
    pub(super) async fn take(&self, wanted: &[u16], any: usize) -> Result<Vec<u16>, Refused> {
        if wanted.is_empty() && any == 0 {
            return Ok(vec![]);
        }
        if let Some(port) = wanted.iter().find(|p| **p < self.low || **p > self.high) {
            let why = format!("provided port is not in the valid range. The range of valid ports is {}-{}", self.low, self.high);
            return Err(Refused { port: *port, why });
        }
        self.change(|used| {
            for port in wanted {
                if !used.set(port - self.low) {
                    return Err(Refused { port: *port, why: "provided port is already allocated".into() });
                }
            }
            let mut got = vec![];
            for _ in 0..any {
                let offset = used.free(self.high - self.low + 1).ok_or_else(|| Refused { port: 0, why: "range is full".into() })?;
                used.set(offset);
                got.push(self.low + offset);
            }
            Ok(got)
        })
        .await
    }

    /// Frees ports.
    pub(super) async fn release(&self, ports: &[u16]) {
        let ours: Vec<u16> = ports.iter().filter(|p| **p >= self.low && **p <= self.high).map(|p| p - self.low).collect();
        if ours.is_empty() {
            return;
        }
        let freed = self.change(|used| {
            ours.iter().for_each(|o| used.clear(*o));
            Ok(vec![])
        });
        if let Err(e) = freed.await {
            tracing::warn!(ports = ?ports, error = e.why, "node ports stay reserved");
        }
    }

    async fn change(&self, edit: impl Fn(&mut Bitmap) -> Result<Vec<u16>, Refused>) -> Result<Vec<u16>, Refused> {
        let failed = |e: &dyn std::fmt::Display| Refused { port: 0, why: e.to_string() };
        let range = format!("{}-{}", self.low, self.high);
        let (mut now, _) = self.storage.get(&self.key).await.map_err(|e| failed(&e))?;
        for _ in 0..ROUNDS {
            let mut used = match &now {
                Some(kv) => decode(&kv.value).ok_or_else(|| failed(&"the stored port allocation is damaged"))?,
                None => Bitmap::default(),
            };
            let got = edit(&mut used)?;
            let bytes = encode(&range, &used);
            let written = match &now {
                Some(kv) => self.storage.update(&self.key, bytes, kv.mod_rev, None).await,
                None => self.storage.create(&self.key, bytes, None).await,
            };
            match written.map_err(|e| failed(&e))? {
                Write::Done(_) => return Ok(got),
                Write::Conflict(_) => now = self.storage.get(&self.key).await.map_err(|e| failed(&e))?.0,
            }
        }
        Err(failed(&"too many concurrent allocations"))
    }
}

/// Why a port was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The port asked for, 0 when any would do.
    pub(super) port: u16,
    /// Upstream's text.
    pub(super) why: String,
}

/// Used offsets; byte *i / 8*, bit *i % 8*, least significant first.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Bitmap(Vec<u8>);

impl Bitmap {
    fn get(&self, i: u16) -> bool {
        self.0.get(usize::from(i / 8)).is_some_and(|b| b & (1 << (i % 8)) != 0)
    }

    /// Sets a bit; `false` when it was set.
    fn set(&mut self, i: u16) -> bool {
        let at = usize::from(i / 8);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        let was = self.get(i);
        self.0[at] |= 1 << (i % 8);
        !was
    }

    fn clear(&mut self, i: u16) {
        if let Some(b) = self.0.get_mut(usize::from(i / 8)) {
            *b &= !(1 << (i % 8));
        }
    }

    /// A free offset below `size`, from the upper band first (KEP-3668).
    fn free(&self, size: u16) -> Option<u16> {
        let band = if size <= 16 { 0 } else { (size / 32).clamp(16, 128) };
        let scan = |from: u16, to: u16| {
            let len = to.checked_sub(from).filter(|l| *l > 0)?;
            let start = rand::rng().random_range(0..len);
            (0..len).map(|i| from + (start + i) % len).find(|i| !self.get(*i))
        };
        scan(band, size).or_else(|| scan(0, band))
    }
}

fn encode(range: &str, used: &Bitmap) -> Bytes {
    // A big-endian number without leading zeros.
    let mut data: Vec<u8> = used.0.iter().rev().copied().collect();
    let zeros = data.iter().take_while(|b| **b == 0).count();
    data.drain(..zeros);
    // Empty ObjectMeta as gogo writes it: its plain strings and generation are explicit.
    const METADATA: &[u8] = &[0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0, 0x2a, 0, 0x32, 0, 0x38, 0, 0x42, 0];
    let object = RangeAllocation { metadata: Some(Bytes::from_static(METADATA)), range: Some(range.to_owned()), data: Some(data) };
    proto::wrap("v1", "RangeAllocation", &object.encode_to_vec()).into()
}

fn decode(bytes: &[u8]) -> Option<Bitmap> {
    let object = RangeAllocation::decode(proto::unwrap(bytes).ok()?.raw).ok()?;
    Some(Bitmap(object.data.unwrap_or_default().into_iter().rev().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_allocation_has_upstreams_bytes() {
        let want = b"k8s\x00\n\x15\n\x02v1\x12\x0fRangeAllocation\x12!\n\x10\n\x00\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x0b30000-32767\x1a\x00\x1a\x00\"\x00";
        assert_eq!(encode("30000-32767", &Bitmap::default()).as_ref(), want);
    }

    #[test]
    fn bits_survive_the_round_trip() {
        let mut b = Bitmap::default();
        assert!(b.set(0) && b.set(9) && !b.set(9));
        let back = decode(&encode("30000-32767", &b)).expect("own bytes");
        assert!(back.get(0) && back.get(9) && !back.get(1));
        assert!(b.free(2768).is_some());
    }
}
