//! The last versions of objects somebody has read or written, so that each version is decoded once.
//!
//! This is no source of truth: revisions always come from storage, and what is not here is decoded
//! again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use apimachinery::status::Result;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::Entry;

/// Bytes kept per resource, about; beyond, all is forgotten.
const MAX_BYTES: usize = 256 << 20;
/// Deleted keys kept for watchers that are behind.
const MAX_DEAD: usize = 1024;

/// Keys that are decoded at the same time, at most.
const TURNS: usize = 16;

/// Decoded versions by storage key.
#[derive(Default)]
pub(crate) struct Entries {
    state: Mutex<State>,
    /// Whoever decodes a key holds the turn its hash names.
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

#[derive(Default)]
struct State {
    slots: HashMap<String, Arc<Entry>>,
    dead: VecDeque<(String, i64)>,
    bytes: usize,
    /// Objects whose writes are under way, by key and stored bytes: as many as there are writers.
    announced: HashMap<String, (Bytes, Value)>,
}

/// A write under way; at its end it is taken back.
pub(crate) struct Announced<'a> {
    entries: &'a Entries,
    key: &'a str,
    bytes: Bytes,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        // Nothing of it is left when a reader has taken it, or another writer of the key came after it.
        let left = self.entries.announced(self.key, &self.bytes);
        drop(left);
    }
}

impl Entries {
    /// The version of `key` at `rev`; `decode` makes it unless somebody has. Who writes an object and who watches it
    /// come for the same version at the same moment: the second waits for the first.
    pub(crate) fn get_or_decode(
        &self,
        key: &str,
        rev: i64,
        decode: impl FnOnce() -> Result<Arc<Entry>>,
    ) -> Result<Arc<Entry>> {
        if let Some(entry) = self.get(key, rev) {
            return Ok(entry);
        }
        let _turn = self.turns[self.hasher.hash_one(key) as usize % TURNS].lock();
        if let Some(entry) = self.get(key, rev) {
            return Ok(entry);
        }
        let entry = decode()?;
        self.put(key, &entry);
        Ok(entry)
    }

    /// Tells readers to come that `bytes` are being written to `key`, and decode as `value`.
    pub(crate) fn announce<'a>(&'a self, key: &'a str, bytes: Bytes, value: Value) -> Announced<'a> {
        let mut state = self.state.lock();
        state.announced.insert(key.to_owned(), (bytes.clone(), value));
        Announced {
            entries: self,
            key,
            bytes,
        }
    }

    /// These bytes and their tree, for the first who asks, if their write was announced.
    pub(crate) fn announced(&self, key: &str, bytes: &[u8]) -> Option<(Bytes, Value)> {
        let mut state = self.state.lock();
        if state.announced.get(key).is_some_and(|(theirs, _)| theirs == bytes) {
            return state.announced.remove(key);
        }
        None
    }

    /// The version of `key` at exactly `rev`.
    fn get(&self, key: &str, rev: i64) -> Option<Arc<Entry>> {
        let state = self.state.lock();
        state.slots.get(key).filter(|entry| entry.rev == rev).cloned()
    }

    /// Keeps a version.
    fn put(&self, key: &str, entry: &Entry) {
        let new = entry.slim();
        let mut state = self.state.lock();
        if state.bytes > MAX_BYTES {
            state.slots.clear();
            state.dead.clear();
            state.bytes = 0;
        }
        let grown = new.size();
        match state.slots.get_mut(key) {
            None => {
                state.slots.insert(key.to_owned(), new);
                state.bytes += grown;
            }
            Some(slot) if new.rev > slot.rev => {
                let shrunk = std::mem::replace(slot, new).size();
                state.bytes = (state.bytes + grown).saturating_sub(shrunk);
            }
            Some(_) => {}
        }
    }

    /// `key` was deleted at `rev`: forgotten, once enough others were deleted after it.
    pub(crate) fn deleted(&self, key: &str, rev: i64) {
        let mut state = self.state.lock();
        if state.dead.back().is_some_and(|(k, r)| k == key && *r == rev) {
            return;
        }
        state.dead.push_back((key.to_owned(), rev));
        if state.dead.len() > MAX_DEAD
            && let Some((key, rev)) = state.dead.pop_front()
            // A key that was created again since stays.
            && state.slots.get(&key).is_some_and(|entry| entry.rev < rev)
            && let Some(slot) = state.slots.remove(&key)
        {
            state.bytes = state.bytes.saturating_sub(slot.size());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use apimachinery::status::ApiError;
    use serde_json::json;

    use super::*;
    use crate::registry::strategy::RAW;

    fn entry(rev: i64) -> Arc<Entry> {
        let row = crate::resources::find("", "v1", "configmaps").unwrap();
        Entry::new(
            row,
            &RAW,
            rev,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"r": rev.to_string()}}),
        )
    }

    #[test]
    fn the_last_version_of_a_key_is_kept() {
        let all = Entries::default();
        for rev in [1, 3, 2] {
            all.put("k", &entry(rev));
        }
        assert!(all.get("k", 1).is_none() && all.get("k", 2).is_none());
        assert_eq!(all.get("k", 3).unwrap().value()["kind"], "ConfigMap");
        let one = entry(3).size();
        assert_eq!(all.state.lock().bytes, one);
    }

    #[test]
    fn readers_at_once_decode_a_version_once() {
        let all = Entries::default();
        let (decoded, together) = (AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    let read = all.get_or_decode("k", 7, || {
                        decoded.fetch_add(1, Ordering::SeqCst);
                        Ok(entry(7))
                    });
                    assert_eq!(read.unwrap().rev, 7);
                });
            }
        });
        assert_eq!(decoded.into_inner(), 1);
    }

    #[test]
    fn what_does_not_decode_is_tried_again() {
        let all = Entries::default();
        assert!(
            all.get_or_decode("k", 1, || Err(ApiError::internal("damaged")))
                .is_err()
        );
        assert_eq!(all.get_or_decode("k", 1, || Ok(entry(1))).unwrap().rev, 1);
    }

    #[test]
    fn a_write_under_way_is_there_for_the_first_who_sees_its_bytes() {
        let all = Entries::default();
        let (first, second) = (Bytes::from("first"), Bytes::from("second"));
        let one = all.announce("k", first.clone(), json!(1));
        assert_eq!(all.announced("k", b"other"), None, "bytes of somebody else");
        assert_eq!(all.announced("other", &first), None);
        assert_eq!(all.announced("k", &first), Some((first.clone(), json!(1))));
        assert_eq!(all.announced("k", &first), None, "it is given once");

        let two = all.announce("k", second.clone(), json!(2));
        drop(one);
        assert_eq!(
            all.announced("k", &second),
            Some((second.clone(), json!(2))),
            "the write of another goes on"
        );
        drop(two);
        drop(all.announce("k", first.clone(), json!(3)));
        assert_eq!(all.announced("k", &first), None, "a write that has ended");
    }

    #[test]
    fn deleted_keys_are_forgotten_in_time_unless_they_come_back() {
        let all = Entries::default();
        all.put("back", &entry(1));
        all.put("gone", &entry(1));
        all.deleted("back", 2);
        all.deleted("gone", 3);
        all.put("back", &entry(4));
        for i in 0..MAX_DEAD {
            all.deleted(&format!("x{i}"), 5);
        }
        assert!(all.get("gone", 1).is_none());
        assert!(all.get("back", 4).is_some());
    }
}
