//! Waiting for something outside this process that cannot tell us when it happens.
//! Where it can (`kubectl wait`, `kubectl rollout status`), use that.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Upper bound for anything the cluster does by itself. It is a limit, not an expectation.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// Tries until it succeeds and returns the value.
///
/// # Panics
/// After two minutes, with the last error.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if Instant::now() > end => panic!("{what}: not after {LIMIT:?}: {error}"),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
