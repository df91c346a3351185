//! Removes what is left in the runtime: old containers of living pods, everything of gone ones
//! (upstream: kuberuntime_gc.go).

use std::collections::{HashMap, HashSet};

use cri_proto::v1;

use super::annotations::{CONTAINER_NAME, POD_UID};
use super::status::State;
use crate::shared::Shared;

/// Dead containers kept of each container of a living pod, for its previous logs
/// (upstream: `--maximum-dead-containers-per-container`).
const KEPT: usize = 1;

/// Removes dead containers beyond [`KEPT`], and all of pods `alive` does not know; then dead
/// sandboxes without containers that are not their pod's newest.
pub(crate) async fn collect(shared: &Shared, alive: &HashSet<String>) {
    let runtime = shared.runtime.as_ref();
    let containers = match runtime.list_containers(None).await {
        Ok(containers) => containers,
        Err(error) => {
            tracing::debug!(%error, "cannot list containers to collect");
            return;
        }
    };
    let sandboxes = runtime.list_sandboxes(None).await.unwrap_or_default();
    let label = |labels: &HashMap<String, String>, key: &str| labels.get(key).cloned();
    let mut dead: HashMap<(String, String), Vec<&v1::Container>> = HashMap::new();
    let mut in_use: HashSet<&str> = HashSet::new();
    for container in &containers {
        let (Some(uid), Some(name)) = (
            label(&container.labels, POD_UID),
            label(&container.labels, CONTAINER_NAME),
        ) else {
            continue; // not a kubelet's
        };
        in_use.insert(&container.pod_sandbox_id);
        if State::from_cri(container.state) != State::Running {
            dead.entry((uid, name)).or_default().push(container);
        }
    }
    let mut removed: HashSet<String> = HashSet::new();
    for ((uid, name), mut of_one) in dead {
        of_one.sort_by_key(|c| std::cmp::Reverse(c.created_at));
        let runs = containers.iter().any(|c| {
            c.labels.get(POD_UID) == Some(&uid)
                && c.labels.get(CONTAINER_NAME) == Some(&name)
                && State::from_cri(c.state) == State::Running
        });
        // The newest dead one is the container itself unless it runs again.
        let keep = if alive.contains(&uid) {
            KEPT + usize::from(!runs)
        } else {
            0
        };
        for container in of_one.into_iter().skip(keep) {
            remove_container(shared, &container.id).await;
            removed.insert(container.id.clone());
        }
    }
    let still: HashSet<&str> = containers
        .iter()
        .filter(|c| !removed.contains(&c.id))
        .map(|c| c.pod_sandbox_id.as_str())
        .collect();
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for sandbox in &sandboxes {
        if let Some(uid) = sandbox.labels.get(POD_UID) {
            let entry = newest.entry(uid).or_default();
            *entry = (*entry).max(sandbox.created_at);
        }
    }
    for sandbox in &sandboxes {
        let Some(uid) = sandbox.labels.get(POD_UID) else {
            continue;
        };
        let ready = sandbox.state == v1::PodSandboxState::SandboxReady as i32;
        let is_newest = newest.get(uid.as_str()) == Some(&sandbox.created_at);
        let spare = alive.contains(uid) && is_newest;
        let needed = ready || spare || still.contains(sandbox.id.as_str());
        if !needed && let Err(error) = runtime.remove_sandbox(&sandbox.id).await {
            tracing::debug!(%error, sandbox = %sandbox.id, "cannot remove the sandbox");
        }
    }
}

/// Removes everything of one pod, which has ended, from the runtime.
pub(crate) async fn forget_pod(shared: &Shared, uid: &str) {
    for container in shared.runtime.list_containers(Some(uid)).await.unwrap_or_default() {
        remove_container(shared, &container.id).await;
    }
    for sandbox in shared.runtime.list_sandboxes(Some(uid)).await.unwrap_or_default() {
        let _ = shared.runtime.stop_sandbox(&sandbox.id).await;
        if let Err(error) = shared.runtime.remove_sandbox(&sandbox.id).await {
            tracing::debug!(%error, sandbox = %sandbox.id, "cannot remove the sandbox");
        }
    }
}

/// Removes a container, its log and the link to the log.
pub(crate) async fn remove_container(shared: &Shared, id: &str) {
    let log = match shared.runtime.container_status(id).await {
        Ok(status) => status.log_path,
        Err(_) => String::new(),
    };
    match shared.runtime.remove_container(id).await {
        Ok(()) => crate::runtime::log_files::remove_files(&shared.log_links(), &log, id),
        Err(error) => tracing::debug!(%error, container = %id, "cannot remove the container"),
    }
}
