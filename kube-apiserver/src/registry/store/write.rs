//! The guarded write of one object, and the version it makes.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{Entry, Store, meta};
use crate::registry::codec::Stored;
use crate::storage::{KeyValue, StorageError, Write};

/// How a guarded write ended.
pub(super) enum Written {
    /// As everybody will read it.
    Done(Arc<Entry>),
    /// The key was in another state, this one.
    Conflict(Option<Arc<KeyValue>>),
}

impl Store {
    /// Writes `stored`, made of `obj`, unless the key has changed since `expected` (`None`: unless it is there).
    ///
    /// While the write is under way its tree is left with the entries: whoever first sees the new version, this writer
    /// or a watcher, need not decode it.
    pub(super) async fn put(
        &self,
        key: &str,
        stored: Stored,
        obj: Value,
        expected: Option<i64>,
    ) -> Result<Written, StorageError> {
        let Stored { bytes, faithful } = stored;
        // What is no tree that readers see goes to nobody else.
        let (announced, kept) = match faithful {
            true => (Some(self.entries.announce(key, bytes.clone(), obj)), Value::Null),
            false => (None, obj),
        };
        let write = match expected {
            None => self.storage.create(key, bytes.clone(), self.ttl).await?,
            Some(rev) => self.storage.update(key, bytes.clone(), rev, self.ttl).await?,
        };
        let rev = match write {
            Write::Done(rev) => rev,
            Write::Conflict(now) => return Ok(Written::Conflict(now)),
        };
        let entry = self.written(key, &bytes, rev, kept);
        drop(announced);
        Ok(Written::Done(entry))
    }

    /// What was written at `rev`, as everybody will read it (upstream's store decodes what it wrote, too).
    fn written(&self, key: &str, bytes: &Bytes, rev: i64, mut value: Value) -> Arc<Entry> {
        let read = match self.ttl {
            None => self.version(key, bytes, rev),
            // Short-lived and seldom read: not kept.
            Some(_) => self.fresh(key, bytes, rev),
        };
        read.unwrap_or_else(|error| {
            tracing::error!(key, %error, "what was written cannot be decoded");
            meta::set_revision(&mut value, rev);
            self.wrap(rev, value)
        })
    }
}
