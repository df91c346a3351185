//! The engine over one SQLite file in WAL mode with `synchronous=FULL`: a commit returns when the
//! write-ahead log is on disk. The format is in `docs/format.md`.

mod open;
mod snapshot;

pub(crate) use self::snapshot::read_snapshot;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Engine, Found, Size};
use crate::mvcc::{Batch, EngineError, LeaseChange, Meta, Record, Records, Revision};

/// An open database. One connection writes; readers take one from a pool.
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    // Held while the store is open: a second process must not write the same files.
    _lock: std::fs::File,
}

const READ: &str = "SELECT key, create_revision, version, lease, value FROM record WHERE revision = ?1";
const READ_BARE: &str = "SELECT key, create_revision, version, lease FROM record WHERE revision = ?1";
const INSERT: &str =
    "INSERT INTO record (revision, key, create_revision, version, lease, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
/// Readers kept open when idle.
const IDLE_READERS: usize = 8;
/// Bytes of a snapshot sent at a time (etcd sends 32 KiB).
const SNAPSHOT_PIECE: usize = 256 << 10;

impl Sqlite {
    /// Opens the store in `directory`, creating both if they are missing. The directory is made 0700.
    pub(crate) fn open(directory: &Path) -> Result<Self, EngineError> {
        let lock = super::lock(directory)?;
        super::refuse_other(directory, super::LOG)?;
        let path = directory.join(super::SQLITE);
        let writer = open::writer(&path)?;
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            _lock: lock,
        })
    }

    fn with_reader<T>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let pooled = self.readers.lock().pop();
        let reader = match pooled {
            Some(reader) => reader,
            None => open::reader(&self.path)?,
        };
        let result = work(&reader);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        drop(readers);
        result.map_err(|error| EngineError::new(step, error))
    }
}

impl Records for Sqlite {
    fn read(&self, revisions: &[Revision], values: bool) -> Result<Vec<Option<Record>>, EngineError> {
        if revisions.is_empty() {
            return Ok(Vec::new());
        }
        self.with_reader("read records", |reader| {
            let mut statement = reader.prepare_cached(if values { READ } else { READ_BARE })?;
            revisions
                .iter()
                .map(|at| statement.query_row([at.raw()], |row| record(row, 0, values)).optional())
                .collect()
        })
    }
}

impl Engine for Sqlite {
    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        commit(&mut self.writer.lock(), batch).map_err(|error| EngineError::new("commit", error))
    }

    fn scan(&self, from: Revision, values: bool, visit: &mut dyn FnMut(Revision, Record)) -> Result<(), EngineError> {
        let columns = if values { ", value" } else { "" };
        let query = format!(
            "SELECT revision, key, create_revision, version, lease{columns} FROM record WHERE revision >= ?1 ORDER BY revision"
        );
        self.with_reader("scan records", |reader| {
            let mut statement = reader.prepare(&query)?;
            let mut rows = statement.query([from.raw()])?;
            while let Some(row) = rows.next()? {
                visit(Revision::from_raw(row.get(0)?), record(row, 1, values)?);
            }
            Ok(())
        })
    }

    fn found(&self) -> Result<Found, EngineError> {
        self.with_reader("read leases and numbers", |reader| {
            let number = |name: &str| {
                reader
                    .query_row("SELECT value FROM number WHERE name = ?1", [name], |row| row.get(0))
                    .optional()
            };
            let meta = Meta {
                compacted: number("compacted")?,
                compaction_finished: number("compaction_finished")?,
            };
            let mut statement = reader.prepare("SELECT id, ttl FROM lease")?;
            let leases = statement
                .query_map([], |row| {
                    Ok(LeaseChange::Granted {
                        id: row.get(0)?,
                        ttl: row.get(1)?,
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Found { meta, leases })
        })
    }

    fn number(&self, name: &str, make: &mut dyn FnMut(Option<i64>) -> i64) -> Result<i64, EngineError> {
        let writer = self.writer.lock();
        let mut update = || {
            let old = writer
                .query_row("SELECT value FROM number WHERE name = ?1", [name], |row| row.get(0))
                .optional()?;
            let number = make(old);
            writer.execute(
                "INSERT OR REPLACE INTO number (name, value) VALUES (?1, ?2)",
                params![name, number],
            )?;
            Ok(number)
        };
        update().map_err(|error: rusqlite::Error| EngineError::new("update number", error))
    }

    fn size(&self) -> Result<Size, EngineError> {
        self.with_reader("measure", |reader| {
            let pragma = |name: &str| {
                reader
                    .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                    .map(i64::unsigned_abs)
            };
            let (page, pages, free) = (pragma("page_size")?, pragma("page_count")?, pragma("freelist_count")?);
            Ok(Size {
                total: pages * page,
                in_use: pages.saturating_sub(free) * page,
            })
        })
    }

    fn defragment(&self) -> Result<(), EngineError> {
        let writer = self.writer.lock();
        let vacuum = || {
            writer.execute_batch("VACUUM")?;
            writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        vacuum().map_err(|error| EngineError::new("defragment", error))
    }

    fn snapshot(&self, sink: &mut dyn FnMut(u64, Vec<u8>) -> bool) -> Result<(), EngineError> {
        use std::io::Read;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let copy = open::SnapshotFile::new(directory);
        self.with_reader("copy for snapshot", |reader| {
            reader
                .execute("VACUUM INTO ?1", [copy.path().to_string_lossy()])
                .map(|_| ())
        })?;
        let mut read = || -> std::io::Result<()> {
            let mut file = std::fs::File::open(copy.path())?;
            let mut left = file.metadata()?.len();
            while left > 0 {
                let mut piece = Vec::with_capacity(SNAPSHOT_PIECE);
                let read = (&mut file).take(SNAPSHOT_PIECE as u64).read_to_end(&mut piece)?;
                left = left.saturating_sub(read as u64);
                if read == 0 || !sink(left, piece) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|error| EngineError::new("read snapshot", error))
    }
}

fn commit(writer: &mut Connection, batch: &Batch) -> rusqlite::Result<()> {
    let transaction = writer.transaction()?;
    {
        let mut insert = transaction.prepare_cached(INSERT)?;
        for change in &batch.changes {
            let record = &change.record;
            insert.execute(params![
                change.at.raw(),
                &record.key[..],
                record.create_revision,
                record.version,
                record.lease,
                &record.value[..]
            ])?;
        }
        let mut remove = transaction.prepare_cached("DELETE FROM record WHERE revision = ?1")?;
        for at in &batch.removed {
            remove.execute([at.raw()])?;
        }
        for change in &batch.leases {
            match *change {
                LeaseChange::Granted { id, ttl } => transaction
                    .prepare_cached("INSERT OR REPLACE INTO lease (id, ttl) VALUES (?1, ?2)")?
                    .execute([id, ttl])?,
                LeaseChange::Revoked { id } => transaction
                    .prepare_cached("DELETE FROM lease WHERE id = ?1")?
                    .execute([id])?,
            };
        }
        let numbers = [
            ("compacted", batch.meta.compacted),
            ("compaction_finished", batch.meta.compaction_finished),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO number (name, value) VALUES (?1, ?2)")?
                    .execute(params![name, number])?;
            }
        }
    }
    transaction.commit()
}

fn record(row: &rusqlite::Row<'_>, first: usize, values: bool) -> rusqlite::Result<Record> {
    let value = if values { blob(row, first + 4)? } else { Bytes::new() };
    Ok(Record {
        key: blob(row, first)?,
        create_revision: row.get(first + 1)?,
        version: row.get(first + 2)?,
        lease: row.get(first + 3)?,
        value,
    })
}

fn blob(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}
