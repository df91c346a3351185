//! Per-key exponential back-off, with an explicit clock (upstream: client-go util/flowcontrol
//! backoff.go).

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

/// First delay after a failure (upstream: pkg/kubelet `initialBackOffPeriod`... 10 s for containers and images).
pub(crate) const INITIAL: Duration = Duration::from_secs(10);
/// Longest delay (upstream: `MaxCrashLoopBackOff`).
pub(crate) const MAX: Duration = Duration::from_secs(300);

/// Delays by key. A key that had no failure for twice the longest delay starts anew.
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    delay: Duration,
    updated: Timestamp,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self {
            initial,
            max,
            entries: Mutex::new(HashMap::new()),
        }
    }

    /// How long after `event` (a failure) the key must still wait at `now`.
    pub(crate) fn remaining(&self, key: &str, event: Timestamp, now: Timestamp) -> Option<Duration> {
        let entries = self.entries.lock();
        let entry = entries.get(key)?;
        if since(entry.updated, event) > self.max * 2 {
            return None;
        }
        entry
            .delay
            .checked_sub(since(event, now))
            .filter(|left| !left.is_zero())
    }

    /// How long the key must still wait after its last failure.
    pub(crate) fn remaining_since_update(&self, key: &str, now: Timestamp) -> Option<Duration> {
        let updated = self.entries.lock().get(key)?.updated;
        self.remaining(key, updated, now)
    }

    /// Notes another failure, seen at `event`.
    pub(crate) fn next(&self, key: &str, event: Timestamp, now: Timestamp) {
        let mut entries = self.entries.lock();
        match entries.get_mut(key) {
            Some(entry) if since(entry.updated, event) <= self.max * 2 => {
                entry.delay = (entry.delay * 2).min(self.max);
                entry.updated = now;
            }
            _ => {
                entries.insert(
                    key.to_owned(),
                    Entry {
                        delay: self.initial,
                        updated: now,
                    },
                );
            }
        }
    }

    /// The delay in force for the key.
    pub(crate) fn delay(&self, key: &str) -> Duration {
        self.entries.lock().get(key).map_or(Duration::ZERO, |entry| entry.delay)
    }

    /// Forgets keys long without failure.
    pub(crate) fn collect(&self, now: Timestamp) {
        self.entries
            .lock()
            .retain(|_, entry| since(entry.updated, now) <= self.max * 2);
    }
}

fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// A delay as Go prints it in messages: `10s`, `2m40s`, `5m0s`.
pub(crate) fn go_seconds(delay: Duration) -> String {
    let seconds = delay.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn delay_doubles_up_to_the_cap_and_is_forgotten_after_a_long_success() {
        let backoff = Backoff::new(INITIAL, MAX);
        assert_eq!(backoff.remaining("c", at(0), at(0)), None);
        let mut now = 0;
        for expected in [10, 20, 40, 80, 160, 300, 300] {
            backoff.next("c", at(now), at(now));
            assert_eq!(backoff.delay("c").as_secs(), expected);
            assert_eq!(
                backoff.remaining("c", at(now), at(now + 1)).unwrap().as_secs(),
                expected - 1
            );
            now += i64::try_from(expected).unwrap();
            assert_eq!(
                backoff.remaining("c", at(now - i64::try_from(expected).unwrap()), at(now)),
                None
            );
        }
        assert_eq!(backoff.remaining("c", at(now + 601), at(now + 601)), None);
        backoff.next("c", at(now + 601), at(now + 601));
        assert_eq!(backoff.delay("c").as_secs(), 10);
    }

    #[test]
    fn delays_print_as_go_durations() {
        let print = |s| go_seconds(Duration::from_secs(s));
        assert_eq!(
            (print(10), print(160), print(300)),
            ("10s".into(), "2m40s".into(), "5m0s".into())
        );
    }
}
