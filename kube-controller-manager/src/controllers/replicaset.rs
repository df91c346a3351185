//! replicaset-controller: as many pods as the ReplicaSet says.
//!
//! Watches ReplicaSets and Pods; key = ReplicaSet. Upstream: pkg/controller/replicaset/replica_set.go.

mod pods;
mod rank;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use apimachinery::labels::Selector;
use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::{key, key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use rules::owners::controller_of;
use rules::pods::{is_pod_active, is_pod_ready, is_pod_terminating};

use crate::adoption;
use crate::context::{ControllerContext, Work};
use crate::expectations::Expectations;

const NAME: &str = "replicaset-controller";
/// Index of pods by the UID of their controller.
pub(crate) const BY_CONTROLLER: &str = "controllerUID";
/// Pods created or deleted in one round. Upstream: `BurstReplicas`.
const BURST: usize = 500;

/// The values of [`BY_CONTROLLER`] for an object; orphans are under the empty string of their namespace.
pub(crate) fn controller_uid(meta: &ObjectMeta) -> Vec<String> {
    vec![match controller_of(meta) {
        Some(reference) => reference.uid.clone(),
        None => orphans(meta.namespace.as_deref().unwrap_or_default()),
    }]
}

/// The value of [`BY_CONTROLLER`] under which the orphans of a namespace are.
pub(crate) fn orphans(namespace: &str) -> String {
    format!("orphan/{namespace}")
}

/// Asks for informers; the work reconciles ReplicaSets.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let sets = ctx.informers.informer::<ReplicaSet>();
    let pods = ctx.informers.informer::<Pod>();
    pods.add_index(BY_CONTROLLER, |pod: &Pod| controller_uid(&pod.metadata));
    sets.add_index(BY_CONTROLLER, |set: &ReplicaSet| controller_uid(&set.metadata));
    let client = ctx.client("replicaset-controller");
    let queue = WorkQueue::new("replicaset");
    let controller = Arc::new(Controller {
        sets: sets.reader(),
        pods: pods.reader(),
        client,
        recorder: ctx.recorder(NAME),
        expectations: Expectations::default(),
        queue: queue.clone(),
    });
    let (on_set, on_pod) = (controller.clone(), controller.clone());
    sets.add_handler(move |event| on_set.set_changed(&event));
    pods.add_handler(move |event| on_pod.pod_changed(&event));
    Some(ctx.work(NAME, queue, ctx.config.workers.replicaset, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

struct Controller {
    sets: Reader<ReplicaSet>,
    pods: Reader<Pod>,
    client: Client,
    recorder: Recorder,
    expectations: Expectations,
    queue: WorkQueue<String>,
}

impl Controller {
    fn set_changed(&self, event: &Event<ReplicaSet>) {
        let set = event.object();
        match event {
            Event::Deleted(_) => self.expectations.forget(&key_of(&**set)),
            Event::Updated { old, new } if old.metadata.uid != new.metadata.uid => {
                self.expectations.forget(&key_of(&**set));
            }
            _ => {}
        }
        self.queue.add(key_of(&**set));
    }

    fn pod_changed(&self, event: &Event<Pod>) {
        match event {
            Event::Added(pod) if pod.metadata.deletion_timestamp.is_some() => self.pod_deleted(pod),
            Event::Added(pod) => match self.owner_of(&pod.metadata) {
                Some(owner) => {
                    self.expectations.creation_observed(&owner);
                    self.queue.add(owner);
                }
                None => self.wake_matching(pod),
            },
            Event::Updated { new, .. } if new.metadata.deletion_timestamp.is_some() => {
                self.pod_deleted(new);
            }
            Event::Updated { old, new } => self.pod_updated(old, new),
            Event::Deleted(pod) => self.pod_deleted(pod),
        }
    }

    fn pod_updated(&self, old: &Pod, new: &Pod) {
        if controller_of(&old.metadata) != controller_of(&new.metadata)
            && let Some(owner) = self.owner_of(&old.metadata)
        {
            self.queue.add(owner);
        }
        let Some(owner) = self.owner_of(&new.metadata) else {
            if old.metadata.labels != new.metadata.labels || controller_of(&old.metadata).is_some() {
                self.wake_matching(new);
            }
            return;
        };
        if !is_pod_ready(old)
            && is_pod_ready(new)
            && let Some(seconds) = self
                .sets
                .get_by_key(&owner)
                .and_then(|s| s.spec.as_ref()?.min_ready_seconds)
            && seconds > 0
        {
            // One more second, so that rounding does not wake us too early.
            self.queue.add_after(
                owner.clone(),
                Duration::from_secs(u64::from(seconds.unsigned_abs()) + 1),
            );
        }
        self.queue.add(owner);
    }

    fn pod_deleted(&self, pod: &Pod) {
        if let Some(owner) = self.owner_of(&pod.metadata) {
            self.expectations
                .deletion_observed(&owner, pod.metadata.uid.as_deref().unwrap_or_default());
            self.queue.add(owner);
        }
    }

    /// Key of the ReplicaSet that is the controller of an object, if it is one we know.
    fn owner_of(&self, meta: &ObjectMeta) -> Option<String> {
        let reference = controller_of(meta).filter(|r| r.kind == "ReplicaSet")?;
        let owner = key(meta.namespace.as_deref().unwrap_or_default(), &reference.name);
        let set = self.sets.get_by_key(&owner)?;
        (set.metadata.uid.as_deref() == Some(reference.uid.as_str())).then_some(owner)
    }

    /// Wakes every ReplicaSet that might adopt an orphan.
    fn wake_matching(&self, pod: &Pod) {
        for set in self
            .sets
            .list_namespace(pod.metadata.namespace.as_deref().unwrap_or_default())
        {
            let Some(spec) = &set.spec else { continue };
            if Selector::from_label_selector(&spec.selector)
                .is_ok_and(|s| !s.is_everything() && s.matches_optional(pod.metadata.labels.as_ref()))
            {
                self.queue.add(key_of(&*set));
            }
        }
    }

    async fn reconcile(&self, owner: &str) -> anyhow::Result<Outcome> {
        let Some(set) = self.sets.get_by_key(owner) else {
            self.expectations.forget(owner);
            return Ok(Outcome::Done);
        };
        let Some(spec) = &set.spec else {
            return Ok(Outcome::Done);
        };
        let (namespace, _) = split_key(owner);
        let may_act = self.expectations.satisfied(owner);
        let selector = Selector::from_label_selector(&spec.selector)?;

        let mut candidates = self
            .pods
            .by_index(BY_CONTROLLER, set.metadata.uid.as_deref().unwrap_or_default());
        candidates.extend(self.pods.by_index(BY_CONTROLLER, &orphans(namespace)));
        let terminating = candidates
            .iter()
            .filter(|pod| controller_of(&pod.metadata).is_some() && is_pod_terminating(pod))
            .count();
        candidates.retain(|pod| is_pod_active(pod));
        let claim = adoption::claim(&set.metadata, &selector, candidates);
        let pods_api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let sets_api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);
        let name = set.metadata.name.clone().unwrap_or_default();
        let mut active = adoption::apply::<ReplicaSet, _, _>(&set.metadata, claim, &pods_api, || async {
            sets_api.get(&name).await.map(|s| s.metadata)
        })
        .await?;
        active.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));

        let managed = if may_act && set.metadata.deletion_timestamp.is_none() {
            self.manage(&set, owner, &active, &pods_api).await
        } else {
            Ok(())
        };
        let failure = managed.as_ref().err().map(|error| format!("{error:#}"));
        let now = Timestamp::now();
        let status = status::compute(&set, &active, terminating, failure.as_deref(), now);
        self.write_status(&set, &status, &sets_api).await?;
        managed?;
        // Somebody must look again when the next pod has been ready for long enough.
        Ok(
            status::next_available(spec.min_ready_seconds.unwrap_or(0), &active, now)
                .map_or(Outcome::Done, Outcome::After),
        )
    }

    /// Creates or deletes the difference.
    async fn manage(&self, set: &ReplicaSet, owner: &str, active: &[Arc<Pod>], api: &Api<Pod>) -> anyhow::Result<()> {
        let wanted = usize::try_from(set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)).unwrap_or(0);
        if active.len() < wanted {
            let count = (wanted - active.len()).min(BURST);
            self.expectations.expect_creations(owner, count);
            tracing::debug!(replicaset = owner, need = wanted, creating = count, "too few replicas");
            let created = pods::slow_start(count, || self.create_pod(set, owner, api)).await;
            for _ in created.attempted..count {
                self.expectations.creation_observed(owner);
            }
            created.result
        } else if active.len() > wanted {
            let count = (active.len() - wanted).min(BURST);
            let related = self.related_pods(set);
            let doomed = rank::to_delete(active, &related, count, Timestamp::now());
            tracing::debug!(replicaset = owner, need = wanted, deleting = count, "too many replicas");
            self.expectations
                .expect_deletions(owner, doomed.iter().filter_map(|p| p.metadata.uid.clone()));
            let deletions = doomed.iter().map(|pod| self.delete_pod(set, owner, pod, api));
            let results = futures::future::join_all(deletions).await;
            results.into_iter().find(Result::is_err).unwrap_or(Ok(()))
        } else {
            Ok(())
        }
    }

    /// Active pods of every ReplicaSet of the same owner. Upstream: `getIndirectlyRelatedPods`.
    fn related_pods(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let uids = match controller_of(&set.metadata) {
            Some(owner) => self
                .sets
                .by_index(BY_CONTROLLER, &owner.uid)
                .iter()
                .filter_map(|s| s.metadata.uid.clone())
                .collect::<Vec<_>>(),
            None => set.metadata.uid.iter().cloned().collect(),
        };
        uids.iter()
            .flat_map(|uid| self.pods.by_index(BY_CONTROLLER, uid))
            .filter(|pod| is_pod_active(pod))
            .collect()
    }

    async fn create_pod(&self, set: &ReplicaSet, owner: &str, api: &Api<Pod>) -> anyhow::Result<()> {
        match api.create(&pods::from_template(set)).await {
            Ok(pod) => {
                let name = pod.metadata.name.unwrap_or_default();
                self.recorder
                    .normal(&reference(set), "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            }
            Err(error) => {
                self.expectations.creation_observed(owner);
                if error.is_namespace_terminating() {
                    // Nothing can be created and everything is about to go.
                    return Ok(());
                }
                self.recorder
                    .warning(&reference(set), "FailedCreate", format!("Error creating: {error}"));
                Err(error.into())
            }
        }
    }

    async fn delete_pod(&self, set: &ReplicaSet, owner: &str, pod: &Pod, api: &Api<Pod>) -> anyhow::Result<()> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match api.delete(name, &client::DeleteOptions::default()).await {
            Ok(()) => {
                self.recorder
                    .normal(&reference(set), "SuccessfulDelete", format!("Deleted pod: {name}"));
                Ok(())
            }
            Err(error) => {
                self.expectations
                    .deletion_observed(owner, pod.metadata.uid.as_deref().unwrap_or_default());
                if error.is_not_found() {
                    return Ok(());
                }
                self.recorder
                    .warning(&reference(set), "FailedDelete", format!("Error deleting: {error}"));
                Err(error.into())
            }
        }
    }

    /// Writes the status if it differs; one retry on a fresh read. Upstream: `updateReplicaSetStatus`.
    async fn write_status(
        &self,
        set: &ReplicaSet,
        status: &k8s_openapi::api::apps::v1::ReplicaSetStatus,
        api: &Api<ReplicaSet>,
    ) -> anyhow::Result<()> {
        if set.status.as_ref() == Some(status) {
            return Ok(());
        }
        let mut next = set.clone();
        next.status = Some(status.clone());
        match api.update_status(&next).await {
            Err(error) if error.is_conflict() => {
                let mut fresh = match api.get(next.metadata.name.as_deref().unwrap_or_default()).await {
                    Err(error) if error.is_not_found() => return Ok(()),
                    other => other?,
                };
                fresh.status = Some(status.clone());
                api.update_status(&fresh).await?;
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        Ok(())
    }
}
