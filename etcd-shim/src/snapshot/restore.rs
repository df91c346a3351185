//! `snapshot restore`: a data directory from a snapshot, all of it or none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::content::{Account, Part, filler};
use super::file::Snapshot;
use crate::config::EngineKind;
use crate::engine::{self, Engine};
use crate::mvcc::{Batch, Change, LeaseChange, Revision};
use crate::server::private_directory;

/// Bytes made durable at once, about.
const BATCH: usize = 4 << 20;

/// What to restore, and where to.
pub(super) struct Restore<'a> {
    pub(super) snapshot: &'a Path,
    pub(super) skip_hash_check: bool,
    pub(super) data_dir: &'a Path,
    pub(super) engine: EngineKind,
    /// How much later the revision shall be.
    pub(super) bump_revision: i64,
    /// Whether everything is compacted at that revision.
    pub(super) mark_compacted: bool,
}

/// Restores.
///
/// # Errors
/// Whatever is wrong with the snapshot or the directory; then there is no new directory.
pub(super) fn restore(what: &Restore<'_>) -> anyhow::Result<Account> {
    let shown = what.data_dir.display();
    let is_empty = match fs::read_dir(what.data_dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("data-dir {shown:?}")),
    };
    ensure!(is_empty, "data-dir {shown:?} not empty or could not be read");
    let snapshot = Snapshot::open(what.snapshot, what.skip_hash_check)?;
    let staging = Staging::beside(what.data_dir)?;
    let store = staging.0.join("store");
    let engine = engine::open(Some(what.engine), &store)?;
    let account = fill(&*engine, &snapshot, what)?;
    drop(engine);
    prove(what.engine, &store, &account).context("what was written is not what was read")?;
    for directory in [&store, &staging.0] {
        File::open(directory)?.sync_all()?;
    }
    fs::rename(&staging.0, what.data_dir).with_context(|| format!("give the new directory its name {shown}"))?;
    let parent = what
        .data_dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()?;
    Ok(account)
}

fn fill(engine: &dyn Engine, snapshot: &Snapshot, what: &Restore<'_>) -> anyhow::Result<Account> {
    let mut batch = Batch::default();
    let mut bytes = 0;
    let add = |batch: &mut Batch, part: Part| match part {
        Part::Record(at, record) => batch.changes.push(Arc::new(Change {
            at,
            record,
            before: None,
        })),
        Part::Lease { id, ttl } => batch.leases.push(LeaseChange::Granted { id, ttl }),
        Part::Meta(meta) => batch.meta = meta,
        Part::Note(_) => {}
    };
    let mut account = snapshot.read_checked(&mut |part| {
        bytes += match &part {
            Part::Record(_, record) => record.weight(),
            _ => 16,
        };
        add(&mut batch, part);
        if bytes >= BATCH {
            engine.commit(&std::mem::take(&mut batch))?;
            bytes = 0;
        }
        Ok(())
    })?;
    if what.bump_revision > 0 {
        let bumped = account.revision().saturating_add(what.bump_revision);
        let (at, record) = filler(bumped).context("--bump-revision")?;
        let mut meta = account.meta;
        if what.mark_compacted {
            meta.compacted = Some(bumped);
        }
        for part in [Part::Record(at, record), Part::Meta(meta)] {
            account.add(&part)?;
            add(&mut batch, part);
        }
        account.finish()?;
    }
    engine.commit(&batch)?;
    Ok(account)
}

/// Reads the new store and compares.
fn prove(kind: EngineKind, store: &Path, wanted: &Account) -> anyhow::Result<()> {
    let engine = engine::open(Some(kind), store)?;
    let mut account = Account::new();
    let mut wrong = None;
    engine.scan(Revision::from_raw(0), true, &mut |at, record| {
        if let Err(error) = account.add(&Part::Record(at, record)) {
            wrong.get_or_insert(error);
        }
    })?;
    wrong.map_or(Ok(()), Err)?;
    let found = engine.found()?;
    for lease in found.leases {
        if let LeaseChange::Granted { id, ttl } = lease {
            account.add(&Part::Lease { id, ttl })?;
        }
    }
    let same = account.hash() == wanted.hash()
        && account.records == wanted.records
        && account.leases() == wanted.leases()
        && found.meta == wanted.meta;
    ensure!(
        same,
        "{} records with the hash {:08x}, not {} with {:08x}",
        account.records,
        account.hash(),
        wanted.records,
        wanted.hash()
    );
    Ok(())
}

/// The directory while it is made; removed unless it got its name.
struct Staging(PathBuf);

impl Staging {
    fn beside(directory: &Path) -> anyhow::Result<Self> {
        let name = directory
            .file_name()
            .with_context(|| format!("data-dir {} has no name", directory.display()))?;
        let mut name = name.to_os_string();
        name.push(format!(".restoring-{}", std::process::id()));
        let path = directory.with_file_name(name);
        ensure!(!path.exists(), "{} is in the way", path.display());
        private_directory(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the renaming there is none of that name.
        let _ = fs::remove_dir_all(&self.0);
    }
}
