#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

/// A Lease in memory, with resource versions and an off switch.
#[derive(Clone, Default)]
struct Memory {
    lease: Arc<Mutex<Option<Lease>>>,
    broken: Arc<Mutex<bool>>,
}

impl Memory {
    fn check(&self) -> Result<()> {
        if *self.broken.lock() {
            Err(Error::InvalidRequest("broken".into()))
        } else {
            Ok(())
        }
    }

    fn holder(&self) -> String {
        self.lease
            .lock()
            .clone()
            .unwrap()
            .spec
            .unwrap()
            .holder_identity
            .unwrap()
    }

    fn store(&self, lease: &Lease) -> Lease {
        let mut slot = self.lease.lock();
        let version = slot.as_ref().and_then(|l| l.metadata.resource_version.clone());
        let next = version.map_or(1, |v| v.parse::<u64>().unwrap() + 1);
        let mut lease = lease.clone();
        lease.metadata.resource_version = Some(next.to_string());
        *slot = Some(lease.clone());
        lease
    }
}

impl Lock for Memory {
    async fn get(&self) -> Result<Option<Lease>> {
        self.check()?;
        Ok(self.lease.lock().clone())
    }
    async fn create(&self, lease: &Lease) -> Result<Lease> {
        self.check()?;
        Ok(self.store(lease))
    }
    async fn update(&self, lease: &Lease) -> Result<Lease> {
        self.check()?;
        Ok(self.store(lease))
    }
}

fn config(identity: &str) -> ElectionConfig {
    ElectionConfig {
        identity: identity.to_owned(),
        ..ElectionConfig::new("kube-system", "x")
    }
}

fn candidate(
    memory: &Memory,
    identity: &str,
    log: &Arc<Mutex<Vec<String>>>,
) -> (CancellationToken, tokio::task::JoinHandle<Ended>) {
    let shutdown = CancellationToken::new();
    let (log, name) = (log.clone(), identity.to_owned());
    let lead = move |token: CancellationToken| async move {
        log.lock().push(format!("{name} leads"));
        token.cancelled().await;
        log.lock().push(format!("{name} stops"));
    };
    (
        shutdown.clone(),
        tokio::spawn(elect(memory.clone(), config(identity), shutdown, lead)),
    )
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_over_at_once() {
    let (memory, log) = (Memory::default(), Arc::default());
    let (stop_a, a) = candidate(&memory, "a", &log);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (stop_b, b) = candidate(&memory, "b", &log);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(memory.holder(), "a");
    stop_a.cancel();
    assert_eq!(a.await.unwrap(), Ended::Shutdown);
    assert_eq!(memory.holder(), "");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(memory.holder(), "b");
    let spec = memory.lease.lock().clone().unwrap().spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(1));
    stop_b.cancel();
    b.await.unwrap();
    assert_eq!(*log.lock(), ["a leads", "a stops", "b leads", "b stops"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_replaced_after_the_lease_duration() {
    let (memory, log) = (Memory::default(), Arc::default());
    let (_stop, a) = candidate(&memory, "a", &log);
    tokio::time::sleep(Duration::from_secs(1)).await;
    a.abort();
    let start = Instant::now();
    let (_stop_b, _b) = candidate(&memory, "b", &log);
    while memory.holder() != "b" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let waited = start.elapsed().as_secs();
    assert!((14..=20).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_within_the_deadline() {
    let (memory, log) = (Memory::default(), Arc::default());
    let (_stop, a) = candidate(&memory, "a", &log);
    tokio::time::sleep(Duration::from_secs(5)).await;
    *memory.broken.lock() = true;
    let start = Instant::now();
    assert_eq!(a.await.unwrap(), Ended::Lost);
    assert!(start.elapsed() <= Duration::from_secs(13), "{:?}", start.elapsed());
}
