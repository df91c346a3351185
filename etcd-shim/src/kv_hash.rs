//! The checksum of history that etcd answers HashKV with: over the same bytes as its own key bucket would hold, so that a
//! store that was moved can be compared with the one it came from.
//! Source: etcd `server/storage/mvcc/hash.go` `kvHasher`, `revision.go` `revToBytes`.

use prost::Message as _;

use crate::mvcc::{Record, Revision};

/// Bytes of a revision as etcd's key.
const REVISION: usize = 17;

/// A checksum being made.
pub(crate) struct KvHash(u32);

impl KvHash {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self(crc32c::crc32c(b"key"))
    }

    /// Takes a record in; in order of revision.
    pub(crate) fn add(&mut self, at: Revision, record: &Record) {
        self.0 = crc32c::crc32c_append(self.0, &stored_key(at, record));
        self.0 = crc32c::crc32c_append(self.0, &stored_value(at, record));
    }

    /// What came out.
    pub(crate) fn value(&self) -> u32 {
        self.0
    }
}

/// A record's revision as etcd stores it: main, `_`, sub, big-endian; a `t` behind it marks a tombstone.
pub(crate) fn stored_key(at: Revision, record: &Record) -> Vec<u8> {
    let mut key = stored_revision(at.main(), at.sub());
    if record.is_tombstone() {
        key.push(b't');
    }
    key
}

/// A revision as etcd stores it.
pub(crate) fn stored_revision(main: i64, sub: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(REVISION + 1);
    key.extend_from_slice(&main.to_be_bytes());
    key.push(b'_');
    key.extend_from_slice(&sub.to_be_bytes());
    key
}

/// A record as etcd stores it: a `KeyValue`; in a tombstone the key alone.
pub(crate) fn stored_value(at: Revision, record: &Record) -> Vec<u8> {
    let key_value = if record.is_tombstone() {
        etcd_proto::mvccpb::KeyValue {
            key: record.key.clone(),
            ..Default::default()
        }
    } else {
        record.clone().into_key_value(at)
    };
    key_value.encode_to_vec()
}
