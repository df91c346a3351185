//! Opening and creating the database and its schema.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::mvcc::EngineError;

/// SQLite's application ID: "Crtn". The magic number of the format.
pub(super) const MAGIC: i32 = 0x4372_746e;
/// Version of the format, kept as SQLite's user version.
pub(super) const VERSION: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE record (
        revision INTEGER PRIMARY KEY,
        key BLOB NOT NULL,
        create_revision INTEGER NOT NULL,
        version INTEGER NOT NULL,
        lease INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT;
    CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL) STRICT;
    CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// The connection that writes; creates the schema in a new file, refuses a foreign one.
pub(super) fn writer(path: &Path) -> Result<Connection, EngineError> {
    // SQLite would create it readable for others.
    let io = |error: std::io::Error| EngineError::new("create database file", error);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    let connect = || -> rusqlite::Result<(Connection, i32, i32, i64)> {
        let connection = Connection::open(path)?;
        configure(&connection, 4096)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let magic = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((connection, magic, version, tables))
    };
    let (mut connection, magic, version, tables) =
        connect().map_err(|error| EngineError::new("open database", error))?;
    match (magic, version, tables) {
        (MAGIC, VERSION, _) => {}
        (0, 0, 0) => create(&mut connection).map_err(|error| EngineError::new("create database", error))?,
        (MAGIC, version, _) => {
            return Err(EngineError::new(
                "open database",
                format!("format version {version} is not supported"),
            ));
        }
        _ => {
            return Err(EngineError::new(
                "open database",
                format!("{} is not a store", path.display()),
            ));
        }
    }
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, EngineError> {
    let connect = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // Many of these may be open; the kernel's page cache is behind them all.
        configure(&connection, 1024)?;
        Ok(connection)
    };
    connect().map_err(|error: rusqlite::Error| EngineError::new("open reader", error))
}

fn configure(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(16);
    // Negative: in KiB.
    connection.pragma_update(None, "cache_size", -cache_kib)
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", MAGIC)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// A file to copy the database into, removed when done with.
pub(super) struct SnapshotFile(PathBuf);

impl SnapshotFile {
    pub(super) fn new(directory: &Path) -> Self {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = directory.join(format!("snapshot-{count}.tmp"));
        // Left behind by a crash, it would be in the way.
        let _ = fs::remove_file(&path);
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
