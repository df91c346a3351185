//! Where history is kept: a narrow trait, so that the store above knows nothing of files.
//!
//! [`sqlite`] is what runs (its format: `docs/format.md`); [`memory`] keeps nothing and is for tests and
//! throw-away clusters. Both pass the same tests.

pub(crate) mod memory;
pub(crate) mod sqlite;

use crate::mvcc::{Batch, EngineError, LeaseChange, Meta, Record, Records, Revision};

/// What an engine found when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// How far history was compacted.
    pub(crate) meta: Meta,
    /// The leases that exist, each as a grant.
    pub(crate) leases: Vec<LeaseChange>,
}

/// Sizes of the stored data, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of the file.
    pub(crate) total: u64,
    /// Of the parts that hold data.
    pub(crate) in_use: u64,
}

/// A durable, ordered map from revision to record, with the lease table and a few single values.
///
/// One thread commits; any number read meanwhile and never wait for it.
pub(crate) trait Engine: Records + Send + Sync + 'static {
    /// Makes `batch` durable, all or nothing. When it returns `Ok` a crash loses none of it.
    fn commit(&self, batch: &Batch) -> Result<(), EngineError>;

    /// Visits every record from `from` on in order of revision, without the values unless asked for.
    fn scan(&self, from: Revision, values: bool, visit: &mut dyn FnMut(Revision, Record)) -> Result<(), EngineError>;

    /// What is stored beside the records.
    fn found(&self) -> Result<Found, EngineError>;

    /// Replaces the number stored under `name` by what `make` makes of it (`None`: there is none yet).
    fn number(&self, name: &str, make: &mut dyn FnMut(Option<i64>) -> i64) -> Result<i64, EngineError>;

    /// How big it is.
    fn size(&self) -> Result<Size, EngineError>;

    /// Gives free space back to the file system. Writes wait, reads do not.
    fn defragment(&self) -> Result<(), EngineError>;

    /// A consistent copy of everything, as one file's bytes in pieces handed to `sink`; the first
    /// argument is how many bytes follow. `sink` answers whether to go on.
    fn snapshot(&self, sink: &mut dyn FnMut(u64, Vec<u8>) -> bool) -> Result<(), EngineError>;
}
