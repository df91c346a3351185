//! A disk that fails now and then, or is full, but goes on.

use super::*;

/// The names of files that were begun and not finished.
fn unfinished(disk: &Fickle) -> Vec<String> {
    let names = disk.files().into_iter().map(|(name, _)| name);
    names.filter(|name| name.ends_with(".tmp")).collect()
}

#[test]
fn one_failed_operation_loses_nothing_and_keeps_nothing_from_being_tidied_up_later() {
    const STEPS: usize = 60;
    let seed = 11;
    let mut failed = 0;
    for at in 0.. {
        let disk = Arc::new(Fickle::failing_once_at(at));
        let model = Memory::default();
        let mut history = History::new(seed);
        let mut opened = Log::over(disk.clone(), SMALL);
        if opened.is_err() {
            opened = Log::over(disk.clone(), SMALL);
        }
        let (mut log, mut chores) = opened.unwrap();
        for step in 0..STEPS {
            let batch = history.batch();
            if log.commit(&batch).is_err() {
                // The store stops. Whether the last write was done shows when it is opened again.
                (log, chores) = Log::over(disk.clone(), SMALL).unwrap();
                let (found, without) = (Content::of(&log).unwrap(), Content::of(&model).unwrap());
                model.commit(&batch).unwrap();
                if found == without {
                    log.commit(&batch).unwrap();
                }
                assert!(
                    Content::of(&log).unwrap() == Content::of(&model).unwrap(),
                    "operation {at} step {step}"
                );
            } else {
                model.commit(&batch).unwrap();
            }
            // Whatever fails of this, nobody is told but the log file.
            match step % 6 {
                1 => drop(tidy(&log, &chores)),
                4 => drop(log.defragment()),
                _ => {}
            }
        }
        if disk.operations() <= at {
            break;
        }
        failed += 1;
        log.defragment().unwrap();
        assert_eq!(unfinished(&disk), [""; 0], "operation {at}");
        assert!(
            Content::of(&log).unwrap() == Content::of(&model).unwrap(),
            "operation {at}"
        );
        let dead = log.shared.index.read().0.split_last().map(|(_, sealed)| {
            let dead = sealed
                .iter()
                .flat_map(|segment| &segment.places)
                .filter(|place| place.length == 0);
            dead.count()
        });
        assert_eq!(dead, Some(0), "operation {at}: garbage stays");
        let (again, _) = Log::over(disk, SMALL).unwrap();
        assert!(
            Content::of(&again).unwrap() == Content::of(&model).unwrap(),
            "operation {at}, again"
        );
    }
    assert!(failed > 100, "{failed}");
}

#[test]
fn on_a_full_disk_cleaning_leaves_nothing_half_and_a_log_goes_on_in_what_room_there_is() {
    let disk = Arc::new(Fickle::default());
    let model = Memory::default();
    let mut history = History::new(4);
    let (log, chores) = Log::over(disk.clone(), SMALL).unwrap();
    let mut commit = |log: &Log| {
        let batch = history.batch();
        log.commit(&batch).unwrap();
        model.commit(&batch).unwrap();
    };
    (0..60).for_each(|_| commit(&log));
    disk.full(true);
    assert!(log.defragment().is_err());
    assert!(tidy(&log, &chores).is_err());
    assert_eq!(unfinished(&disk), [""; 0]);
    assert!(Content::of(&log).unwrap() == Content::of(&model).unwrap());
    disk.full(false);
    (0..60).for_each(|_| commit(&log));
    log.defragment().unwrap();
    assert!(Content::of(&log).unwrap() == Content::of(&model).unwrap());
}
