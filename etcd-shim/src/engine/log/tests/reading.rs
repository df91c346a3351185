//! What opening and long ranges cost: bytes read once, in order, in large pieces.

use std::time::Instant;

use super::*;
use crate::store::{Store, StoreOptions};

/// A batch of new keys in no order, as objects of a cluster have, each with a value of `size` bytes.
fn fill(main: i64, count: i64, size: usize) -> Batch {
    let change = |sub: i64| {
        let mixed = (main * 8191 + sub).wrapping_mul(0x2545_f491_4f6c_dd1d) as u64;
        let kind = ["pods", "events", "leases", "configmaps", "endpointslices"][(mixed % 5) as usize];
        let record = Record {
            key: format!("/registry/{kind}/ns-{}/name-{mixed:016x}", mixed % 47).into(),
            create_revision: main,
            version: 1,
            lease: 0,
            value: vec![b'v'; size].into(),
        };
        Arc::new(Change {
            at: Revision::new(main, sub),
            record,
            before: None,
        })
    };
    Batch {
        changes: (0..count).map(change).collect(),
        ..Batch::default()
    }
}

#[test]
fn opening_reads_each_hint_once_and_of_sealed_segments_no_record() {
    let disk = Arc::new(Fickle::default());
    let (log, chores) = Log::over(disk.clone(), 64 << 10).unwrap();
    (2..200).for_each(|main| log.commit(&fill(main, 4, 1000)).unwrap());
    tidy(&log, &chores).unwrap();
    let sealed = log.shared.index.read().0.len() - 1;
    assert!(sealed > 10);
    disk.take_reads();
    let (again, _) = Log::over(disk.clone(), 64 << 10).unwrap();
    let mut count = 0;
    again
        .scan(Revision::from_raw(0), false, &mut |_, record| {
            assert!(record.value.is_empty());
            count += 1;
        })
        .unwrap();
    assert_eq!(count, 198 * 4);
    let reads = disk.take_reads();
    let of = |name: &str| reads.iter().filter(|(file, _, _)| file == name).count();
    for number in 1..=sealed as u64 {
        assert_eq!(of(&hint::file_name(number)), 1);
        assert_eq!(of(&segment::file_name(number)), 1, "the header only");
    }
    // The one that grows: each frame once, and then what is behind the last.
    let tail = segment::file_name(sealed as u64 + 1);
    let bytes: usize = reads
        .iter()
        .filter(|(file, ..)| *file == tail)
        .map(|(.., length)| length)
        .sum();
    assert!(bytes < 3 * (64 << 10), "{bytes}");
}

#[test]
fn a_long_range_is_one_sweep_of_large_reads() {
    let disk = Arc::new(Fickle::default());
    let (log, _) = Log::over(disk.clone(), 4 << 20).unwrap();
    let mut wanted = Vec::new();
    for main in 2..102 {
        let batch = fill(main, 100, 1000);
        wanted.extend(batch.changes.iter().map(|change| change.at));
        log.commit(&batch).unwrap();
    }
    // As keys would have it: in no order of revisions.
    wanted.sort_by_key(|at| at.raw().wrapping_mul(0x2545_f491_4f6c_dd1d));
    disk.take_reads();
    assert!(log.read(&wanted, true).unwrap().iter().all(Option::is_some));
    let reads = disk.take_reads();
    assert!(reads.is_sorted(), "{reads:?}");
    let bytes: usize = reads.iter().map(|(.., length)| length).sum();
    let stored = 10_000 * (1000 + 52 + 44);
    assert!(bytes < stored + stored / 20, "{bytes} bytes read for {stored}");
    assert!(reads.len() < 40, "{} reads", reads.len());
}

/// `CORTEN_PROOF_KEYS=1000000 cargo test --release -p etcd-shim --lib opening_takes` measures; without it the test is
/// small, and without optimization nothing is asked of the time.
#[test]
fn opening_takes_less_than_a_second_a_million_keys() {
    let keys = number("CORTEN_PROOF_KEYS", 20_000) as i64;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(crate::engine::LOG);
    std::fs::create_dir(&path).unwrap();
    let (log, chores) = Log::over(Arc::new(Directory::new(&path)), SEGMENT_BYTES).unwrap();
    (0..keys / 1000).for_each(|batch| log.commit(&fill(batch + 2, 1000, 200)).unwrap());
    let segments = log.shared.index.read().0.len();
    // Sealed, so that there are hints.
    tidy(&log, &chores).unwrap();
    drop(log);
    let started = Instant::now();
    let log = Log::open(directory.path()).unwrap();
    let opened = started.elapsed();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = runtime.block_on(async { Store::open(Arc::new(log), StoreOptions::default()).unwrap() });
    let all = started.elapsed();
    assert_eq!(store.published().index.len() as i64, keys / 1000 * 1000);
    println!(
        "proof: startup keys={keys} segments={segments} log_ms={} all_ms={}",
        opened.as_millis(),
        all.as_millis()
    );
    if !cfg!(debug_assertions) && keys >= 1_000_000 {
        assert!(all.as_secs_f64() < keys as f64 / 1e6, "{all:?} for {keys} keys");
    }
    runtime.block_on(store.stop());
}
