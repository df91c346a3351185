//! Answers of the API server, kept for a while. Bounded; keys are secret and never logged.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const CAPACITY: usize = 8192;

/// A cache with one life time for good answers and one for bad ones.
pub(crate) struct Answers<K, V> {
    good: Duration,
    bad: Duration,
    kept: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Answers<K, V> {
    pub(crate) fn new(good: Duration, bad: Duration) -> Self {
        Self {
            good,
            bad,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let kept = self.kept.lock();
        let (until, value) = kept.get(key)?;
        (Instant::now() < *until).then(|| value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V, good: bool) {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        if kept.len() >= CAPACITY {
            kept.retain(|_, (until, _)| *until > now);
            if kept.len() >= CAPACITY {
                kept.clear();
            }
        }
        kept.insert(key, (now + if good { self.good } else { self.bad }, value));
    }
}
