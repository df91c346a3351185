//! Where history is kept: a narrow trait, so that the store above knows nothing of files.
//!
//! [`log`] keeps new stores, [`sqlite`] those it began and those that `--engine=sqlite` gives it (their formats:
//! `docs/format.md`); [`memory`] keeps nothing and is for tests and throw-away clusters. All pass the same tests.

pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod sqlite;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use crate::config::EngineKind;
use crate::mvcc::{Batch, EngineError, LeaseChange, Meta, Record, Records, Revision};

/// What the sqlite engine has in the store's directory.
const SQLITE: &str = "corten.db";
/// What the log engine has there.
const LOG: &str = "log";

/// Opens the engine of a kind in `directory`; without a kind that of the data there, or a log where there is none.
///
/// # Errors
/// When the data cannot be read, is in use, damaged, or another engine's.
pub(crate) fn open(kind: Option<EngineKind>, directory: &Path) -> Result<Arc<dyn Engine>, EngineError> {
    let found = if directory.join(SQLITE).exists() {
        EngineKind::Sqlite
    } else {
        EngineKind::Log
    };
    Ok(match kind.unwrap_or(found) {
        EngineKind::Sqlite => Arc::new(sqlite::Sqlite::open(directory)?),
        EngineKind::Log => Arc::new(self::log::Log::open(directory)?),
    })
}

/// An empty store beside a full one would look like lost data.
fn refuse_other(directory: &Path, theirs: &str) -> Result<(), EngineError> {
    let path = directory.join(theirs);
    if path.exists() {
        let why = format!("{} is the data of another engine: see --engine", path.display());
        return Err(EngineError::new("open data directory", why));
    }
    Ok(())
}

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

/// Makes `directory` (0700) and takes its lock, which lives as long as the returned file.
fn lock(directory: &Path) -> Result<File, EngineError> {
    let io = |error: std::io::Error| EngineError::new("open data directory", error);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(io)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(io)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join("lock"))
        .map_err(io)?;
    file.try_lock()
        .map_err(|error| EngineError::new("lock data directory (is another server using it?)", error))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
