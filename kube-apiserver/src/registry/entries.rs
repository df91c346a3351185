//! The last versions of objects somebody has read or written, so that each version is decoded once.
//!
//! This is no source of truth: revisions always come from storage, and what is not here is decoded
//! again. Two versions of a key are kept, because a watch event shows the old and the new one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Entry;

/// Bytes kept per resource, about; beyond, all is forgotten.
const MAX_BYTES: usize = 256 << 20;
/// Deleted keys kept for watchers that are behind.
const MAX_DEAD: usize = 1024;

/// Decoded versions by storage key.
#[derive(Default)]
pub(crate) struct Entries(Mutex<State>);

#[derive(Default)]
struct State {
    slots: HashMap<String, Slot>,
    dead: VecDeque<(String, i64)>,
    bytes: usize,
}

struct Slot {
    now: Arc<Entry>,
    before: Option<Arc<Entry>>,
}

impl Slot {
    fn size(&self) -> usize {
        self.now.size() + self.before.as_ref().map_or(0, |e| e.size())
    }
}

impl Entries {
    /// The version of `key` at exactly `rev`.
    pub(crate) fn get(&self, key: &str, rev: i64) -> Option<Arc<Entry>> {
        let state = self.0.lock();
        let slot = state.slots.get(key)?;
        [Some(&slot.now), slot.before.as_ref()]
            .into_iter()
            .flatten()
            .find(|e| e.rev == rev)
            .cloned()
    }

    /// Keeps a version.
    pub(crate) fn put(&self, key: &str, entry: &Entry) {
        let new = entry.slim();
        let mut state = self.0.lock();
        if state.bytes > MAX_BYTES {
            *state = State::default();
        }
        let mut grown = new.size();
        let mut shrunk = 0;
        match state.slots.get_mut(key) {
            None => {
                state.slots.insert(key.to_owned(), Slot { now: new, before: None });
            }
            Some(slot) if new.rev > slot.now.rev => {
                shrunk = slot.before.as_ref().map_or(0, |e| e.size());
                slot.before = Some(std::mem::replace(&mut slot.now, new));
            }
            Some(slot) if new.rev < slot.now.rev && slot.before.as_ref().is_none_or(|b| b.rev < new.rev) => {
                shrunk = slot.before.as_ref().map_or(0, |e| e.size());
                slot.before = Some(new);
            }
            Some(_) => grown = 0,
        }
        state.bytes = (state.bytes + grown).saturating_sub(shrunk);
    }

    /// `key` was deleted at `rev`: forgotten, once enough others were deleted after it.
    pub(crate) fn deleted(&self, key: &str, rev: i64) {
        let mut state = self.0.lock();
        if state.dead.back().is_some_and(|(k, r)| k == key && *r == rev) {
            return;
        }
        state.dead.push_back((key.to_owned(), rev));
        if state.dead.len() > MAX_DEAD
            && let Some((key, rev)) = state.dead.pop_front()
            // A key that was created again since stays.
            && state.slots.get(&key).is_some_and(|s| s.now.rev < rev)
            && let Some(slot) = state.slots.remove(&key)
        {
            state.bytes = state.bytes.saturating_sub(slot.size());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
    fn two_versions_of_a_key_are_kept() {
        let all = Entries::default();
        for rev in [1, 2, 3] {
            all.put("k", &entry(rev));
        }
        assert!(all.get("k", 1).is_none());
        assert_eq!(all.get("k", 2).unwrap().value()["data"]["r"], "2");
        assert_eq!(all.get("k", 3).unwrap().value()["kind"], "ConfigMap");
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
