//! Snapshots of every format become stores of every engine, and wrong bytes do not.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::content::{Account, Part};
use super::file::{Format, Snapshot};
use super::restore::{Restore, restore};
use super::{convert, etcd};
use crate::config::EngineKind;
use crate::engine::{self, Engine};
use crate::mvcc::{Batch, Change, LeaseChange, Meta, Record, Revision};

const ENGINES: [EngineKind; 2] = [EngineKind::Sqlite, EngineKind::Log];

/// A store's life: keys that change and go, several in one transaction, leases, a compaction, a value of many pages.
fn life(keys: i64) -> Vec<Part> {
    let mut parts = Vec::new();
    for main in 2..2 + keys {
        let live = main % 7 != 0;
        for sub in 0..1 + main % 3 {
            let record = Record {
                key: format!("/registry/{}/{}", main % 5, main + sub).into(),
                create_revision: if live { main } else { 0 },
                version: i64::from(live),
                lease: if live && main % 4 == 0 { 77 } else { 0 },
                value: if live {
                    vec![main as u8; (main * 13 % 300) as usize].into()
                } else {
                    Bytes::new()
                },
            };
            parts.push(Part::Record(Revision::new(main, sub), record));
        }
    }
    let record = Record {
        key: "large".into(),
        create_revision: 2 + keys,
        version: 1,
        lease: 0,
        value: vec![b'x'; 20_000].into(),
    };
    parts.push(Part::Record(Revision::new(2 + keys, 0), record));
    parts.push(Part::Lease { id: 77, ttl: 60 });
    parts.push(Part::Lease { id: 78, ttl: 3600 });
    parts.push(Part::Meta(Meta {
        compacted: Some(2),
        compaction_finished: Some(2),
    }));
    parts
}

fn fill(engine: &dyn Engine, parts: &[Part]) {
    let mut batch = Batch::default();
    for part in parts {
        match part.clone() {
            Part::Record(at, record) => batch.changes.push(Arc::new(Change {
                at,
                record,
                before: None,
            })),
            Part::Lease { id, ttl } => batch.leases.push(LeaseChange::Granted { id, ttl }),
            Part::Meta(meta) => batch.meta = meta,
            Part::Note(_) => {}
        }
    }
    engine.commit(&batch).unwrap();
}

/// What the Maintenance service sends of an engine's store.
fn save(engine: &dyn Engine, path: &Path) {
    let mut bytes = Vec::new();
    let mut sink = |_, piece: Vec<u8>| {
        bytes.extend_from_slice(&piece);
        true
    };
    engine.snapshot(&mut sink).unwrap();
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    fs::write(path, bytes).unwrap();
}

fn read(path: &Path) -> (Vec<Part>, Account) {
    let mut parts = Vec::new();
    let account = Snapshot::open(path, false)
        .unwrap()
        .read_checked(&mut |part| {
            parts.push(part);
            Ok(())
        })
        .unwrap();
    (parts, account)
}

fn plain<'a>(snapshot: &'a Path, data_dir: &'a Path, engine: EngineKind) -> Restore<'a> {
    Restore {
        snapshot,
        skip_hash_check: false,
        data_dir,
        engine,
        bump_revision: 0,
        mark_compacted: false,
    }
}

/// A snapshot of each format of one life.
fn all(directory: &TempDir, parts: &[Part]) -> Vec<(Format, PathBuf)> {
    let mut found = Vec::new();
    for (kind, format) in ENGINES.into_iter().zip([Format::Sqlite, Format::Log]) {
        let place = directory.path().join(format!("{format:?}"));
        let engine = engine::open(Some(kind), &place).unwrap();
        fill(&*engine, parts);
        let path = directory.path().join(format!("{format:?}.snapshot"));
        save(&*engine, &path);
        found.push((format, path));
    }
    let path = directory.path().join("etcd.snapshot");
    convert::convert(&found[0].1, false, &path).unwrap();
    found.push((Format::Etcd, path));
    found
}

#[test]
fn every_format_becomes_a_store_of_every_engine() {
    let directory = tempfile::tempdir().unwrap();
    let parts = life(400);
    let snapshots = all(&directory, &parts);
    for (format, path) in &snapshots {
        let (found, account) = read(path);
        assert!(found == parts, "{format:?}");
        assert_eq!(Snapshot::open(path, false).unwrap().format, *format);
        for kind in ENGINES {
            let made = directory.path().join(format!("{format:?}-{kind:?}"));
            restore(&plain(path, &made, kind)).unwrap();
            let engine = engine::open(Some(kind), &made.join("store")).unwrap();
            let again = directory.path().join("again.snapshot");
            save(&*engine, &again);
            let (found, restored) = read(&again);
            assert!(found == parts, "{format:?} as {kind:?}");
            assert_eq!(restored.hash(), account.hash());
        }
    }
}

#[test]
fn a_directory_with_something_in_it_is_refused_by_name_and_a_bad_snapshot_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = all(&directory, &life(20));
    let full = directory.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine"), "1").unwrap();
    for (format, path) in &snapshots {
        for kind in ENGINES {
            let refused = restore(&plain(path, &full, kind)).err().unwrap().to_string();
            assert!(refused.contains("full\" not empty"), "{refused}");
            let bytes = fs::read(path).unwrap();
            let bad = directory.path().join("bad.snapshot");
            let made = directory.path().join("made");
            // An empty one may be there.
            fs::create_dir_all(&made).unwrap();
            for (what, bytes) in [
                ("cut off", bytes[..bytes.len() / 2].to_vec()),
                ("without its sum", bytes[..bytes.len() - 32].to_vec()),
                ("longer", [&bytes[..], b"x"].concat()),
                ("empty", vec![]),
                ("changed", {
                    let mut changed = bytes.clone();
                    changed[bytes.len() / 3] ^= 1;
                    changed
                }),
            ] {
                fs::write(&bad, bytes).unwrap();
                let refused = format!("{:#}", restore(&plain(&bad, &made, kind)).err().unwrap());
                assert!(refused.contains("bad.snapshot"), "{format:?} {what}: {refused}");
                assert_eq!(fs::read_dir(&made).unwrap().count(), 0);
            }
        }
    }
    let left: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("restoring") || name.ends_with(".part"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_bumped_revision_stays_and_everything_before_can_be_compacted() {
    let directory = tempfile::tempdir().unwrap();
    for (format, path) in all(&directory, &life(20)) {
        for kind in ENGINES {
            let made = directory.path().join(format!("bumped-{format:?}-{kind:?}"));
            let what = Restore {
                bump_revision: 1_000_000,
                mark_compacted: true,
                ..plain(&path, &made, kind)
            };
            assert_eq!(restore(&what).unwrap().revision(), 1_000_022);
            let engine = engine::open(Some(kind), &made.join("store")).unwrap();
            assert_eq!(engine.found().unwrap().meta.compacted, Some(1_000_022));
            // It goes through etcd's format, too.
            let (ours, theirs) = (directory.path().join("ours"), directory.path().join("theirs"));
            save(&*engine, &ours);
            convert::convert(&ours, false, &theirs).unwrap();
            assert_eq!(read(&theirs), read(&ours));
        }
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        (self.hash(), self.records, self.meta, self.leases())
            == (other.hash(), other.records, other.meta, other.leases())
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records, hash {:x}", self.records, self.hash())
    }
}

#[test]
fn one_wrong_byte_anywhere_is_reported_by_the_sum() {
    let directory = tempfile::tempdir().unwrap();
    for (format, path) in all(&directory, &life(5)) {
        let bytes = fs::read(&path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        // All of a small file; of a larger one, what stands at its structures and every so many.
        let step = (bytes.len() / 1500).max(1);
        for at in (0..bytes.len()).filter(|at| at % step == 0 || at % 4096 < 64) {
            file.write_all_at(&[bytes[at] ^ (1 << (at % 8))], at as u64).unwrap();
            assert!(Snapshot::open(&path, false).is_err(), "{format:?} at byte {at}");
            file.write_all_at(&[bytes[at]], at as u64).unwrap();
        }
        assert!(Snapshot::open(&path, false).is_ok());
    }
}

/// Without the sum nothing tells a changed value from a right one in etcd's format and in SQLite's; the log has checksums
/// of its own. What is read ends in any case, and in no panic.
#[test]
fn one_wrong_byte_anywhere_ends_in_an_error_or_in_content() {
    let directory = tempfile::tempdir().unwrap();
    let parts = life(5);
    for (format, path) in all(&directory, &parts) {
        let bytes = fs::read(&path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let (mut reported, mut served) = (0, 0);
        let step = match format {
            // Each byte of the log and of what is filled of etcd's pages.
            Format::Log | Format::Etcd => 1,
            Format::Sqlite => 11,
        };
        for at in (0..bytes.len() - 32).step_by(step) {
            // Most of a page is free; what is in it stands at its start.
            if format == Format::Etcd && bytes[at] == 0 && at % 4096 > 1024 && at % 16 > 0 {
                continue;
            }
            for wrong in [bytes[at] ^ (1 << (at % 8)), !bytes[at]] {
                file.write_all_at(&[wrong], at as u64).unwrap();
                let mut found = Vec::new();
                let read = Snapshot::open(&path, true).and_then(|snapshot| {
                    snapshot.read_checked(&mut |part| {
                        found.push(part);
                        Ok(())
                    })
                });
                match read {
                    Err(_) => reported += 1,
                    Ok(_) => {
                        assert!(format != Format::Log || found == parts, "served at byte {at}");
                        served += 1;
                    }
                }
            }
            file.write_all_at(&[bytes[at]], at as u64).unwrap();
        }
        eprintln!("{format:?}: {reported} reported, {served} served");
        assert!(reported > 100, "{format:?}");
    }
}

#[test]
fn a_database_that_leads_in_circles_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = all(&directory, &life(300)).pop().unwrap().1;
    let length = fs::metadata(&path).unwrap().len() - 32;
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // Every branch leads to itself.
    let mut branches = 0;
    for page in 0..length / 4096 {
        let mut header = [0; 16];
        file.read_exact_at(&mut header, page * 4096).unwrap();
        if header[8] == 1 && header[..8] == page.to_le_bytes() {
            file.write_all_at(&page.to_le_bytes(), page * 4096 + 24).unwrap();
            branches += 1;
        }
    }
    assert!(branches > 0);
    let read = etcd::read(&file, length, &mut |_| Ok(()));
    assert!(format!("{:#}", read.unwrap_err()).contains("is in the tree twice"));
}

#[test]
fn the_older_meta_page_does_when_the_newer_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let parts = life(20);
    let path = all(&directory, &parts).pop().unwrap().1;
    let length = fs::metadata(&path).unwrap().len() - 32;
    for page in [0, 1] {
        let mut file = File::options().read(true).write(true).open(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        file.write_all_at(&[0xff; 8], page * 4096 + 40).unwrap();
        let mut found = Vec::new();
        etcd::read(&file, length, &mut |part| {
            found.push(part);
            Ok(())
        })
        .unwrap();
        assert!(found == parts);
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&whole).unwrap();
    }
}
