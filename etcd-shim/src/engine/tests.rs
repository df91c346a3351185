#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn data_is_kept_by_the_engine_that_began_it_and_new_data_by_the_log() {
    for (first, holds) in [
        (None, LOG),
        (Some(EngineKind::Log), LOG),
        (Some(EngineKind::Sqlite), SQLITE),
    ] {
        let directory = tempfile::tempdir().unwrap();
        // Again, as with a restart that leaves the flag out.
        for kind in [first, None] {
            drop(open(kind, directory.path()).unwrap());
            let there = [SQLITE, LOG].map(|name| directory.path().join(name).exists());
            assert_eq!(there, [holds == SQLITE, holds == LOG], "{first:?} {kind:?}");
        }
        let other = if holds == LOG {
            EngineKind::Sqlite
        } else {
            EngineKind::Log
        };
        let refused = format!("{:?}", open(Some(other), directory.path()).err().unwrap());
        assert!(
            refused.contains("is the data of another engine: see --engine"),
            "{refused}"
        );
    }
}
