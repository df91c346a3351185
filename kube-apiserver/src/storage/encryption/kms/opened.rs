//! Keys that the plugin has opened, so that it is not asked for each value.
//!
//! Upstream: `kmsv2/cache.go`. Unlike upstream, a plugin that could not open a key is not asked for it again at once: a
//! list reads values of all kinds here, and those under one key are many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::object::CacheKey;
use super::{Dek, TransformError, metrics};

/// How long a key that nobody asks for is kept: there are about as many as servers were started and keys changed.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the plugin is left alone after it failed.
const FAILED: Duration = Duration::from_secs(3);
/// Keys are counted out when there are so many more than after the last time.
const SWEEP: usize = 64;

struct Kept {
    dek: Result<Arc<Dek>, TransformError>,
    until: Instant,
}

/// The keys of one provider.
pub(super) struct OpenedKeys {
    provider: String,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    all: HashMap<CacheKey, Kept>,
    /// How many there were after the last sweep.
    left: usize,
}

impl OpenedKeys {
    /// None yet, of the provider with this name.
    pub(super) fn of(provider: &str) -> Self {
        OpenedKeys {
            provider: provider.to_owned(),
            keys: Mutex::default(),
        }
    }

    /// A key that is known, or why it could not be opened a moment ago.
    pub(super) fn get(&self, key: &CacheKey) -> Option<Result<Arc<Dek>, TransformError>> {
        let keys = self.keys.lock();
        let kept = keys.all.get(key)?;
        // A key stays what it is; an error does not.
        (kept.dek.is_ok() || kept.until > Instant::now()).then(|| kept.dek.clone())
    }

    /// Keeps what opening a key gave.
    pub(super) fn put(&self, key: CacheKey, dek: Result<Arc<Dek>, TransformError>) {
        let now = Instant::now();
        let until = now + if dek.is_ok() { KEPT } else { FAILED };
        let mut keys = self.keys.lock();
        keys.all.insert(key, Kept { dek, until });
        if keys.all.len() > keys.left + SWEEP {
            keys.all.retain(|_, kept| kept.until > now);
            keys.left = keys.all.len();
        }
        metrics::keys_kept(&self.provider, keys.all.len());
    }
}
