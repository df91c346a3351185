//! Notices changes of containers by comparing what the runtime lists with what it listed before
//! (upstream: pkg/kubelet/pleg/generic.go).

mod metrics;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::runtime::annotations::POD_UID;
use crate::runtime::{Result, Runtime};
use crate::shared::{Poke, Shared};

/// How often the runtime is asked (upstream: `genericPlegRelistPeriod`).
const PERIOD: Duration = Duration::from_secs(1);
/// How often, while containers come and go: short-lived ones should not wait for a second each.
const BUSY_PERIOD: Duration = Duration::from_millis(200);
/// How long after a change.
const BUSY: Duration = Duration::from_secs(3);
/// After this long without an answer the kubelet is not healthy (upstream: `relistThreshold`).
const THRESHOLD: Duration = Duration::from_secs(180);

/// Container and sandbox states of one pod, by identifier; sandboxes are told apart by `SANDBOX`.
type Pod = BTreeMap<String, i32>;

/// Added to the state of a sandbox.
const SANDBOX: i32 = 100;

/// When the runtime last answered.
pub(crate) struct Pleg {
    last: Mutex<Instant>,
}

impl Pleg {
    /// Starts listing; changes go to the sync loop.
    pub(crate) fn start(shared: Arc<Shared>, shutdown: CancellationToken) -> Arc<Self> {
        let pleg = Arc::new(Self {
            last: Mutex::new(Instant::now()),
        });
        let task = pleg.clone();
        tokio::spawn(async move {
            let mut known: HashMap<String, Pod> = HashMap::new();
            let mut changed_at: Option<Instant> = None;
            loop {
                let begun = Instant::now();
                match list(shared.runtime.as_ref()).await {
                    Ok(now) => {
                        *task.last.lock() = Instant::now();
                        metrics::relisted(begun.elapsed(), &now);
                        for uid in changed(&known, &now) {
                            changed_at = Some(Instant::now());
                            shared.poke(Poke::Runtime(uid));
                        }
                        known = now;
                    }
                    Err(error) => tracing::debug!(%error, "cannot list containers"),
                }
                let busy = changed_at.is_some_and(|at| at.elapsed() < BUSY);
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(if busy { BUSY_PERIOD } else { PERIOD }) => {}
                }
            }
        });
        pleg
    }

    /// One that never complains.
    pub(crate) fn always_healthy() -> Self {
        Self {
            last: Mutex::new(Instant::now()),
        }
    }

    /// Why the kubelet is not healthy, if it is not.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let age = self.last.lock().elapsed();
        if age < THRESHOLD {
            return Ok(());
        }
        Err(format!(
            "pleg was last seen active {}s ago; threshold is {}s",
            age.as_secs(),
            THRESHOLD.as_secs()
        ))
    }
}

async fn list(runtime: &dyn Runtime) -> Result<HashMap<String, Pod>> {
    let mut pods: HashMap<String, Pod> = HashMap::new();
    for sandbox in runtime.list_sandboxes(None).await? {
        if let Some(uid) = sandbox.labels.get(POD_UID) {
            pods.entry(uid.clone())
                .or_default()
                .insert(sandbox.id, SANDBOX + sandbox.state);
        }
    }
    for container in runtime.list_containers(None).await? {
        if let Some(uid) = container.labels.get(POD_UID) {
            pods.entry(uid.clone())
                .or_default()
                .insert(container.id, container.state);
        }
    }
    Ok(pods)
}

fn changed(before: &HashMap<String, Pod>, now: &HashMap<String, Pod>) -> Vec<String> {
    let gone = before.keys().filter(|uid| !now.contains_key(*uid)).cloned();
    let new = now
        .iter()
        .filter(|(uid, pod)| before.get(*uid) != Some(pod))
        .map(|(uid, _)| uid.clone());
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_that_changed_are_named() {
        let pods = |list: &[(&str, i32)]| -> HashMap<String, Pod> {
            list.iter()
                .map(|(uid, state)| ((*uid).to_owned(), Pod::from([("c".to_owned(), *state)])))
                .collect()
        };
        let mut found = changed(
            &pods(&[("a", 1), ("b", 1), ("c", 1)]),
            &pods(&[("a", 1), ("b", 2), ("d", 1)]),
        );
        found.sort();
        assert_eq!(found, ["b", "c", "d"]);
    }
}
