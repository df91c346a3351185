//! As many pods as their owner says: what ReplicaSets and ReplicationControllers have in common.
//!
//! Watches the owners and Pods; key = owner. Upstream: pkg/controller/replicaset/replica_set.go, which
//! pkg/controller/replication wraps the same way.

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
use client::{Api, Client, Object};
use k8s_openapi::api::apps::v1::ReplicaSetStatus;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use rules::owners::controller_of;
use rules::pods::{is_pod_active, is_pod_ready, is_pod_terminating};
use serde::Serialize;

use crate::adoption;
use crate::context::{ControllerContext, Work};
use crate::expectations::Expectations;

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

/// A kind whose objects ask for a number of pods of one template.
pub(crate) trait Replicated: Object + k8s_openapi::Resource<Scope: 'static> + Serialize {
    /// What the object asks for; `None` for one without a spec, which is left alone.
    fn plan(&self) -> Option<Plan<'_>>;
    /// The stored status.
    fn status(&self) -> ReplicaSetStatus;
    /// A copy with another status; what the kind's status has no field for is dropped.
    fn with_status(&self, status: ReplicaSetStatus) -> Self;
}

/// The number of pods, and which.
pub(crate) struct Plan<'a> {
    /// `spec.replicas`, never negative.
    pub(crate) replicas: usize,
    /// `spec.minReadySeconds`.
    pub(crate) min_ready_seconds: i32,
    /// `spec.template`.
    pub(crate) template: Option<&'a PodTemplateSpec>,
    /// `spec.selector`, or why it is none.
    pub(crate) selector: anyhow::Result<Selector>,
}

/// `spec.replicas` as a number of pods.
pub(crate) fn replicas(number: Option<i32>) -> usize {
    usize::try_from(number.unwrap_or(1)).unwrap_or(0)
}

/// The names under which a controller of replicas is known.
pub(crate) struct Names {
    /// The controller.
    pub(crate) controller: &'static str,
    /// Its service account.
    pub(crate) account: &'static str,
    /// Its work queue.
    pub(crate) queue: &'static str,
    /// The source of its events.
    pub(crate) source: &'static str,
}

/// Asks for informers; the work reconciles the owners of one kind.
pub(crate) fn start<K: Replicated>(ctx: &ControllerContext, names: &Names, workers: usize) -> Work {
    let sets = ctx.informers.informer::<K>();
    let pods = ctx.informers.informer::<Pod>();
    pods.add_index(BY_CONTROLLER, |pod: &Pod| controller_uid(&pod.metadata));
    sets.add_index(BY_CONTROLLER, |set: &K| controller_uid(set.metadata()));
    let queue = WorkQueue::new(names.queue);
    let controller = Arc::new(Controller {
        sets: sets.reader(),
        pods: pods.reader(),
        client: ctx.client(names.account),
        recorder: ctx.recorder(names.source),
        expectations: Expectations::default(),
        queue: queue.clone(),
    });
    let (on_set, on_pod) = (controller.clone(), controller.clone());
    sets.add_handler(move |event| on_set.set_changed(&event));
    pods.add_handler(move |event| on_pod.pod_changed(&event));
    ctx.work(names.controller, queue, workers, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    })
}

struct Controller<K> {
    sets: Reader<K>,
    pods: Reader<Pod>,
    client: Client,
    recorder: Recorder,
    expectations: Expectations,
    queue: WorkQueue<String>,
}

impl<K: Replicated> Controller<K> {
    fn set_changed(&self, event: &Event<K>) {
        let set = event.object();
        match event {
            Event::Deleted(_) => self.expectations.forget(&key_of(&**set)),
            Event::Updated { old, new } if old.metadata().uid != new.metadata().uid => {
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
                .and_then(|set| Some(set.plan()?.min_ready_seconds))
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

    /// Key of the owner that is the controller of an object, if it is one we know.
    fn owner_of(&self, meta: &ObjectMeta) -> Option<String> {
        let reference = controller_of(meta).filter(|r| r.kind == K::KIND)?;
        let owner = key(meta.namespace.as_deref().unwrap_or_default(), &reference.name);
        let set = self.sets.get_by_key(&owner)?;
        (set.metadata().uid.as_deref() == Some(reference.uid.as_str())).then_some(owner)
    }

    /// Wakes every owner that might adopt an orphan.
    fn wake_matching(&self, pod: &Pod) {
        for set in self
            .sets
            .list_namespace(pod.metadata.namespace.as_deref().unwrap_or_default())
        {
            let Some(plan) = set.plan() else { continue };
            if plan
                .selector
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
        let Some(plan) = set.plan() else {
            return Ok(Outcome::Done);
        };
        let (namespace, _) = split_key(owner);
        let may_act = self.expectations.satisfied(owner);
        let selector = plan.selector?;
        let meta = set.metadata();

        let mut candidates = self
            .pods
            .by_index(BY_CONTROLLER, meta.uid.as_deref().unwrap_or_default());
        candidates.extend(self.pods.by_index(BY_CONTROLLER, &orphans(namespace)));
        let terminating = candidates
            .iter()
            .filter(|pod| controller_of(&pod.metadata).is_some() && is_pod_terminating(pod))
            .count();
        candidates.retain(|pod| is_pod_active(pod));
        let claim = adoption::claim(meta, &selector, candidates);
        let pods_api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let sets_api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let name = meta.name.clone().unwrap_or_default();
        let mut active = adoption::apply::<K, _, _>(meta, claim, &pods_api, || async {
            sets_api.get(&name).await.map(|set| set.metadata().clone())
        })
        .await?;
        active.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));

        let managed = if may_act && meta.deletion_timestamp.is_none() {
            self.manage(&*set, owner, &active, &pods_api).await
        } else {
            Ok(())
        };
        let failure = managed.as_ref().err().map(|error| format!("{error:#}"));
        let now = Timestamp::now();
        let status = status::compute(&*set, &active, terminating, failure.as_deref(), now);
        self.write_status(&*set, status, &sets_api).await?;
        managed?;
        // Somebody must look again when the next pod has been ready for long enough.
        Ok(status::next_available(plan.min_ready_seconds, &active, now).map_or(Outcome::Done, Outcome::After))
    }

    /// Creates or deletes the difference.
    async fn manage(&self, set: &K, owner: &str, active: &[Arc<Pod>], api: &Api<Pod>) -> anyhow::Result<()> {
        let Some(Plan {
            replicas: wanted,
            template,
            ..
        }) = set.plan()
        else {
            return Ok(());
        };
        if active.len() < wanted {
            let count = (wanted - active.len()).min(BURST);
            self.expectations.expect_creations(owner, count);
            tracing::debug!(
                kind = K::KIND,
                owner,
                need = wanted,
                creating = count,
                "too few replicas"
            );
            let pod = pods::from_template::<K>(set.metadata(), template);
            let created = pods::slow_start(count, || self.create_pod(set, owner, &pod, api)).await;
            for _ in created.attempted..count {
                self.expectations.creation_observed(owner);
            }
            created.result
        } else if active.len() > wanted {
            let count = (active.len() - wanted).min(BURST);
            let related = self.related_pods(set);
            let doomed = rank::to_delete(active, &related, count, Timestamp::now());
            tracing::debug!(
                kind = K::KIND,
                owner,
                need = wanted,
                deleting = count,
                "too many replicas"
            );
            self.expectations
                .expect_deletions(owner, doomed.iter().filter_map(|p| p.metadata.uid.clone()));
            let deletions = doomed.iter().map(|pod| self.delete_pod(set, owner, pod, api));
            let results = futures::future::join_all(deletions).await;
            results.into_iter().find(Result::is_err).unwrap_or(Ok(()))
        } else {
            Ok(())
        }
    }

    /// Active pods of every object of this kind that has the same owner. Upstream: `getIndirectlyRelatedPods`.
    fn related_pods(&self, set: &K) -> Vec<Arc<Pod>> {
        let uids = match controller_of(set.metadata()) {
            Some(owner) => self
                .sets
                .by_index(BY_CONTROLLER, &owner.uid)
                .iter()
                .filter_map(|s| s.metadata().uid.clone())
                .collect::<Vec<_>>(),
            None => set.metadata().uid.iter().cloned().collect(),
        };
        uids.iter()
            .flat_map(|uid| self.pods.by_index(BY_CONTROLLER, uid))
            .filter(|pod| is_pod_active(pod))
            .collect()
    }

    async fn create_pod(&self, set: &K, owner: &str, pod: &Pod, api: &Api<Pod>) -> anyhow::Result<()> {
        match api.create(pod).await {
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

    async fn delete_pod(&self, set: &K, owner: &str, pod: &Pod, api: &Api<Pod>) -> anyhow::Result<()> {
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
    async fn write_status(&self, set: &K, status: ReplicaSetStatus, api: &Api<K>) -> anyhow::Result<()> {
        let next = set.with_status(status.clone());
        if next.status() == set.status() {
            return Ok(());
        }
        match api.update_status(&next).await {
            Err(error) if error.is_conflict() => {
                let fresh = match api.get(next.metadata().name.as_deref().unwrap_or_default()).await {
                    Err(error) if error.is_not_found() => return Ok(()),
                    other => other?,
                };
                api.update_status(&fresh.with_status(status)).await?;
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        Ok(())
    }
}
