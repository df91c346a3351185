//! The history of one key: at which revisions it was written and deleted. Values are not here.
//!
//! A life ("generation" in etcd) starts with a put of version 1 and ends with a tombstone of version 0.
//! After `put@1 put@2 del@3 put@4 del@5 put@6` the list is `1v1 2v2 3v0 4v1 5v0 6v1`, and
//! - `compact(2)` leaves `2v2 3v0 4v1 5v0 6v1`: what was current at 2, and all that came after;
//! - `compact(3)` leaves `3v0 4v1 5v0 6v1`: the deletion itself happened at 3 and a watch from 3 must see it;
//! - `compact(4)` leaves `4v1 5v0 6v1`; `compact(5)` `5v0 6v1`; `compact(6)` `6v1`; a later one the same.
//!
//! A key whose last entry is a tombstone older than the compaction is forgotten altogether.

use super::Revision;

/// One write of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Revision,
    /// Writes in this life, from 1; 0: the key was deleted here.
    pub(crate) version: i64,
}

impl Entry {
    pub(crate) fn is_tombstone(self) -> bool {
        self.version == 0
    }
}

/// One key's writes, oldest first, and what is asked of the newest without reading its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyIndex {
    /// All but the newest, which most keys have alone: that takes no allocation.
    older: Vec<Entry>,
    /// `None`: nothing is left.
    newest: Option<Entry>,
    create_revision: i64,
    lease: i64,
}

impl KeyIndex {
    /// A key with one write.
    pub(crate) fn new(entry: Entry, create_revision: i64, lease: i64) -> Self {
        Self {
            older: Vec::new(),
            newest: Some(entry),
            create_revision,
            lease,
        }
    }

    /// Adds a write; revisions only grow.
    pub(crate) fn push(&mut self, entry: Entry, create_revision: i64, lease: i64) {
        debug_assert!(self.newest.is_none_or(|newest| newest.at < entry.at));
        self.older.extend(self.newest.replace(entry));
        self.create_revision = create_revision;
        self.lease = lease;
    }

    /// The entry current as of the end of transaction `main`, unless the key did not exist then.
    pub(crate) fn live_at(&self, main: i64) -> Option<Entry> {
        // Nearly every read is of the newest entry.
        let found = match self.newest {
            Some(newest) if newest.at.main() <= main => newest,
            _ => self.entry(self.position_after(main).checked_sub(1)?)?,
        };
        (!found.is_tombstone()).then_some(found)
    }

    /// The newest entry, if the key exists now.
    pub(crate) fn live(&self) -> Option<Entry> {
        self.newest.filter(|newest| !newest.is_tombstone())
    }

    /// Create revision of the life the key is in now.
    pub(crate) fn create_revision(&self) -> i64 {
        self.create_revision
    }

    /// Lease the key is attached to now, or 0.
    pub(crate) fn lease(&self) -> i64 {
        self.lease
    }

    /// Writes in transactions `from..=to`, each with the revision the key had before, if it lived.
    pub(crate) fn between(&self, from: i64, to: i64) -> impl Iterator<Item = (Entry, Option<Revision>)> + '_ {
        let start = self.position_after(from - 1);
        let end = self.position_after(to).max(start);
        (start..end).filter_map(|position| {
            let before = position.checked_sub(1).and_then(|before| self.entry(before));
            Some((
                self.entry(position)?,
                before.filter(|before| !before.is_tombstone()).map(|before| before.at),
            ))
        })
    }

    /// Number of entries that `compact(at)` would drop.
    pub(crate) fn compactable(&self, at: i64) -> usize {
        let after = self.position_after(at);
        match after.checked_sub(1).and_then(|current| self.entry(current)) {
            Some(current) if current.is_tombstone() && current.at.main() < at => after,
            Some(_) => after - 1,
            None => 0,
        }
    }

    /// Drops what nobody may ask for after a compaction at `at`, handing each dropped revision to
    /// `removed`. What is current at `at` stays, unless it is an older tombstone. Source of the rule
    /// that a tombstone at exactly `at` stays: etcd `server/storage/mvcc/key_index.go` `keyIndex.compact`.
    pub(crate) fn compact(&mut self, at: i64, removed: &mut Vec<Revision>) {
        let count = self.compactable(at);
        let newest = if count > self.older.len() {
            self.newest.take()
        } else {
            None
        };
        let older = self.older.drain(..count.min(self.older.len()));
        removed.extend(older.chain(newest).map(|entry| entry.at));
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    fn entry(&self, position: usize) -> Option<Entry> {
        let older = self.older.get(position).copied();
        older.or(self.newest.filter(|_| position == self.older.len()))
    }

    fn position_after(&self, main: i64) -> usize {
        match self.newest {
            Some(newest) if newest.at.main() <= main => self.older.len() + 1,
            _ => self.older.partition_point(|entry| entry.at.main() <= main),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life() -> KeyIndex {
        let mut index = KeyIndex::default();
        for (main, version) in [(1, 1), (2, 2), (3, 0), (4, 1), (5, 0), (6, 1)] {
            index.push(
                Entry {
                    at: Revision::new(main, 0),
                    version,
                },
                0,
                0,
            );
        }
        index
    }

    fn mains(index: &KeyIndex) -> Vec<i64> {
        let entries = index.older.iter().chain(&index.newest);
        entries.map(|entry| entry.at.main()).collect()
    }

    #[test]
    fn compaction_keeps_what_is_current_and_a_tombstone_of_that_very_revision() {
        for (at, left) in [
            (1, vec![1, 2, 3, 4, 5, 6]),
            (2, vec![2, 3, 4, 5, 6]),
            (3, vec![3, 4, 5, 6]),
            (4, vec![4, 5, 6]),
            (5, vec![5, 6]),
            (6, vec![6]),
            (9, vec![6]),
        ] {
            let mut index = life();
            index.compact(at, &mut Vec::new());
            assert_eq!(mains(&index), left, "compact({at})");
        }
    }

    #[test]
    fn a_key_deleted_before_the_compaction_is_forgotten() {
        let mut index = life();
        index.push(
            Entry {
                at: Revision::new(7, 0),
                version: 0,
            },
            0,
            0,
        );
        let mut removed = Vec::new();
        index.compact(8, &mut removed);
        assert!(index.is_empty());
        assert_eq!(removed.len(), 7);
    }

    #[test]
    fn a_key_is_live_between_put_and_tombstone() {
        let index = life();
        let live: Vec<_> = (0..=7)
            .map(|main| index.live_at(main).map(|entry| entry.at.main()))
            .collect();
        assert_eq!(live, [None, Some(1), Some(2), None, Some(4), None, Some(6), Some(6)]);
    }

    #[test]
    fn history_names_the_revision_before_unless_the_key_was_dead() {
        let seen: Vec<_> = life()
            .between(2, 4)
            .map(|(entry, before)| (entry.at.main(), before.map(Revision::main)))
            .collect();
        assert_eq!(seen, [(2, Some(1)), (3, Some(2)), (4, None)]);
    }
}
