//! A copy of the database, as its snapshot is, read where it stands: nothing is written beside it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::open::{MAGIC, VERSION};
use super::record;
use crate::mvcc::{Meta, Revision};
use crate::snapshot::content::{Part, Sink};

/// Hands over what is in the file at `path`, which may go on after the database's end.
///
/// # Errors
/// When it is damaged or no store's; or the sink's.
pub(crate) fn read_snapshot(path: &Path, sink: Sink<'_>) -> anyhow::Result<()> {
    // `immutable`: no lock and no log beside the file. As an URI, in which some bytes mean something.
    let escaped: String = path.as_os_str().as_bytes().iter().fold(String::new(), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
        uri
    });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?;
    // Its schema is another's.
    database.pragma_update(None, "trusted_schema", false)?;
    database.pragma_update(None, "cell_size_check", true)?;
    let magic: i32 = database.pragma_query_value(None, "application_id", |row| row.get(0))?;
    ensure!(magic == MAGIC, "is a database, but not of etcd-shim");
    let version: i32 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    ensure!(version == VERSION, "format version {version} is not supported");
    let mut schema = database
        .prepare("SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")?;
    let schema = schema.query_map([], |row| row.get(0))?;
    let schema: Vec<String> = schema.collect::<rusqlite::Result<_>>()?;
    ensure!(
        schema == ["table lease", "table number", "table record"],
        "the database has other tables than a store's: {}",
        schema.join(", ")
    );
    let check: String = database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    ensure!(check == "ok", "the database is damaged: {check}");

    let mut records = database
        .prepare("SELECT revision, key, create_revision, version, lease, value FROM record ORDER BY revision")?;
    let mut rows = records.query([])?;
    while let Some(row) = rows.next().context("read records")? {
        sink(Part::Record(Revision::from_raw(row.get(0)?), record(row, 1, true)?))?;
    }
    let mut leases = database.prepare("SELECT id, ttl FROM lease ORDER BY id")?;
    let mut rows = leases.query([])?;
    while let Some(row) = rows.next().context("read leases")? {
        sink(Part::Lease {
            id: row.get(0)?,
            ttl: row.get(1)?,
        })?;
    }
    let number = |name: &str| {
        database
            .query_row("SELECT value FROM number WHERE name = ?1", [name], |row| row.get(0))
            .optional()
    };
    sink(Part::Meta(Meta {
        compacted: number("compacted")?,
        compaction_finished: number("compaction_finished")?,
    }))
}
