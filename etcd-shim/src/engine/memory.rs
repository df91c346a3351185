//! The engine that keeps nothing across a restart.

use std::collections::BTreeMap;

use parking_lot::RwLock;

use super::{Engine, Found, Size};
use crate::mvcc::{Batch, EngineError, LeaseChange, Meta, Record, Records, Revision};

/// Records in a map. Clone the `Arc` around it to reopen a store over the same content.
#[derive(Default)]
pub(crate) struct Memory(RwLock<Content>);

#[derive(Default)]
struct Content {
    records: BTreeMap<Revision, Record>,
    leases: BTreeMap<i64, i64>,
    meta: Meta,
    numbers: BTreeMap<String, i64>,
    bytes: u64,
}

impl Records for Memory {
    fn read(&self, revisions: &[Revision], values: bool) -> Result<Vec<Option<Record>>, EngineError> {
        let content = self.0.read();
        Ok(revisions
            .iter()
            .map(|at| content.records.get(at).map(|record| pick(record, values)))
            .collect())
    }
}

impl Engine for Memory {
    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        let mut content = self.0.write();
        for change in &batch.changes {
            content.bytes += change.record.weight() as u64;
            content.records.insert(change.at, change.record.clone());
        }
        for at in &batch.removed {
            if let Some(record) = content.records.remove(at) {
                content.bytes -= record.weight() as u64;
            }
        }
        for change in &batch.leases {
            match *change {
                LeaseChange::Granted { id, ttl } => content.leases.insert(id, ttl),
                LeaseChange::Revoked { id } => content.leases.remove(&id),
            };
        }
        content.meta.compacted = batch.meta.compacted.or(content.meta.compacted);
        content.meta.compaction_finished = batch.meta.compaction_finished.or(content.meta.compaction_finished);
        Ok(())
    }

    fn scan(&self, from: Revision, values: bool, visit: &mut dyn FnMut(Revision, Record)) -> Result<(), EngineError> {
        for (at, record) in self.0.read().records.range(from..) {
            visit(*at, pick(record, values));
        }
        Ok(())
    }

    fn found(&self) -> Result<Found, EngineError> {
        let content = self.0.read();
        let leases = content
            .leases
            .iter()
            .map(|(id, ttl)| LeaseChange::Granted { id: *id, ttl: *ttl })
            .collect();
        Ok(Found {
            meta: content.meta,
            leases,
        })
    }

    fn number(&self, name: &str, make: &mut dyn FnMut(Option<i64>) -> i64) -> Result<i64, EngineError> {
        let mut content = self.0.write();
        let number = make(content.numbers.get(name).copied());
        content.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    fn size(&self) -> Result<Size, EngineError> {
        let bytes = self.0.read().bytes;
        Ok(Size {
            total: bytes,
            in_use: bytes,
        })
    }

    fn defragment(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn snapshot(&self, _: &mut dyn FnMut(u64, Vec<u8>) -> bool) -> Result<(), EngineError> {
        Err(EngineError::new("snapshot", "the memory engine has no file to copy"))
    }
}

fn pick(record: &Record, values: bool) -> Record {
    if values {
        record.clone()
    } else {
        Record {
            value: bytes::Bytes::new(),
            ..record.clone()
        }
    }
}
