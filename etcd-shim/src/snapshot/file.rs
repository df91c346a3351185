//! A snapshot file: one of three formats, followed by the SHA-256 of what stands before.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::bolt::Bolt;
use super::content::{Account, Part, Sink};
use super::etcd;
use crate::engine;

/// Bytes of the checksum.
pub(super) const SUM: u64 = 32;
/// Bytes that tell the format.
const START: usize = 32;

/// Which store wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Sqlite,
    Log,
    Etcd,
}

/// A snapshot whose checksum was right, or that nobody asked.
pub(super) struct Snapshot {
    path: PathBuf,
    file: File,
    /// Bytes before the checksum.
    length: u64,
    pub(super) format: Format,
}

/// What `status` says.
pub(super) struct Status {
    pub(super) hash: u32,
    pub(super) revision: i64,
    pub(super) keys: u64,
    pub(super) size: u64,
    /// Version of etcd's storage whose features it may use; empty before etcd 3.6.
    pub(super) version: &'static str,
}

impl Snapshot {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is no snapshot, or its checksum is missing or wrong and not to be skipped.
    pub(super) fn open(path: &Path, skip_hash_check: bool) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<Self> {
            let file = File::open(path)?;
            let about = file.metadata()?;
            ensure!(about.is_file(), "is no file");
            let whole = about.len();
            ensure!(whole > SUM + START as u64, "is too short for a snapshot");
            let mut start = [0; START];
            file.read_exact_at(&mut start, 0)?;
            let format = if start.starts_with(b"SQLite format 3\0") {
                Format::Sqlite
            } else if engine::log::is_segment(&start) {
                Format::Log
            } else if Bolt::begins(&start) {
                Format::Etcd
            } else {
                bail!("is no snapshot of etcd or etcd-shim");
            };
            let hashed = has_sum(&file, whole)?;
            if !hashed && !skip_hash_check {
                bail!(
                    "its SHA-256 is missing or wrong: it is damaged, or cut off, or no snapshot but a database file \
                     (--skip-hash-check takes it as it is)"
                );
            }
            // Databases are whole sectors long.
            let summed = hashed || format == Format::Log || whole % 512 == SUM;
            Ok(Self {
                path: path.to_owned(),
                file,
                length: if summed { whole - SUM } else { whole },
                format,
            })
        };
        open().with_context(|| format!("snapshot {}", path.display()))
    }

    /// Hands over what is in it.
    ///
    /// # Errors
    /// When it is damaged, with the place; or the sink's.
    pub(super) fn read(&self, sink: Sink<'_>) -> anyhow::Result<()> {
        let read = match self.format {
            Format::Sqlite => engine::sqlite::read_snapshot(&self.path, sink),
            Format::Log => engine::log::read_snapshot(&self.file, self.length, sink),
            Format::Etcd => etcd::read(&self.file, self.length, sink),
        };
        read.with_context(|| format!("snapshot {}", self.path.display()))
    }

    /// Hands over what is in it, proved.
    ///
    /// # Errors
    /// As [`Snapshot::read`], and when no store would have written it.
    pub(super) fn read_checked(&self, sink: Sink<'_>) -> anyhow::Result<Account> {
        let mut account = Account::new();
        self.read(&mut |part: Part| {
            account.add(&part)?;
            sink(part)
        })?;
        account
            .finish()
            .with_context(|| format!("snapshot {}", self.path.display()))?;
        Ok(account)
    }

    /// Reads all of it and counts; of etcd's as `etcdctl snapshot status` does.
    ///
    /// # Errors
    /// As [`Snapshot::read_checked`].
    pub(super) fn status(&self) -> anyhow::Result<Status> {
        let account = self.read_checked(&mut |_| Ok(()))?;
        if self.format == Format::Etcd {
            let count = etcd::count(&self.file, self.length)?;
            return Ok(Status {
                hash: count.hash,
                revision: count.revision,
                keys: count.keys,
                size: count.size,
                version: "",
            });
        }
        Ok(Status {
            hash: account.hash(),
            revision: account.revision(),
            keys: account.records,
            size: self.length,
            version: crate::STORAGE_VERSION,
        })
    }
}

fn has_sum(file: &File, whole: u64) -> anyhow::Result<bool> {
    let mut wanted = [0; SUM as usize];
    file.read_exact_at(&mut wanted, whole - SUM)?;
    Ok(sum(file, whole - SUM)? == wanted)
}

/// The SHA-256 of the first bytes of a file.
pub(super) fn sum(file: &File, length: u64) -> std::io::Result<[u8; SUM as usize]> {
    use std::io::Seek as _;
    let mut file = file;
    file.rewind()?;
    let mut reader = BufReader::with_capacity(1 << 20, file).take(length);
    let mut digest = Sha256::new();
    let copied = std::io::copy(&mut reader, &mut digest)?;
    if copied != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(digest.finalize().into())
}
