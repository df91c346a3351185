//! The short form: a few thousand changes of real files, the same each time.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Changed inputs for each target.
const CASES: usize = 600;

/// Changes a few bytes, cuts some out, or writes some twice.
fn change(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        let some = random.random_range(0..=(bytes.len() - at).min(64));
        match random.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..at + some)),
            2 => {
                let again = bytes[at..at + some].to_vec();
                bytes.extend(again);
            }
            3 => bytes[at..at + some].fill([0, 0xff][random.random_range(0..2)]),
            _ => bytes[at] = random.random(),
        }
    }
}

#[test]
fn changed_files_and_requests_make_no_reader_panic_nor_make_room_for_more_than_there_is() {
    let corpus = corpus();
    let mut random = StdRng::seed_from_u64(1);
    for (name, target) in TARGETS {
        let real: Vec<&Vec<u8>> = corpus
            .iter()
            .filter(|(of, _)| *of == name)
            .map(|(_, bytes)| bytes)
            .collect();
        assert!(!real.is_empty(), "{name} has no corpus");
        real.iter().for_each(|bytes| target(bytes));
        for _ in 0..CASES {
            let mut bytes = real[random.random_range(0..real.len())].clone();
            change(&mut bytes, &mut random);
            target(&bytes);
        }
    }
}

#[test]
fn what_fuzzing_begins_with_is_whole() {
    for (name, bytes) in corpus().iter().filter(|(name, _)| *name == "snapshot") {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        assert!(crate::snapshot::read(&path).expect("a whole snapshot") > 0);
    }
    assert!(corpus().iter().filter(|(name, _)| *name == "hint").count() >= 2);
}
