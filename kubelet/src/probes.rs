//! Startup, liveness and readiness probes: one task per container and probe
//! (upstream: pkg/kubelet/prober).

pub(crate) mod handler;
mod http;
mod prober;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus, Probe};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::pods::PodExt;
use crate::runtime::plan::Health;
use crate::shared::Shared;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }

    /// As events begin: `Readiness probe failed: ...`.
    fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// The verdict on a container not probed yet.
    fn initial(self) -> Option<bool> {
        match self {
            Self::Startup => None,
            Self::Liveness => Some(true),
            Self::Readiness => Some(false),
        }
    }
}

/// All running probes and their verdicts.
#[derive(Default)]
pub(crate) struct Probes {
    workers: Mutex<HashMap<(String, String, Kind), Worker>>,
    /// By container identifier as the API shows it.
    verdicts: Mutex<HashMap<(String, Kind), bool>>,
}

struct Worker {
    stop: CancellationToken,
    wake: Arc<Notify>,
}

impl Probes {
    /// Starts the probes of a pod that are not running yet.
    pub(crate) fn add(&self, shared: &Arc<Shared>, pod: &Arc<Pod>) {
        let sidecars = pod
            .init_containers()
            .iter()
            .filter(|c| rules::resources::is_restartable_init_container(c));
        for container in pod.spec().containers.iter().chain(sidecars) {
            for kind in Kind::ALL {
                let Some(probe) = kind.of(container) else { continue };
                let key = (pod.uid().to_owned(), container.name.clone(), kind);
                self.workers.lock().entry(key).or_insert_with(|| {
                    let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
                    let task = worker::Task {
                        shared: shared.clone(),
                        pod: pod.clone(),
                        container: container.clone(),
                        probe: probe.clone(),
                        kind,
                        wake: wake.clone(),
                    };
                    let token = stop.clone();
                    tokio::spawn(async move {
                        let uid = task.pod.uid().to_owned();
                        let name = task.container.name.clone();
                        let probes = task.shared.probes.clone();
                        tokio::select! {
                            () = token.cancelled() => {}
                            () = task.run() => {}
                        }
                        if !token.is_cancelled() {
                            probes.workers.lock().remove(&(uid, name, kind));
                        }
                    });
                    Worker { stop, wake }
                });
            }
        }
    }

    /// Stops all probes of a pod.
    pub(crate) fn remove(&self, uid: &str) {
        self.stop(uid, |_| true);
    }

    /// Stops the probes that could kill containers of a pod that is ending anyway.
    pub(crate) fn stop_killers(&self, uid: &str) {
        self.stop(uid, |kind| kind != Kind::Readiness);
    }

    fn stop(&self, uid: &str, which: impl Fn(Kind) -> bool) {
        self.workers.lock().retain(|(own, _, kind), worker| {
            let ends = own == uid && which(*kind);
            if ends {
                worker.stop.cancel();
            }
            !ends
        });
    }

    /// Forgets verdicts of containers that are not in `alive`.
    pub(crate) fn retain(&self, alive: impl Fn(&str) -> bool) {
        self.verdicts.lock().retain(|(id, _), _| alive(id));
    }

    fn verdict(&self, id: &str, kind: Kind) -> Option<bool> {
        self.verdicts.lock().get(&(id.to_owned(), kind)).copied()
    }

    /// Notes a verdict; true when it is news.
    fn set_verdict(&self, id: &str, kind: Kind, verdict: Option<bool>) -> bool {
        let key = (id.to_owned(), kind);
        let mut verdicts = self.verdicts.lock();
        match verdict {
            Some(verdict) => verdicts.insert(key, verdict) != Some(verdict),
            None => verdicts.remove(&key).is_some(),
        }
    }

    /// What the probes say of a container, for the plan.
    pub(crate) fn health(&self, id: &str) -> Health {
        Health {
            liveness: self.verdict(id, Kind::Liveness),
            startup: self.verdict(id, Kind::Startup),
        }
    }

    /// Sets `started` and `ready` of all container statuses (upstream: prober_manager.go
    /// `UpdatePodStatus`), and has not yet ready containers probed at once.
    pub(crate) fn update_status(&self, pod: &Pod, status: &mut PodStatus) {
        let has = |name: &str, kind: Kind| {
            self.workers
                .lock()
                .contains_key(&(pod.uid().to_owned(), name.to_owned(), kind))
        };
        let judge = |status: &mut ContainerStatus| {
            let id = status.container_id.clone().unwrap_or_default();
            let running = status.state.as_ref().is_some_and(|s| s.running.is_some());
            let started = running
                && match self.verdict(&id, Kind::Startup) {
                    Some(verdict) => verdict,
                    None => !has(&status.name, Kind::Startup),
                };
            status.started = Some(started);
            status.ready = started
                && match self.verdict(&id, Kind::Readiness) {
                    Some(verdict) => verdict,
                    None => !has(&status.name, Kind::Readiness),
                };
        };
        for container in status.container_statuses.iter_mut().flatten() {
            judge(container);
        }
        for container in status.init_container_statuses.iter_mut().flatten() {
            let spec = pod.init_containers().iter().find(|c| c.name == container.name);
            if spec.is_some_and(rules::resources::is_restartable_init_container) {
                judge(container);
                continue;
            }
            let ended = container.state.as_ref().and_then(|s| s.terminated.as_ref());
            container.ready = ended.is_some_and(|t| t.exit_code == 0);
            let running = container.state.as_ref().is_some_and(|s| s.running.is_some());
            container.started = Some(running);
        }
        for ((uid, _, _), worker) in self.workers.lock().iter() {
            if uid == pod.uid() {
                worker.wake.notify_one();
            }
        }
    }
}
