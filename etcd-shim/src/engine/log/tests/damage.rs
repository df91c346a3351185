//! Wrong bytes are reported or change nothing.

use super::*;

#[test]
fn one_wrong_byte_anywhere_is_reported_or_changes_nothing() {
    let disk = Arc::new(Fickle::default());
    let mut history = History::new(3);
    let (log, chores) = Log::over(disk.clone(), SMALL).unwrap();
    for _ in 0..40 {
        log.commit(&history.batch()).unwrap();
    }
    tidy(&log, &chores).unwrap();
    let right = Content::of(&log).unwrap();
    let files = disk.files();
    assert!(files.iter().any(|(name, _)| name.ends_with(".idx")));
    let (mut reported, mut harmless) = (0, 0);
    for (number, (name, bytes)) in files.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut changed = files.clone();
            changed[number].1[at] ^= 1 << (at % 8);
            let read = Log::over(Arc::new(Fickle::with(changed)), SMALL)
                .map_err(|error| error.to_string())
                .and_then(|(log, _)| Content::of(&log).map_err(|error| format!("{error:?}")));
            match read {
                Err(_) => reported += 1,
                Ok(content) => {
                    assert!(content == right, "{name} at byte {at}: served");
                    harmless += 1;
                }
            }
        }
    }
    assert!(
        reported > 10_000 && harmless > 1000,
        "{reported} reported, {harmless} harmless"
    );
}

#[test]
fn a_file_that_lost_its_end_is_reported() {
    let disk = Arc::new(Fickle::default());
    let mut history = History::new(5);
    let (log, _) = Log::over(disk.clone(), SMALL).unwrap();
    for _ in 0..40 {
        log.commit(&history.batch()).unwrap();
    }
    let right = Content::of(&log).unwrap();
    let files = disk.files();
    // Not the last: what is missing there cannot be told from what was never answered.
    for number in 0..files.len() - 1 {
        for length in (0..files[number].1.len()).step_by(8) {
            let mut changed = files.clone();
            changed[number].1.truncate(length);
            let read = Log::over(Arc::new(Fickle::with(changed)), SMALL);
            let content = read.ok().and_then(|(log, _)| Content::of(&log).ok());
            assert!(
                content.is_none_or(|content| content == right),
                "{} cut to {length}",
                files[number].0
            );
        }
    }
}
