//! The index of a store that is opened, from all records at once: sorting them first costs a fraction of finding the
//! place of each.

use bytes::Bytes;

use super::key_index::{Entry, KeyIndex};
use super::{Index, Record, Revision};

/// Bytes of the keys that are compared at a time.
const STEP: usize = 8;
/// Fewer keys than this are compared whole.
const FEW: usize = 12;
/// From here on keys are compared whole.
const DEEP: usize = 16 * STEP;

/// Records found on disk.
#[derive(Default)]
pub(super) struct Loading(Vec<Loaded>);

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
        let mut order: Vec<(u64, usize)> = (0..self.0.len()).map(|number| (0, number)).collect();
        self.sort(&mut order, 0);
        let lives = order.chunk_by(|(_, a), (_, b)| self.0[*a].key == self.0[*b].key);
        let histories = lives.filter_map(|life| {
            let entries = life.iter().map(|(_, number)| self.0[*number].entry).collect();
            let newest = &self.0[life.last()?.1];
            let history = KeyIndex::of(entries, newest.create_revision, newest.lease);
            // A small copy: the key may be a slice of all that was read.
            Some((Bytes::copy_from_slice(&newest.key), history))
        });
        Index::of(histories)
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
            let mut bytes = [0; STEP];
            let rest = key(*number).get(depth..).unwrap_or_default();
            let some = rest.len().min(STEP);
            bytes[..some].copy_from_slice(&rest[..some]);
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
