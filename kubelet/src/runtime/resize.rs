//! Gives running containers the resources their spec has come to ask for
//! (upstream: kuberuntime_manager.go `doPodResizeAction`).
//!
//! Not yet: `resizePolicy: RestartContainer`, and refusing what the node cannot give.

use std::collections::{HashMap, HashSet};

use cri_proto::v1::LinuxContainerResources;
use k8s_openapi::api::core::v1::{Container, Pod};
use parking_lot::Mutex;

use super::status::{PodStatus, State};
use crate::pods::{PodExt, container_reference};
use crate::shared::Shared;

/// What each container was last given, by its identifier.
#[derive(Default)]
pub(crate) struct Given {
    containers: Mutex<HashMap<String, LinuxContainerResources>>,
}

impl Given {
    /// Notes what a container begins with.
    pub(crate) fn note(&self, id: &str, resources: LinuxContainerResources) {
        self.containers.lock().insert(id.to_owned(), resources);
    }

    /// Forgets containers that are not in `alive`.
    pub(crate) fn retain(&self, alive: &HashSet<String>) {
        self.containers.lock().retain(|id, _| alive.contains(id));
    }

    /// True when the container has something else; one seen the first time has what is wanted now.
    fn differs(&self, id: &str, wanted: &LinuxContainerResources) -> bool {
        let mut containers = self.containers.lock();
        let given = containers.entry(id.to_owned()).or_insert_with(|| wanted.clone());
        given != wanted
    }
}

/// What a running container should have. Its out-of-memory score stays as it began.
pub(crate) fn wanted(shared: &Shared, pod: &Pod, container: &Container) -> LinuxContainerResources {
    LinuxContainerResources {
        oom_score_adj: 0,
        unified: HashMap::new(),
        ..shared.cgroups.container_resources(pod, container, shared.facts.memory)
    }
}

/// Brings the pod's cgroup and its running containers to what the spec says: a pod that shrinks needs
/// its containers to go first.
///
/// # Errors
/// The text of an event.
pub(crate) async fn apply(shared: &Shared, pod: &Pod, seen: &PodStatus) -> Result<(), String> {
    let grown = shared.cgroups.ensure(pod);
    let sidecars = pod
        .init_containers()
        .iter()
        .filter(|c| rules::resources::is_restartable_init_container(c));
    for container in pod.spec().containers.iter().chain(sidecars) {
        let Some(current) = seen.find(&container.name).filter(|c| c.state == State::Running) else {
            continue;
        };
        let wanted = wanted(shared, pod, container);
        if !shared.given.differs(&current.id, &wanted) {
            continue;
        }
        match shared.runtime.update_container(&current.id, wanted.clone()).await {
            Ok(()) => shared.given.note(&current.id, wanted),
            Err(error) => {
                let text = format!("Container resize error: {error}");
                let about = container_reference(pod, &container.name);
                shared.recorder.warning(&about, "ResizeError", text);
            }
        }
    }
    match grown {
        Ok(()) => Ok(()),
        Err(_) => shared
            .cgroups
            .ensure(pod)
            .map_err(|error| format!("unable to ensure pod container exists: {error}")),
    }
}
