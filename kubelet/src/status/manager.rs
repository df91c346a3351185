//! Keeps the newest status of every pod and brings it to the apiserver
//! (upstream: pkg/kubelet/status/status_manager.go). Nothing else writes pod status.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use client::{Api, Client, DeleteOptions, Preconditions};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::pods::PodExt;

/// How long to wait after a failed write (upstream: `syncPeriod`).
const RETRY: Duration = Duration::from_secs(10);

/// See the module's text.
#[derive(Default)]
pub(crate) struct StatusManager {
    entries: Mutex<HashMap<String, Entry>>,
    work: Notify,
}

struct Entry {
    /// The pod of the API: the mirror of a static pod.
    pod: Arc<Pod>,
    status: PodStatus,
    version: u64,
    /// The version the API has.
    written: u64,
    /// The worker is done: once written, a deleted pod leaves the API.
    finished: bool,
    deleted: bool,
    /// The object is gone: there is nothing left to write to.
    gone: bool,
}

impl StatusManager {
    /// The newest status of a pod, by the UID its containers carry.
    pub(crate) fn get(&self, uid: &str) -> Option<PodStatus> {
        self.entries.lock().get(uid).map(|e| e.status.clone())
    }

    /// Takes a new status. `target` is the object to write it to: the pod itself or its mirror;
    /// `None` when a static pod has none yet.
    pub(crate) fn set(&self, pod: &Pod, target: Option<Arc<Pod>>, status: PodStatus) {
        let mut entries = self.entries.lock();
        let target = target.unwrap_or_else(|| Arc::new(pod.clone()));
        match entries.get_mut(pod.uid()) {
            Some(entry) => {
                let new_target = entry.pod.metadata.uid != target.metadata.uid;
                entry.pod = target;
                if entry.status == status && !new_target {
                    return;
                }
                entry.status = status;
                entry.version += 1;
            }
            None => {
                let unchanged = target.status.as_ref() == Some(&status);
                let entry = Entry {
                    pod: target,
                    status,
                    version: 1,
                    written: u64::from(unchanged),
                    finished: false,
                    deleted: false,
                    gone: false,
                };
                entries.insert(pod.uid().to_owned(), entry);
            }
        }
        drop(entries);
        self.work.notify_one();
    }

    /// The worker of a pod has removed everything: the pod may leave the API when it is deleted.
    pub(crate) fn finish(&self, uid: &str) {
        if let Some(entry) = self.entries.lock().get_mut(uid) {
            entry.finished = true;
        }
        self.work.notify_one();
    }

    /// A newer object for a pod whose worker is done (its deletion came later).
    pub(crate) fn update_target(&self, uid: &str, target: Arc<Pod>) {
        if let Some(entry) = self.entries.lock().get_mut(uid) {
            if entry.pod.metadata.uid != target.metadata.uid {
                // Another object, a new mirror: it has none of what was written before.
                entry.version += 1;
                entry.deleted = false;
            }
            entry.pod = target;
        }
        self.work.notify_one();
    }

    /// The object of a pod is gone; its status is still kept for those who ask here.
    pub(crate) fn abandon(&self, uid: &str) {
        if let Some(entry) = self.entries.lock().get_mut(uid) {
            entry.gone = true;
        }
    }

    /// Forgets a pod that is gone from the API and from this node.
    pub(crate) fn forget(&self, uid: &str) {
        self.entries.lock().remove(uid);
    }

    /// Forgets pods that are not in `known`.
    pub(crate) fn retain(&self, known: &HashSet<String>) {
        self.entries.lock().retain(|uid, _| known.contains(uid));
    }

    /// Writes statuses until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, client: Client, shutdown: CancellationToken) {
        let mut failed = false;
        loop {
            let wake = async {
                if failed {
                    let _ = tokio::time::timeout(RETRY, self.work.notified()).await;
                } else {
                    self.work.notified().await;
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = wake => {}
            }
            failed = false;
            let pending: Vec<String> = {
                let entries = self.entries.lock();
                let waiting = entries.iter().filter(|(_, e)| !e.gone && e.has_work());
                waiting.map(|(uid, _)| uid.clone()).collect()
            };
            let writes = pending.into_iter().map(|uid| {
                let (manager, client) = (self.clone(), client.clone());
                async move { manager.write(&client, &uid).await }
            });
            let outcomes: Vec<bool> =
                futures::StreamExt::collect(futures::StreamExt::buffer_unordered(futures::stream::iter(writes), 8))
                    .await;
            failed |= outcomes.iter().any(|done| !done);
        }
    }

    /// Brings one pod's status to the API, then deletes it if its time has come. False: try later.
    async fn write(&self, client: &Client, uid: &str) -> bool {
        let Some((pod, status, version, behind)) = self
            .entries
            .lock()
            .get(uid)
            .filter(|e| !e.gone)
            .map(|e| (e.pod.clone(), e.status.clone(), e.version, e.version > e.written))
        else {
            return true;
        };
        if pod.is_static() {
            return true; // no mirror yet
        }
        let api = Api::<Pod>::namespaced(client.clone(), pod.namespace());
        if behind {
            match self.write_status(&api, &pod, &status).await {
                Ok(written) => {
                    let mut entries = self.entries.lock();
                    if let Some(entry) = entries.get_mut(uid) {
                        entry.written = entry.written.max(version);
                        if let Some(written) = written
                            && written.metadata.deletion_timestamp.is_some()
                        {
                            entry.pod = Arc::new(written);
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(pod = %pod.key(), error = %client::error::chain(&error), "cannot write the status");
                    return false;
                }
            }
        }
        let deletable = self
            .entries
            .lock()
            .get(uid)
            .is_some_and(|e| e.finished && e.wants_deletion() && !e.deleted && e.written >= e.version);
        if !deletable {
            return true;
        }
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteOptions::default()
        };
        match api.delete(pod.name(), &options).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => {
                tracing::warn!(pod = %pod.key(), error = %client::error::chain(&error), "cannot delete the pod");
                false
            }
            _ => {
                if let Some(entry) = self.entries.lock().get_mut(uid) {
                    entry.deleted = true;
                }
                true
            }
        }
    }

    /// `None`: the pod is not there any more, or is another one by now.
    async fn write_status(&self, api: &Api<Pod>, pod: &Pod, status: &PodStatus) -> client::Result<Option<Pod>> {
        for _ in 0..5 {
            let Some(mut current) = api.get_opt(pod.name()).await? else {
                return Ok(None);
            };
            if current.metadata.uid != pod.metadata.uid {
                return Ok(None);
            }
            let merged = merge(current.status.as_ref(), status);
            if current.status.as_ref() == Some(&merged) {
                return Ok(Some(current));
            }
            current.status = Some(merged);
            match api.update_status(&current).await {
                Ok(written) => return Ok(Some(written)),
                Err(error) if error.is_conflict() => {}
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(client::Error::InvalidRequest(
            "the pod changes too fast to write its status".to_owned(),
        ))
    }
}

impl Entry {
    /// Something is to be written, or the object to be deleted.
    fn has_work(&self) -> bool {
        self.version > self.written || (self.finished && self.wants_deletion() && !self.deleted)
    }

    fn wants_deletion(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some() && !self.pod.is_mirror()
    }
}

/// Our status over what the API has: conditions of others stay, as do fields only others set.
fn merge(current: Option<&PodStatus>, ours: &PodStatus) -> PodStatus {
    let mut merged = ours.clone();
    let Some(current) = current else { return merged };
    let owned = super::conditions::OWNED;
    let mut conditions: Vec<_> = current
        .conditions
        .iter()
        .flatten()
        .filter(|c| !owned.contains(&c.type_.as_str()))
        .cloned()
        .collect();
    for condition in ours.conditions.iter().flatten() {
        let known = conditions.iter().any(|c| c.type_ == condition.type_);
        if owned.contains(&condition.type_.as_str()) || !known {
            conditions.push(condition.clone());
        }
    }
    merged.conditions = Some(conditions);
    merged.resize = merged.resize.or_else(|| current.resize.clone());
    merged.nominated_node_name.clone_from(&current.nominated_node_name);
    merged
        .resource_claim_statuses
        .clone_from(&current.resource_claim_statuses);
    merged
}
