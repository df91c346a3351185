//! A clock for logic that takes the time as a parameter.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// Stands still until it is moved. Clones share one time.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<Mutex<Timestamp>>);

impl FakeClock {
    /// A clock at this many seconds after the Unix epoch.
    pub fn at(second: i64) -> Self {
        let now = Timestamp::from_second(second).expect("a representable second");
        FakeClock(Arc::new(Mutex::new(now)))
    }

    /// The time it shows.
    pub fn now(&self) -> Timestamp {
        *self.0.lock()
    }

    /// The time it shows, as objects carry it.
    pub fn time(&self) -> Time {
        Time(self.now())
    }

    /// Moves it forward, or back when negative, by seconds.
    pub fn advance(&self, seconds: i64) {
        *self.0.lock() += SignedDuration::from_secs(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_when_told_and_for_all_clones() {
        let clock = FakeClock::at(100);
        let other = clock.clone();
        assert_eq!(clock.now(), clock.now());
        other.advance(5);
        assert_eq!(clock.now().as_second(), 105);
    }
}
