//! The lease table.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::mvcc::Error;

/// Longest lease, in seconds (etcd `server/lease/lessor.go` `MaxLeaseTTL`).
pub(crate) const MAX_TTL: i64 = 9_000_000_000;

struct Lease {
    ttl: i64,
    deadline: Instant,
    keys: BTreeSet<Bytes>,
}

/// What there is to say about a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseInfo {
    /// Seconds granted.
    pub(crate) granted_ttl: i64,
    /// Whole seconds left.
    pub(crate) ttl: i64,
    /// Keys attached, in order.
    pub(crate) keys: Vec<Bytes>,
}

/// All leases and the keys attached to them.
pub(crate) struct Lessor {
    leases: HashMap<i64, Lease>,
    deadlines: BTreeSet<(Instant, i64)>,
    min_ttl: i64,
}

impl Lessor {
    /// No leases yet; shorter ones than `min_ttl` seconds are granted as that.
    pub(crate) fn new(min_ttl: i64) -> Self {
        Self {
            leases: HashMap::new(),
            deadlines: BTreeSet::new(),
            min_ttl,
        }
    }

    /// The seconds a lease asked for with `ttl` gets.
    pub(crate) fn effective_ttl(&self, ttl: i64) -> i64 {
        ttl.max(self.min_ttl)
    }

    /// Adds lease `id`; returns the seconds it was granted for.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64, now: Instant) -> Result<i64, Error> {
        if ttl > MAX_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            return Err(Error::LeaseExists);
        }
        let ttl = self.effective_ttl(ttl);
        let deadline = deadline(now, ttl);
        self.deadlines.insert((deadline, id));
        self.leases.insert(
            id,
            Lease {
                ttl,
                deadline,
                keys: BTreeSet::new(),
            },
        );
        Ok(ttl)
    }

    /// Starts the lifetime of `id` again; returns its seconds, `None` if there is no such lease.
    pub(crate) fn renew(&mut self, id: i64, now: Instant) -> Option<i64> {
        let lease = self.leases.get_mut(&id)?;
        self.deadlines.remove(&(lease.deadline, id));
        lease.deadline = deadline(now, lease.ttl);
        self.deadlines.insert((lease.deadline, id));
        Some(lease.ttl)
    }

    /// Takes lease `id` out; returns the keys that must be deleted with it, in order.
    pub(crate) fn revoke(&mut self, id: i64) -> Result<Vec<Bytes>, Error> {
        let lease = self.leases.remove(&id).ok_or(Error::LeaseNotFound)?;
        self.deadlines.remove(&(lease.deadline, id));
        Ok(lease.keys.into_iter().collect())
    }

    /// Attaches `key`; nothing happens if there is no such lease.
    pub(crate) fn attach(&mut self, id: i64, key: Bytes) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.insert(key);
        }
    }

    /// Detaches `key`; nothing happens if there is no such lease.
    pub(crate) fn detach(&mut self, id: i64, key: &Bytes) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.remove(key);
        }
    }

    /// Whether there is a lease `id`.
    pub(crate) fn exists(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// About lease `id`.
    pub(crate) fn info(&self, id: i64, now: Instant) -> Option<LeaseInfo> {
        let lease = self.leases.get(&id)?;
        let left = lease.deadline.saturating_duration_since(now).as_secs();
        Some(LeaseInfo {
            granted_ttl: lease.ttl,
            ttl: i64::try_from(left).unwrap_or(i64::MAX),
            keys: lease.keys.iter().cloned().collect(),
        })
    }

    /// IDs of all leases, the one that ends first in front.
    pub(crate) fn ids(&self) -> Vec<i64> {
        self.deadlines.iter().map(|(_, id)| *id).collect()
    }

    /// When the next lease ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Leases that have ended by `now`, at most `limit`.
    pub(crate) fn expired(&self, now: Instant, limit: usize) -> Vec<i64> {
        self.deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .take(limit)
            .map(|(_, id)| *id)
            .collect()
    }

    /// Whether lease `id` exists and has ended by `now`.
    pub(crate) fn has_expired(&self, id: i64, now: Instant) -> bool {
        self.leases.get(&id).is_some_and(|lease| lease.deadline <= now)
    }
}

fn deadline(now: Instant, ttl: i64) -> Instant {
    let seconds = u64::try_from(ttl).unwrap_or(0);
    // A clock that cannot count that far: a century is as good.
    now.checked_add(Duration::from_secs(seconds))
        .unwrap_or(now + Duration::from_secs(100 * 365 * 86400))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_renewed_lease_ends_later_and_a_short_one_is_lengthened() {
        let now = Instant::now();
        let mut lessor = Lessor::new(2);
        assert_eq!(lessor.grant(1, 1, now).unwrap(), 2);
        assert_eq!(lessor.grant(2, 10, now).unwrap(), 10);
        assert!(matches!(lessor.grant(2, 10, now), Err(Error::LeaseExists)));
        let later = now + Duration::from_secs(2);
        assert_eq!(lessor.expired(later, 10), [1]);
        assert_eq!(lessor.renew(1, later), Some(2));
        assert!(lessor.expired(later, 10).is_empty());
        assert_eq!(lessor.info(2, later).unwrap().ttl, 8);
    }

    #[test]
    fn revoking_hands_over_the_attached_keys() {
        let mut lessor = Lessor::new(2);
        lessor.grant(1, 5, Instant::now()).unwrap();
        for key in ["b", "a", "c"] {
            lessor.attach(1, Bytes::from_static(key.as_bytes()));
        }
        lessor.detach(1, &Bytes::from_static(b"c"));
        assert_eq!(lessor.revoke(1).unwrap(), ["a", "b"]);
        assert!(matches!(lessor.revoke(1), Err(Error::LeaseNotFound)));
        assert_eq!(lessor.next_deadline(), None);
    }
}
