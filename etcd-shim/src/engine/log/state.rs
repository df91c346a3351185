//! What a store holds beside records: little, and written whole at the start of every segment.

use std::collections::BTreeMap;

use super::item::{self, Item};
use crate::engine::Found;
use crate::mvcc::{LeaseChange, Meta};

/// Leases and single values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    leases: BTreeMap<i64, i64>,
    pub(super) numbers: BTreeMap<String, i64>,
    meta: Meta,
}

impl State {
    /// Takes an item over; records and what is removed are not its business.
    pub(super) fn apply(&mut self, item: &Item) {
        match item {
            Item::Granted { id, ttl } => drop(self.leases.insert(*id, *ttl)),
            Item::Revoked { id } => drop(self.leases.remove(id)),
            Item::Compacted(at) => self.meta.compacted = Some(*at),
            Item::CompactionFinished(at) => self.meta.compaction_finished = Some(*at),
            Item::Number { name, value } => drop(self.numbers.insert(name.clone(), *value)),
            Item::Record { .. } | Item::Removed(_) => {}
        }
    }

    /// Writes all of it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (id, ttl) in &self.leases {
            item::put_small(out, &Item::Granted { id: *id, ttl: *ttl });
        }
        for (name, value) in &self.numbers {
            let (name, value) = (name.clone(), *value);
            item::put_small(out, &Item::Number { name, value });
        }
        of_meta(self.meta).for_each(|item| item::put_small(out, &item));
    }

    /// As the store above wants it.
    pub(super) fn found(&self) -> Found {
        let leases = self
            .leases
            .iter()
            .map(|(id, ttl)| LeaseChange::Granted { id: *id, ttl: *ttl });
        Found {
            meta: self.meta,
            leases: leases.collect(),
        }
    }
}

/// The single values that are set, as items.
pub(super) fn of_meta(meta: Meta) -> impl Iterator<Item = Item> {
    let compacted = meta.compacted.map(Item::Compacted);
    compacted
        .into_iter()
        .chain(meta.compaction_finished.map(Item::CompactionFinished))
}

/// A change of a lease as an item.
pub(super) fn of_lease(change: LeaseChange) -> Item {
    match change {
        LeaseChange::Granted { id, ttl } => Item::Granted { id, ttl },
        LeaseChange::Revoked { id } => Item::Revoked { id },
    }
}
