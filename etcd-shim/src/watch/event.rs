//! One change as watchers see it, shared by all of them.

use std::sync::{Arc, OnceLock};

use etcd_proto::mvccpb;
use etcd_proto::mvccpb::event::EventType;

use crate::mvcc::{Change, EngineError, Record, Records, Revision};

/// A change; the record before it is read at most once, when the first watcher asks for it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: Arc<Change>,
    before: OnceLock<Option<Record>>,
}

impl Event {
    pub(crate) fn new(change: Arc<Change>) -> Arc<Self> {
        Arc::new(Self {
            change,
            before: OnceLock::new(),
        })
    }

    pub(crate) fn main(&self) -> i64 {
        self.change.at.main()
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.change.record.is_tombstone()
    }

    pub(crate) fn weight(&self) -> usize {
        self.change.record.weight()
    }

    /// The revision whose record a watcher with `prev_kv` still needs read.
    pub(crate) fn unread_before(&self) -> Option<Revision> {
        self.change.before.filter(|_| self.before.get().is_none())
    }

    /// As it goes over the wire; with the pair before, if `previous` and it has been read.
    pub(crate) fn to_wire(&self, previous: bool) -> mvccpb::Event {
        let before = match (previous, self.change.before, self.before.get()) {
            (true, Some(at), Some(Some(record))) => Some(record.clone().into_key_value(at)),
            _ => None,
        };
        let kind = if self.is_delete() {
            EventType::Delete
        } else {
            EventType::Put
        };
        let kv = self.change.record.clone().into_key_value(self.change.at);
        mvccpb::Event {
            r#type: kind.into(),
            kv: Some(kv),
            prev_kv: before,
        }
    }

    /// Reads what the events were before, for all of `events` at once.
    pub(crate) fn read_before(events: &[Arc<Self>], records: &dyn Records) -> Result<(), EngineError> {
        let wanting: Vec<_> = events
            .iter()
            .filter_map(|event| Some((event, event.unread_before()?)))
            .collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let revisions: Vec<_> = wanting.iter().map(|(_, at)| *at).collect();
        for ((event, _), record) in wanting.into_iter().zip(records.read(&revisions, true)?) {
            // Another stream may have been faster, with the same answer.
            let _ = event.before.set(record);
        }
        Ok(())
    }
}
