//! The index of a store that is opened, from all records at once: sorting them first costs a fraction of finding the
//! place of each. The lower and the upper half of the keys are sorted at the same time, and while one part of them is
//! put into the map the next is made.

use std::sync::{Arc, mpsc};
use std::thread;

use bytes::{Bytes, BytesMut};

use super::key_index::{Entry, KeyIndex};
use super::{Index, Record, Revision};

/// Bytes of the keys that are compared at a time.
const STEP: usize = 8;
/// Fewer keys than this are compared whole.
const FEW: usize = 12;
/// From here on keys are compared whole.
const DEEP: usize = 16 * STEP;
/// Keys that are looked at to find the middle one, about.
const SAMPLE: usize = 128;
/// Records whose histories are made at a time; few in tests, so that there are many parts.
const PART: usize = if cfg!(test) { 4 } else { 512 };
/// Bytes that keys share: that spares most allocations, and they are kept until the last of these keys is forgotten.
const TOGETHER: usize = 4 << 10;

/// Records found on disk.
#[derive(Default)]
pub(super) struct Loading(Vec<Loaded>);

/// Numbers of records, each with some bytes of its key.
type Order = Vec<(u64, usize)>;

struct Loaded {
    key: Bytes,
    entry: Entry,
    create_revision: i64,
    lease: i64,
}

impl Loading {
    /// Adds one; in order of revision.
    pub(super) fn add(&mut self, at: Revision, record: Record) {
        self.0.push(Loaded {
            key: record.key,
            entry: Entry {
                at,
                version: record.version,
            },
            create_revision: record.create_revision,
            lease: record.lease,
        });
    }

    /// All of them as an index.
    pub(super) fn finish(self) -> Index {
        thread::scope(|scope| {
            let halves = self.halves().map(|order| {
                let (part, parts) = mpsc::channel();
                scope.spawn(|| self.make(order, part));
                parts
            });
            // If a thread panics, so does the scope.
            Index::of(halves.into_iter().flatten().flatten())
        })
    }

    /// The numbers of the records below some key in the middle, and of the others, in the order they came.
    fn halves(&self) -> [Order; 2] {
        let some = self.0.iter().step_by(self.0.len() / SAMPLE + 1);
        let mut some: Vec<&Bytes> = some.map(|record| &record.key).collect();
        some.sort_unstable();
        let middle = some.get(some.len() / 2);
        let all = self.0.iter().enumerate().map(|(number, _)| (0, number));
        let (low, high) = all.partition(|(_, number)| Some(&&self.0[*number].key) < middle);
        [low, high]
    }

    /// Makes the histories of these records in the order of their keys.
    fn make(&self, mut order: Order, part: mpsc::Sender<Vec<(Bytes, Arc<KeyIndex>)>>) {
        self.sort(&mut order, 0);
        let mut shared = BytesMut::with_capacity(TOGETHER);
        let (mut records, mut keys) = (Vec::with_capacity(PART), Vec::new());
        let mut histories: Vec<(Bytes, KeyIndex)> = Vec::new();
        for numbers in order.chunks(PART) {
            // They lie all over the memory: fetching many and doing nothing else with them lets the processor wait for
            // all at the same time.
            records.clear();
            records.extend(numbers.iter().map(|(_, number)| &self.0[*number]));
            keys.clear();
            keys.reserve(records.iter().map(|record| record.key.len()).sum());
            records.iter().for_each(|record| keys.extend_from_slice(&record.key));
            let mut rest = &keys[..];
            for record in &records {
                let (key, behind) = rest.split_at(record.key.len());
                rest = behind;
                match histories.last_mut() {
                    Some((last, history)) if last == key => {
                        history.push(record.entry, record.create_revision, record.lease);
                    }
                    _ => {
                        // A copy: the record's is a slice of all that was read.
                        shared.extend_from_slice(key);
                        let history = KeyIndex::new(record.entry, record.create_revision, record.lease);
                        histories.push((shared.split().freeze(), history));
                    }
                }
            }
            // There may be more of the last one.
            let last = histories.pop();
            let whole = histories.drain(..).map(|(key, history)| (key, Arc::new(history)));
            let sent = part.send(whole.collect());
            histories.extend(last);
            if sent.is_err() {
                return;
            }
        }
        let last = histories.into_iter().map(|(key, history)| (key, Arc::new(history)));
        let _ = part.send(last.collect());
    }

    /// Sorts by key, then in the order they came. All keys agree in their first `depth` bytes. A few bytes of each key
    /// are kept beside it, so that few comparisons must look for the key.
    fn sort(&self, order: &mut [(u64, usize)], depth: usize) {
        let key = |number: usize| &self.0[number].key;
        if order.len() < FEW || depth >= DEEP {
            order.sort_unstable_by(|(_, a), (_, b)| key(*a).cmp(key(*b)).then(a.cmp(b)));
            return;
        }
        for (step, number) in order.iter_mut() {
            let rest = key(*number).get(depth..).unwrap_or_default();
            let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
                let mut bytes = [0; STEP];
                bytes[..rest.len()].copy_from_slice(rest);
                bytes
            });
            *step = u64::from_be_bytes(bytes);
        }
        order.sort_unstable();
        for same in order.chunk_by_mut(|(a, _), (b, _)| a == b) {
            if same.len() > 1 {
                self.sort(same, depth + STEP);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mvcc::KeyRange;

    proptest! {
        #[test]
        fn it_is_the_index_that_pushing_one_by_one_makes(
            keys in prop::collection::vec((prop::collection::vec(0..3u8, 0..40), 0..4i64), 0..200),
            prefix in prop::collection::vec(any::<u8>(), 0..140),
        ) {
            let (mut loading, mut one_by_one) = (Loading::default(), Index::default());
            for (number, (key, version)) in keys.into_iter().enumerate() {
                let record = Record {
                    key: [&prefix[..], &key].concat().into(),
                    create_revision: number as i64,
                    version,
                    lease: version,
                    value: Bytes::new(),
                };
                let at = Revision::new(number as i64, 0);
                one_by_one.push(at, &record);
                loading.add(at, record);
            }
            let all = KeyRange::Span { start: Bytes::new(), end: None };
            let loaded = loading.finish();
            prop_assert!(loaded.histories(&all).eq(one_by_one.histories(&all)));
            prop_assert_eq!(loaded.len(), one_by_one.len());
        }
    }
}
