//! Leases for keys that delete themselves, reused so that events do not cost a lease each.
//!
//! Rule: upstream `apiserver/pkg/storage/etcd3/lease_manager.go`: a lease lives longer than asked
//! by 5 % of the TTL, at most `--lease-reuse-duration-seconds`, and serves up to 1000 keys while that slack lasts.

use std::collections::HashMap;
use std::time::Duration;

use etcd_proto::etcdserverpb as pb;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::dial::Dialer;
use super::{StorageError, call, storage_error};

const REUSE_FRACTION: f64 = 0.05;
const MAX_KEYS: usize = 1000;

struct Lease {
    id: i64,
    /// Keys may still be attached until then.
    usable_until: Instant,
    keys: usize,
}

/// The current lease of each TTL in use.
pub(super) struct Leases {
    all: Mutex<HashMap<u64, Lease>>,
    longest_reuse: Duration,
}

impl Leases {
    /// No lease yet; each will serve keys for at most `longest_reuse`.
    pub(super) fn new(longest_reuse: Duration) -> Self {
        Leases {
            all: Mutex::default(),
            longest_reuse,
        }
    }

    /// Seconds for which a lease of keys with this life serves further ones.
    fn reuse(&self, seconds: u64) -> u64 {
        ((seconds as f64 * REUSE_FRACTION) as u64).min(self.longest_reuse.as_secs())
    }

    /// A lease that lives at least `ttl` from now.
    pub(super) async fn for_ttl(&self, dialer: &Dialer, ttl: Duration) -> Result<i64, StorageError> {
        let seconds = ttl.as_secs().max(1);
        let reuse = self.reuse(seconds);
        let mut all = self.all.lock().await;
        if let Some(lease) = all.get_mut(&seconds)
            && lease.keys < MAX_KEYS
            && Instant::now() < lease.usable_until
        {
            lease.keys += 1;
            return Ok(lease.id);
        }
        let usable_until = Instant::now() + Duration::from_secs(reuse);
        let (channel, at) = dialer.channel();
        let mut client = pb::lease_client::LeaseClient::new(channel);
        let req = pb::LeaseGrantRequest {
            ttl: (seconds + reuse) as i64,
            id: 0,
        };
        let granted = call(client.lease_grant(req)).await.map_err(|s| {
            dialer.failed(at);
            storage_error(&s)
        })?;
        all.insert(
            seconds,
            Lease {
                id: granted.id,
                usable_until,
                keys: 1,
            },
        );
        Ok(granted.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_serves_others_for_a_twentieth_of_its_life_within_the_flag() {
        for (flag, life, want) in [
            (60, 3600, 60),
            (60, 600, 30),
            (300, 3600, 180),
            (0, 3600, 0),
            (60, 10, 0),
        ] {
            let leases = Leases::new(Duration::from_secs(flag));
            assert_eq!(
                leases.reuse(life),
                want,
                "--lease-reuse-duration-seconds={flag}, life {life} s"
            );
        }
    }
}
