#![allow(clippy::unwrap_used)]
//! Random histories on a disk that loses power at any moment, and files with wrong bytes.

mod crash;
mod damage;
mod failing;
pub(super) mod fickle;
mod reading;

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::engine::memory::Memory;
use crate::mvcc::{Change, LeaseChange, Meta};
use fickle::Fickle;

/// Segments of a few frames, so that histories have many.
const SMALL: u64 = 6 << 10;

/// The number of a variable, or `otherwise`: `hack/proofs.sh` asks for more than `cargo test` does.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// All an engine holds.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    records: Vec<(Revision, Record)>,
    found: Found,
}

impl Content {
    fn of(engine: &dyn Engine) -> Result<Self, EngineError> {
        let mut records = Vec::new();
        engine.scan(Revision::from_raw(0), true, &mut |at, record| {
            records.push((at, record))
        })?;
        let mut found = engine.found()?;
        found.leases.sort_by_key(|lease| match lease {
            LeaseChange::Granted { id, .. } | LeaseChange::Revoked { id } => *id,
        });
        // Heads alone are the same, wherever they are read.
        let mut heads = Vec::new();
        engine.scan(Revision::from_raw(0), false, &mut |at, record| heads.push((at, record)))?;
        let bare = |(at, record): &(Revision, Record)| {
            (
                *at,
                Record {
                    value: Bytes::new(),
                    ..record.clone()
                },
            )
        };
        assert_eq!(heads, records.iter().map(bare).collect::<Vec<_>>());
        Ok(Content { records, found })
    }
}

/// Does the same to a log and to a model.
struct History {
    random: StdRng,
    main: i64,
    live: Vec<Revision>,
}

impl History {
    fn new(seed: u64) -> Self {
        History {
            random: StdRng::seed_from_u64(seed),
            main: 1,
            live: vec![],
        }
    }

    /// The next thing a store could ask for.
    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        self.main += 1;
        for sub in 0..self.random.random_range(0..4) {
            let at = Revision::new(self.main, sub);
            let size = [0, 3, 200, 700, 2000][self.random.random_range(0..5)];
            let record = Record {
                key: Bytes::from(format!("key{}", self.random.random_range(0..9))),
                create_revision: self.main,
                version: self.random.random_range(0..3),
                lease: self.random.random_range(0..3),
                value: vec![self.random.random_range(1..=255); size].into(),
            };
            batch.changes.push(Arc::new(Change {
                at,
                record,
                before: None,
            }));
            self.live.push(at);
        }
        // The newest stays, as in a store.
        while self.live.len() > 3 && self.random.random_bool(0.45) {
            let gone = self.random.random_range(0..self.live.len() - 1);
            batch.removed.push(self.live.remove(gone));
        }
        if self.random.random_bool(0.3) {
            let id = self.random.random_range(1..5);
            batch.leases.push(if self.random.random() {
                LeaseChange::Granted { id, ttl: self.main }
            } else {
                LeaseChange::Revoked { id }
            });
        }
        if self.random.random_bool(0.2) {
            batch.meta = Meta {
                compacted: Some(self.main - 1),
                compaction_finished: None,
            };
        }
        batch
    }
}

/// Tidies up all that was left to be, as the thread does.
fn tidy(log: &Log, chores: &mpsc::Receiver<Chore>) -> io::Result<()> {
    chores.try_iter().try_for_each(|chore| log.shared.chore(chore))
}

#[test]
fn a_log_holds_what_a_map_holds_through_rolling_cleaning_and_reopening() {
    for seed in 0..30 {
        let disk = Arc::new(Fickle::default());
        let model = Memory::default();
        let mut history = History::new(seed);
        let (mut log, mut chores) = Log::over(disk.clone(), SMALL).unwrap();
        for step in 0..120 {
            let batch = history.batch();
            model.commit(&batch).unwrap();
            log.commit(&batch).unwrap();
            match history.random.random_range(0..12) {
                0 => tidy(&log, &chores).unwrap(),
                1 => log.defragment().unwrap(),
                2 => (log, chores) = Log::over(disk.clone(), SMALL).unwrap(),
                _ => {}
            }
            if step % 10 == 0 {
                assert_eq!(
                    Content::of(&log).unwrap(),
                    Content::of(&model).unwrap(),
                    "seed {seed} step {step}"
                );
            }
        }
        assert!(log.tail.lock().header.number > 10);
        let wanted: Vec<Revision> = history.live.iter().rev().copied().collect();
        assert_eq!(log.read(&wanted, true).unwrap(), model.read(&wanted, true).unwrap());
        log.defragment().unwrap();
        let size = log.size().unwrap();
        let tail = log.shared.index.read().0.last().unwrap().end;
        assert!(
            size.total - tail < size.in_use * 3 / 2 + 1000,
            "{size:?}: garbage stays"
        );
    }
}

#[test]
fn numbers_are_made_once_and_kept() {
    let disk = Arc::new(Fickle::default());
    for start in 1..5 {
        let (log, _) = Log::over(disk.clone(), SMALL).unwrap();
        assert_eq!(log.number("term", &mut |old| old.unwrap_or(0) + 1).unwrap(), start);
        assert_eq!(log.number("id", &mut |old| old.unwrap_or(start)).unwrap(), 1);
    }
}

#[test]
fn a_log_is_used_by_one_process_and_never_beside_another_engine() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path()).unwrap();
    assert!(Log::open(directory.path()).is_err());
    let batch = History::new(1).batch();
    log.commit(&batch).unwrap();
    let content = Content::of(&log).unwrap();
    drop(log);
    assert!(crate::engine::sqlite::Sqlite::open(directory.path()).is_err());
    assert_eq!(Content::of(&Log::open(directory.path()).unwrap()).unwrap(), content);
}

#[test]
fn a_snapshot_is_the_first_segment_of_a_log_that_holds_the_same() {
    let (log, _) = Log::over(Arc::new(Fickle::default()), SMALL).unwrap();
    let mut history = History::new(9);
    for _ in 0..60 {
        log.commit(&history.batch()).unwrap();
    }
    log.number("id", &mut |_| 7).unwrap();
    let (mut bytes, mut announced) = (Vec::new(), Vec::new());
    log.snapshot(&mut |left, piece| {
        announced.push(bytes.len() as u64 + piece.len() as u64 + left);
        bytes.extend(piece);
        true
    })
    .unwrap();
    assert!(
        announced.iter().all(|total| *total == bytes.len() as u64),
        "{announced:?}"
    );
    let disk = Arc::new(Fickle::with(vec![(segment::file_name(1), bytes)]));
    let (copy, _) = Log::over(disk, SMALL).unwrap();
    assert_eq!(Content::of(&copy).unwrap(), Content::of(&log).unwrap());
    assert_eq!(copy.number("id", &mut |old| old.unwrap_or(0)).unwrap(), 7);
    copy.commit(&history.batch()).unwrap();
}

#[test]
fn a_chore_that_panics_or_fails_does_not_keep_others_from_being_done() {
    let (chores, list) = mpsc::channel();
    (1..4).for_each(|number| chores.send(Chore::Seal(number)).unwrap());
    drop(chores);
    let done = Mutex::new(Vec::new());
    work(&list, &AtomicBool::new(false), |chore| match chore {
        Chore::Seal(1) => panic!("a bug"),
        Chore::Seal(2) => Err(io::Error::other("a full disk")),
        Chore::Seal(number) => {
            done.lock().push(number);
            Ok(())
        }
        Chore::Clean => unreachable!("nobody asked for it"),
    });
    assert_eq!(*done.lock(), [3]);
}
