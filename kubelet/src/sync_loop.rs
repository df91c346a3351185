//! The one place where everything that concerns pods comes in: changes of sources, events of the
//! runtime, verdicts of probes. It hands each to the pod's worker and cleans up behind those that
//! are done (upstream: kubelet.go `syncLoopIteration`, kubelet_pods.go `HandlePodCleanups`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Change;
use crate::pods::worker::Workers;
use crate::pods::{PodExt, mirror};
use crate::runtime::annotations::{POD_NAME, POD_NAMESPACE, POD_UID};
use crate::runtime::{gc, kill, log_files, status};
use crate::shared::{Poke, Shared};
use crate::{admission, volumes};

/// How often is looked for what nobody wants any more.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// How long after the sources have spoken the first time.
const FIRST_HOUSEKEEPING: Duration = Duration::from_secs(2);

/// See the module's text.
pub(crate) struct SyncLoop {
    pub(crate) shared: Arc<Shared>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) changes: mpsc::UnboundedReceiver<Change>,
    pub(crate) pokes: mpsc::UnboundedReceiver<Poke>,
    /// Sources that have not yet told all they had.
    pub(crate) unsynced: usize,
}

impl SyncLoop {
    /// Runs until `shutdown`. Containers are left as they are.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut housekeeping = tokio::time::interval_at(tokio::time::Instant::now() + FIRST_HOUSEKEEPING, HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(change) = self.changes.recv() => self.take(change),
                Some(poke) = self.pokes.recv() => self.poke(poke),
                _ = housekeeping.tick() => {
                    if self.unsynced == 0 {
                        self.keep_house().await;
                    } else {
                        housekeeping.reset_after(FIRST_HOUSEKEEPING);
                    }
                }
            }
        }
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Set(pod) if pod.is_mirror() => {
                self.shared.pods.upsert(pod.clone());
                if let Some(behind) = self.shared.pods.behind_mirror(&pod) {
                    self.shared.statuses.update_target(behind.uid(), pod);
                    self.workers.poke(behind.uid());
                }
            }
            Change::Set(pod) => {
                let refusal = if self.workers.knows(pod.uid()) {
                    None
                } else {
                    admission::refuse(&self.shared, &pod)
                };
                self.shared.pods.upsert(pod.clone());
                if self.workers.is_finished(pod.uid()) {
                    self.shared.statuses.update_target(pod.uid(), pod.clone());
                    return;
                }
                self.workers.update(pod.clone());
                if let Some((reason, message)) = refusal {
                    self.workers.fail(pod.uid(), &reason, &message);
                    self.shared.recorder.warning(&pod.reference(), &reason, message);
                }
            }
            Change::Gone(pod) => {
                self.shared.pods.remove(&pod);
                if pod.is_mirror() {
                    if let Some(behind) = self.shared.pods.behind_mirror(&pod) {
                        self.workers.poke(behind.uid());
                    }
                    return;
                }
                if pod.is_static() {
                    self.drop_mirror(&pod);
                }
                self.shared.statuses.abandon(pod.uid());
                self.workers.remove(pod.uid());
                if self.workers.is_finished(pod.uid()) {
                    self.finished(pod.uid());
                }
            }
            Change::Synced => self.unsynced = self.unsynced.saturating_sub(1),
        }
    }

    fn poke(&mut self, poke: Poke) {
        match poke {
            Poke::Runtime(uid) | Poke::Probe(uid) | Poke::Object(uid) => self.workers.poke(&uid),
            Poke::Finished(uid) => self.finished(&uid),
        }
    }

    /// A worker is done. When the pod is gone from its source too, nothing of it may stay.
    fn finished(&self, uid: &str) {
        match self.shared.pods.get(uid) {
            None => {
                self.workers.forget(uid);
                self.shared.statuses.forget(uid);
                let (shared, uid) = (self.shared.clone(), uid.to_owned());
                tokio::spawn(async move {
                    gc::forget_pod(&shared, &uid).await;
                    remove_log_directories(&shared, |own| own == uid);
                    log_files::remove_dead_links(&shared.log_links());
                });
            }
            // Its file came back, the same as before, while it was being stopped.
            Some(pod) if pod.is_static() => {
                self.workers.forget(uid);
                self.workers.update(pod);
            }
            Some(_) => {}
        }
    }

    fn drop_mirror(&self, pod: &Pod) {
        if let (Some(client), Some(mirror)) = (self.shared.client.clone(), self.shared.pods.mirror_of(pod)) {
            tokio::spawn(async move { mirror::delete(&client, &mirror).await });
        }
    }

    /// Removes what belongs to no pod: containers, directories, cgroups, mirrors, logs.
    async fn keep_house(&self) {
        let shared = &self.shared;
        let pods = shared.pods.all();
        let known: HashSet<String> = pods.iter().map(|p| p.uid().to_owned()).collect();
        let wanted = |uid: &str| known.contains(uid) || self.workers.knows(uid);
        self.stop_orphans(&wanted).await;
        gc::collect(shared, &known).await;
        for entry in std::fs::read_dir(shared.config.root_dir.join("pods"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let uid = entry.file_name().to_string_lossy().into_owned();
            if !wanted(&uid) {
                tracing::info!(uid, "Cleaned up orphaned pod volumes dir");
                volumes::tear_down(shared, &uid).await;
            }
        }
        for uid in shared.cgroups.pods() {
            if !wanted(&uid) {
                shared.cgroups.remove(&uid);
            }
        }
        if let Some(client) = &shared.client {
            for orphan in shared.pods.orphaned_mirrors() {
                mirror::delete(client, &orphan).await;
            }
        }
        remove_log_directories(shared, |uid| !wanted(uid));
        log_files::remove_dead_links(&shared.log_links());
        shared
            .statuses
            .retain(&pods.iter().map(|p| p.uid().to_owned()).filter(|u| wanted(u)).collect());
        let Ok(containers) = shared.runtime.list_containers(None).await else {
            return;
        };
        let ids: HashSet<String> = containers.into_iter().map(|c| c.id).collect();
        shared.given.retain(&ids);
        let prefix = shared.container_id("");
        shared
            .probes
            .retain(|id| id.strip_prefix(&prefix).is_some_and(|id| ids.contains(id)));
        shared.crash_backoff.collect(k8s_openapi::jiff::Timestamp::now());
        shared.cgroups.weigh_burstable(burstable_milli_cpu(&pods));
    }

    /// Stops pods that run but that no source knows: removed while the kubelet was away.
    async fn stop_orphans(&self, wanted: &(dyn Fn(&str) -> bool + Sync)) {
        let shared = &self.shared;
        let sandboxes = shared.runtime.list_sandboxes(None).await.unwrap_or_default();
        let containers = shared.runtime.list_containers(None).await.unwrap_or_default();
        let labels = sandboxes
            .iter()
            .map(|s| &s.labels)
            .chain(containers.iter().map(|c| &c.labels));
        let mut orphans = HashSet::new();
        for labels in labels {
            let get = |key: &str| labels.get(key).cloned();
            if let (Some(uid), Some(name), Some(namespace)) = (get(POD_UID), get(POD_NAME), get(POD_NAMESPACE))
                && !wanted(&uid)
            {
                orphans.insert((uid, name, namespace));
            }
        }
        for (uid, name, namespace) in orphans {
            let shared = shared.clone();
            tokio::spawn(async move {
                let pod = Pod {
                    metadata: ObjectMeta {
                        name: Some(name),
                        namespace: Some(namespace),
                        uid: Some(uid.clone()),
                        ..ObjectMeta::default()
                    },
                    ..Pod::default()
                };
                tracing::info!(pod = %pod.key(), uid, "stopping a pod that is not wanted any more");
                if let Ok(seen) = status::pod_status(shared.runtime.as_ref(), &uid).await
                    && kill::pod(&shared, &pod, &seen, None).await.is_ok()
                {
                    volumes::tear_down(&shared, &uid).await;
                    gc::forget_pod(&shared, &uid).await;
                    shared.cgroups.remove(&uid);
                }
            });
        }
    }
}

fn burstable_milli_cpu(pods: &[Arc<Pod>]) -> i64 {
    pods.iter()
        .filter(|p| !matches!(p.phase(), "Failed" | "Succeeded"))
        .filter(|p| rules::qos::pod_qos(p) == rules::qos::BURSTABLE)
        .map(|p| {
            let requests = rules::resources::pod_requests(p, rules::resources::Options::default());
            requests
                .get("cpu")
                .map_or(0, apimachinery::quantity::Quantity::milli_value)
        })
        .sum()
}

/// Removes the log directories of pods whose UID `which` accepts.
fn remove_log_directories(shared: &Shared, which: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(&shared.config.file.pod_logs_dir)
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.matches('_').count() == 2
            && let Some((_, uid)) = name.rsplit_once('_')
            && which(uid)
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
