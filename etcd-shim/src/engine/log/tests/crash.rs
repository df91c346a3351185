//! The power goes at every operation on the disk there is in a history.

use std::time::{Duration, Instant};

use super::*;

/// Steps of one history.
const STEPS: usize = 40;

/// Runs a history until the disk fails; what had been acknowledged, and what was being written.
fn run(disk: Arc<Fickle>, seed: u64) -> (Vec<Batch>, Option<Batch>) {
    let mut acknowledged = Vec::new();
    let mut history = History::new(seed);
    let Ok((mut log, mut chores)) = Log::over(disk.clone(), SMALL) else {
        return (acknowledged, None);
    };
    for _ in 0..STEPS {
        let batch = history.batch();
        if log.commit(&batch).is_err() {
            return (acknowledged, Some(batch));
        }
        acknowledged.push(batch);
        let tidied = match history.random.random_range(0..8) {
            0 | 1 => tidy(&log, &chores).is_ok(),
            2 => log.defragment().is_ok(),
            3 => match Log::over(disk.clone(), SMALL) {
                Ok(again) => {
                    (log, chores) = again;
                    true
                }
                Err(_) => false,
            },
            _ => true,
        };
        if !tidied {
            return (acknowledged, None);
        }
    }
    (acknowledged, None)
}

fn content_after(batches: &[Batch]) -> Content {
    let model = Memory::default();
    batches.iter().for_each(|batch| model.commit(batch).unwrap());
    Content::of(&model).unwrap()
}

#[test]
fn after_a_crash_all_that_was_acknowledged_is_there_and_nothing_half() {
    let seconds = number("CORTEN_PROOF_SECONDS", 0);
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let first: u64 = if seconds == 0 { 0 } else { rand::random::<u32>().into() };
    let (mut seeds, mut crashes) = (0, 0);
    for seed in first.. {
        if seeds >= 4 && Instant::now() >= end {
            break;
        }
        seeds += 1;
        let whole = Arc::new(Fickle::default());
        run(whole.clone(), seed);
        let operations = whole.operations();
        assert!(operations > 100);
        for at in 0..operations {
            let disk = Arc::new(Fickle::failing_at(at));
            let (mut batches, flying) = run(disk.clone(), seed);
            let acknowledged = content_after(&batches);
            batches.extend(flying);
            let with_the_last = content_after(&batches);
            for luck in 0..3 {
                crashes += 1;
                let left = Arc::new(disk.after_crash(luck));
                let context = format!("seed {seed}, crash in operation {at}, luck {luck}");
                let opened = Log::over(left.clone(), SMALL);
                let (log, chores) = opened.unwrap_or_else(|why| panic!("{context}: {why}"));
                let found = Content::of(&log).unwrap_or_else(|why| panic!("{context}: {why:?}"));
                assert!(found == acknowledged || found == with_the_last, "{context}: {found:#?}");
                // What was recovered is durable, and stays when it is tidied up.
                tidy(&log, &chores).unwrap();
                log.defragment().unwrap();
                let again = Log::over(Arc::new(left.after_crash(luck + 100)), SMALL);
                let (log, _) = again.unwrap_or_else(|why| panic!("{context}, again: {why}"));
                assert!(Content::of(&log).unwrap() == found, "{context}, again");
            }
        }
    }
    println!(
        "proof: crash histories={seeds} steps_each={STEPS} crashes={crashes} recoveries={}",
        crashes * 2
    );
}
