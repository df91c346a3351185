//! What a controller has asked for and not yet seen in its cache, per owner key: while something is expected, the
//! cache is known to be behind and nothing is created or deleted.
//!
//! Upstream: pkg/controller/controller_utils.go `UIDTrackingControllerExpectations`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// After this long the cache is taken as it is. Upstream: `ExpectationsTimeout` 5 minutes.
const TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Expected {
    creations: i64,
    deletions: HashSet<String>,
    since: Instant,
}

/// The expectations of one controller. Keys are owners', `namespace/name`.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    by_owner: Mutex<HashMap<String, Expected>>,
}

impl Expectations {
    /// Nothing is expected for the owner, or no longer.
    pub(crate) fn satisfied(&self, owner: &str) -> bool {
        match self.by_owner.lock().get(owner) {
            None => true,
            Some(e) => (e.creations <= 0 && e.deletions.is_empty()) || e.since.elapsed() > TIMEOUT,
        }
    }

    /// `count` creations were asked for.
    pub(crate) fn expect_creations(&self, owner: &str, count: usize) {
        let creations = i64::try_from(count).unwrap_or(i64::MAX);
        let expected = Expected {
            creations,
            deletions: HashSet::new(),
            since: Instant::now(),
        };
        self.by_owner.lock().insert(owner.to_owned(), expected);
    }

    /// The deletion of these objects (by UID) was asked for.
    pub(crate) fn expect_deletions(&self, owner: &str, uids: impl IntoIterator<Item = String>) {
        let expected = Expected {
            creations: 0,
            deletions: uids.into_iter().collect(),
            since: Instant::now(),
        };
        self.by_owner.lock().insert(owner.to_owned(), expected);
    }

    /// A creation was seen, or will not happen.
    pub(crate) fn creation_observed(&self, owner: &str) {
        if let Some(e) = self.by_owner.lock().get_mut(owner) {
            e.creations -= 1;
        }
    }

    /// The deletion of an object was seen, or will not happen.
    pub(crate) fn deletion_observed(&self, owner: &str, uid: &str) {
        if let Some(e) = self.by_owner.lock().get_mut(owner) {
            e.deletions.remove(uid);
        }
    }

    /// The owner is gone.
    pub(crate) fn forget(&self, owner: &str) {
        self.by_owner.lock().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn unmet_expectations_hold_until_they_are_met_or_old() {
        let e = Expectations::default();
        assert!(e.satisfied("a"));
        e.expect_creations("a", 2);
        e.creation_observed("a");
        assert!(!e.satisfied("a"));
        e.creation_observed("a");
        assert!(e.satisfied("a"));
        e.expect_deletions("a", ["u1".to_owned(), "u2".to_owned()]);
        e.deletion_observed("a", "u1");
        e.deletion_observed("a", "u1");
        assert!(!e.satisfied("a"));
        tokio::time::advance(TIMEOUT + Duration::from_secs(1)).await;
        assert!(e.satisfied("a"));
    }
}
