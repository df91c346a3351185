//! Successful token checks, kept for ten seconds (upstream `authentication/token/cache`, success TTL).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::Proven;

const TTL: Duration = Duration::from_secs(10);
const MAX_ENTRIES: usize = 4096;

/// A small cache keyed by a digest of token and audiences; tokens themselves are not kept.
#[derive(Default)]
pub(crate) struct TokenCache {
    entries: Mutex<HashMap<[u8; 32], (Instant, Proven)>>,
}

impl TokenCache {
    /// A check that succeeded less than ten seconds ago.
    pub(crate) fn get(&self, token: &str, audiences: &[String]) -> Option<Proven> {
        let entries = self.entries.lock();
        entries
            .get(&key(token, audiences))
            .filter(|(at, _)| at.elapsed() < TTL)
            .map(|(_, p)| p.clone())
    }

    /// Remembers a success.
    pub(crate) fn put(&self, token: &str, audiences: &[String], proven: &Proven) {
        let mut entries = self.entries.lock();
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, (at, _)| at.elapsed() < TTL);
            if entries.len() >= MAX_ENTRIES {
                entries.clear();
            }
        }
        entries.insert(key(token, audiences), (Instant::now(), proven.clone()));
    }
}

fn key(token: &str, audiences: &[String]) -> [u8; 32] {
    let mut h = Sha256::new();
    for a in audiences {
        h.update(a);
        h.update([0]);
    }
    h.update([1]);
    h.update(token);
    h.finalize().into()
}
