//! All keys in order, each with its history, in memory.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::key_index::{Entry, KeyIndex};
use super::{KeyRange, Record, Revision};

/// A persistent map: a clone is O(1) and stays as it is while the original is written to, so readers
/// never wait for writers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    keys: OrdMap<Bytes, Arc<KeyIndex>>,
}

impl Index {
    /// An index of these keys: quickest when they are in order.
    pub(super) fn of(histories: impl Iterator<Item = (Bytes, Arc<KeyIndex>)>) -> Self {
        Self {
            keys: histories.collect(),
        }
    }

    /// Adds what `record` says about its key. Revisions must come in order.
    pub(crate) fn push(&mut self, at: Revision, record: &Record) {
        let entry = Entry {
            at,
            version: record.version,
        };
        match self.keys.get_mut(&record.key) {
            Some(history) => Arc::make_mut(history).push(entry, record.create_revision, record.lease),
            None => {
                let history = KeyIndex::new(entry, record.create_revision, record.lease);
                // A small copy: the record's key is a slice that would keep its whole request alive.
                self.keys.insert(Bytes::copy_from_slice(&record.key), Arc::new(history));
            }
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Arc<KeyIndex>> {
        self.keys.get(key)
    }

    /// Keys of `range` that were ever written and not forgotten, with their histories, in order.
    pub(crate) fn histories<'a>(
        &'a self,
        range: &'a KeyRange,
    ) -> Box<dyn Iterator<Item = (&'a Bytes, &'a Arc<KeyIndex>)> + 'a> {
        match range {
            KeyRange::One(key) => Box::new(self.keys.get_key_value(key).into_iter()),
            KeyRange::Span { start, end } => {
                let end = match end {
                    Some(end) if end <= start => return Box::new(std::iter::empty()),
                    Some(end) => Bound::Excluded(&end[..]),
                    None => Bound::Unbounded,
                };
                Box::new(self.keys.range::<_, [u8]>((Bound::Included(&start[..]), end)))
            }
        }
    }

    /// Entries of `range` that lived at the end of transaction `main`, in key order.
    pub(crate) fn live<'a>(&'a self, range: &'a KeyRange, main: i64) -> impl Iterator<Item = (&'a Bytes, Entry)> + 'a {
        self.histories(range)
            .filter_map(move |(key, history)| Some((key, history.live_at(main)?)))
    }

    /// Compacts up to `limit` keys behind `after`; returns the last one visited, `None` at the end.
    pub(crate) fn compact_some(
        &mut self,
        after: Option<&Bytes>,
        limit: usize,
        at: i64,
        removed: &mut Vec<Revision>,
    ) -> Option<Bytes> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&after[..]));
        let mut last = None;
        let mut touched = Vec::new();
        for (key, history) in self.keys.range::<_, [u8]>((start, Bound::Unbounded)).take(limit) {
            if history.compactable(at) > 0 {
                touched.push(key.clone());
            }
            last = Some(key.clone());
        }
        for key in touched {
            let gone = match self.keys.get_mut(&key) {
                Some(history) => {
                    let history = Arc::make_mut(history);
                    history.compact(at, removed);
                    history.is_empty()
                }
                None => false,
            };
            if gone {
                self.keys.remove(&key);
            }
        }
        last
    }

    /// Keys known, dead ones not yet forgotten included.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}
