//! Multi-version store: every write makes a revision, reads are as of a revision, compaction forgets.
//!
//! No I/O of its own: [`Core`] turns operations into records and removals to make durable
//! ([`Core::take_batch`]); values are read back through [`Records`], which an engine implements.
//! Start with `key_index.rs` (a worked example of one key's life), then `core.rs`.

mod compaction;
mod core;
mod history;
mod index;
mod key_index;
mod key_range;
mod loading;
mod range;
mod revision;
#[cfg(test)]
mod tests;

pub(crate) use self::core::{Batch, Change, Core, LeaseChange, Meta, Writer};
pub(crate) use self::history::history;
pub(crate) use self::index::Index;
pub(crate) use self::key_range::KeyRange;
pub(crate) use self::range::plan_range;
pub(crate) use self::revision::Revision;

use bytes::Bytes;

/// What one revision of one key holds. The key's mod revision is the revision it is stored under.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// The key.
    pub(crate) key: Bytes,
    /// Main revision in which the key's present life began; 0 in a tombstone.
    pub(crate) create_revision: i64,
    /// Writes since creation, counting from 1; 0 marks a tombstone (the key was deleted).
    pub(crate) version: i64,
    /// Lease the key is attached to, or 0.
    pub(crate) lease: i64,
    /// The value; empty in a tombstone.
    pub(crate) value: Bytes,
}

impl Record {
    /// Whether this revision deleted the key.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    /// As it goes over the wire, at revision `at`.
    pub(crate) fn into_key_value(self, at: Revision) -> etcd_proto::mvccpb::KeyValue {
        etcd_proto::mvccpb::KeyValue {
            key: self.key,
            create_revision: self.create_revision,
            mod_revision: at.main(),
            version: self.version,
            value: self.value,
            lease: self.lease,
        }
    }

    /// Bytes it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.key.len() + self.value.len() + 64
    }
}

/// Where the records of known revisions can be read. Implemented by every engine.
pub(crate) trait Records {
    /// The records stored under `revisions`, in that order; `None` where compaction took one away.
    /// Without `values` the value fields are left empty.
    fn read(&self, revisions: &[Revision], values: bool) -> Result<Vec<Option<Record>>, EngineError>;
}

/// The disk failed or holds what it must not hold. After one in a write the store stops.
#[derive(Debug, thiserror::Error)]
#[error("storage engine: {step}")]
pub(crate) struct EngineError {
    /// The step that failed.
    pub(crate) step: &'static str,
    /// Why.
    #[source]
    pub(crate) source: Box<dyn std::error::Error + Send + Sync>,
}

impl EngineError {
    /// `source` happened in `step`.
    pub(crate) fn new(step: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            step,
            source: source.into(),
        }
    }
}

/// Why the store refuses an operation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The revision is below the compaction.
    #[error("revision has been compacted")]
    Compacted,
    /// The revision has not happened yet.
    #[error("revision is in the future")]
    Future,
    /// `ignore_value`/`ignore_lease` on a key that is not there.
    #[error("key not found")]
    KeyNotFound,
    /// The lease does not exist.
    #[error("lease not found")]
    LeaseNotFound,
    /// The lease ID is taken.
    #[error("lease exists")]
    LeaseExists,
    /// The lease would live longer than etcd allows.
    #[error("lease TTL too large")]
    LeaseTtlTooLarge,
    /// One transaction may change at most [`Revision::MAX_SUB`] keys.
    #[error("too many changes in one transaction")]
    TooManyChanges,
    /// The quota is used up.
    #[error("database space exceeded")]
    NoSpace,
    /// The disk failed.
    #[error("storage engine failed")]
    Engine(#[from] EngineError),
}
