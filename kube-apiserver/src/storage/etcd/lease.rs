//! Leases for keys that delete themselves, reused so that events do not cost a lease each.
//!
//! Rule: upstream `apiserver/pkg/storage/etcd3/lease_manager.go`: a lease lives longer than asked
//! by 5 % of the TTL, at most 60 s, and serves up to 1000 keys while that slack lasts.

use std::collections::HashMap;
use std::time::Duration;

use etcd_proto::etcdserverpb as pb;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::dial::Dialer;
use super::{StorageError, call, storage_error};

const REUSE_MAX_SECONDS: u64 = 60;
const REUSE_FRACTION: f64 = 0.05;
const MAX_KEYS: usize = 1000;

struct Lease {
    id: i64,
    /// Keys may still be attached until then.
    usable_until: Instant,
    keys: usize,
}

/// The current lease of each TTL in use.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<u64, Lease>>);

impl Leases {
    /// A lease that lives at least `ttl` from now.
    pub(super) async fn for_ttl(&self, dialer: &Dialer, ttl: Duration) -> Result<i64, StorageError> {
        let seconds = ttl.as_secs().max(1);
        let reuse = ((seconds as f64 * REUSE_FRACTION) as u64).min(REUSE_MAX_SECONDS);
        let mut all = self.0.lock().await;
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
