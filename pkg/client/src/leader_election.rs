//! Leader election on a `coordination.k8s.io/v1` Lease: at most one of several processes works at a time.
//!
//! Upstream: client-go `tools/leaderelection` (`LeaderElector.tryAcquireOrRenew`). The clock of another process is
//! never read: a Lease is stale when it did not change for `lease_duration` as seen here.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::client::Client;
use crate::error::{Error, Result};

/// How an election is held. Defaults are upstream's.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are: `<host>_<uuid>`.
    pub identity: String,
    /// Others wait this long since the last renewal they saw.
    pub lease_duration: Duration,
    /// The leader gives up when it cannot renew for this long.
    pub renew_deadline: Duration,
    /// Between attempts.
    pub retry_period: Duration,
    /// Give the Lease up on shutdown, so that the next leader need not wait.
    pub release_on_cancel: bool,
}

impl ElectionConfig {
    /// An election with upstream's times (15s, 10s, 2s) and an identity made of the host name and a UUID.
    pub fn new(namespace: &str, name: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        ElectionConfig {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: format!("{}_{}", host.trim(), uuid::Uuid::new_v4()),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            release_on_cancel: true,
        }
    }
}

/// How an election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The shutdown was asked for.
    Shutdown,
    /// The lead was lost; upstream's components exit with an error then.
    Lost,
}

/// The record that is fought over.
trait Lock: Send + Sync {
    fn get(&self) -> impl Future<Output = Result<Option<Lease>>> + Send;
    fn create(&self, lease: &Lease) -> impl Future<Output = Result<Lease>> + Send;
    fn update(&self, lease: &Lease) -> impl Future<Output = Result<Lease>> + Send;
}

impl Lock for (Api<Lease>, String) {
    async fn get(&self) -> Result<Option<Lease>> {
        self.0.get_opt(&self.1).await
    }
    async fn create(&self, lease: &Lease) -> Result<Lease> {
        self.0.create(lease).await
    }
    async fn update(&self, lease: &Lease) -> Result<Lease> {
        self.0.update(lease).await
    }
}

/// Waits to be leader, then runs `lead`, whose token is cancelled when the lead is lost or at shutdown.
/// Returns when `lead` has ended. With `Ended::Lost` the caller must stop working at once.
pub async fn run<F, Fut>(client: Client, config: ElectionConfig, shutdown: CancellationToken, lead: F) -> Ended
where
    F: FnOnce(CancellationToken) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let lock = (Api::namespaced(client, &config.namespace), config.name.clone());
    elect(lock, config, shutdown, lead).await
}

async fn elect<L, F, Fut>(lock: L, config: ElectionConfig, shutdown: CancellationToken, lead: F) -> Ended
where
    L: Lock,
    F: FnOnce(CancellationToken) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut elector = Elector {
        lock,
        config,
        seen: None,
        holder: String::new(),
    };
    tokio::select! {
        () = shutdown.cancelled() => return Ended::Shutdown,
        () = elector.acquire() => {}
    }
    let leading = shutdown.child_token();
    let mut work = tokio::spawn(lead(leading.clone()));
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ended::Shutdown,
        () = elector.renew() => Ended::Lost,
        // Work that ends by itself has nothing left to lead.
        _ = &mut work => Ended::Shutdown,
    };
    leading.cancel();
    if ended == Ended::Lost {
        tracing::error!(lease = %elector.config.name, "leader election lost");
        work.abort();
        return ended;
    }
    if !work.is_finished() {
        let _ = work.await;
    }
    if elector.config.release_on_cancel {
        elector.release().await;
    }
    ended
}

struct Elector<L> {
    lock: L,
    config: ElectionConfig,
    /// The Lease as last seen, and when it last changed by our clock.
    seen: Option<(Lease, Instant)>,
    holder: String,
}

impl<L: Lock> Elector<L> {
    async fn acquire(&mut self) {
        tracing::info!(namespace = %self.config.namespace, lease = %self.config.name, identity = %self.config.identity,
            "attempting to acquire leader lease...");
        loop {
            if self.attempt().await {
                tracing::info!(lease = %self.config.name, "successfully acquired lease");
                return;
            }
            // Upstream: JitterFactor 1.2.
            let factor = 1.0 + 1.2 * rand::rng().random::<f64>();
            tokio::time::sleep(self.config.retry_period.mul_f64(factor)).await;
        }
    }

    /// Renews until that was impossible for the renew deadline.
    async fn renew(&mut self) {
        loop {
            tokio::time::sleep(self.config.retry_period).await;
            let (deadline, retry) = (self.config.renew_deadline, self.config.retry_period);
            let renewed = tokio::time::timeout(deadline, async {
                while !self.attempt().await {
                    tokio::time::sleep(retry).await;
                }
            });
            if renewed.await.is_err() {
                tracing::info!(lease = %self.config.name, "failed to renew lease");
                return;
            }
        }
    }

    async fn attempt(&mut self) -> bool {
        match self.try_acquire_or_renew().await {
            Ok(held) => held,
            Err(error) => {
                if error.is_conflict() || error.is_already_exists() {
                    tracing::debug!(error = %error.chain(), "somebody else changed the lease");
                } else {
                    tracing::warn!(lease = %self.config.name, error = %error.chain(), "error retrieving or updating resource lock");
                }
                false
            }
        }
    }

    async fn try_acquire_or_renew(&mut self) -> Result<bool> {
        let Some(lease) = self.lock.get().await? else {
            let created = self.lock.create(&self.first_record()).await?;
            self.observe(created);
            return Ok(true);
        };
        self.observe(lease.clone());
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let mine = holder == self.config.identity;
        let changed = self.seen.as_ref().map_or_else(Instant::now, |(_, at)| *at);
        let held_by_other = !holder.is_empty() && !mine && changed + self.duration_of(&spec) > Instant::now();
        if held_by_other {
            return Ok(false);
        }
        let now = MicroTime(Timestamp::now());
        let mut next = lease;
        let transitions = spec.lease_transitions.unwrap_or(0);
        next.spec = Some(LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.lease_duration.as_secs()).ok(),
            renew_time: Some(now.clone()),
            acquire_time: if mine { spec.acquire_time } else { Some(now) },
            lease_transitions: Some(if mine { transitions } else { transitions + 1 }),
            ..spec
        });
        let updated = self.lock.update(&next).await?;
        self.observe(updated);
        Ok(true)
    }

    fn duration_of(&self, spec: &LeaseSpec) -> Duration {
        match spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()) {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => self.config.lease_duration,
        }
    }

    fn observe(&mut self, lease: Lease) {
        let holder = lease
            .spec
            .as_ref()
            .and_then(|s| s.holder_identity.clone())
            .unwrap_or_default();
        if holder != self.holder {
            tracing::info!(lease = %self.config.name, identity = %holder, "new leader elected");
            self.holder = holder;
        }
        let same = self.seen.as_ref().is_some_and(|(seen, _)| seen.spec == lease.spec);
        match &mut self.seen {
            Some((seen, _)) if same => *seen = lease,
            _ => self.seen = Some((lease, Instant::now())),
        }
    }

    fn first_record(&self) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = Lease::default();
        lease.metadata.name = Some(self.config.name.clone());
        lease.metadata.namespace = Some(self.config.namespace.clone());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.lease_duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        });
        lease
    }

    /// Leaves a Lease that anybody may take at once. Upstream: `LeaderElector.release`.
    async fn release(&mut self) {
        let Some((lease, _)) = self.seen.clone() else { return };
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(self.config.identity.as_str()) {
            return;
        }
        let mut free = lease;
        free.spec = Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(Timestamp::now())),
            acquire_time: Some(MicroTime(Timestamp::now())),
            ..spec
        });
        let limit = self.config.renew_deadline;
        match tokio::time::timeout(limit, self.lock.update(&free)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(error = %error.chain(), "failed to release lock"),
            Err(_) => tracing::warn!(error = %Error::Timeout(limit), "failed to release lock"),
        }
    }
}

#[cfg(test)]
mod tests;
