//! deployment-controller: one ReplicaSet per template, rolled over without losing availability.
//!
//! Watches Deployments, ReplicaSets and (for Recreate) Pods; key = Deployment. What to do is decided by the pure
//! functions of [`plan`], [`revision`] and [`status`]; [`rollout`] carries it out step by step, each step seen
//! again through the watch. Upstream: pkg/controller/deployment.

mod plan;
mod revision;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use apimachinery::labels::Selector;
use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::{key, key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use rules::owners::controller_of;

use crate::adoption;
use crate::context::{ControllerContext, Work};
use crate::controllers::replicas::{BY_CONTROLLER, controller_uid, orphans};

const NAME: &str = "deployment-controller";

/// Asks for informers; the work reconciles Deployments.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let deployments = ctx.informers.informer::<Deployment>();
    let sets = ctx.informers.informer::<ReplicaSet>();
    let pods = ctx.informers.informer::<Pod>();
    sets.add_index(BY_CONTROLLER, |set: &ReplicaSet| controller_uid(&set.metadata));
    pods.add_index(BY_CONTROLLER, |pod: &Pod| controller_uid(&pod.metadata));
    let queue = WorkQueue::new("deployment");
    let controller = Arc::new(Controller {
        deployments: deployments.reader(),
        sets: sets.reader(),
        pods: pods.reader(),
        client: ctx.client("deployment-controller"),
        recorder: ctx.recorder(NAME),
        queue: queue.clone(),
    });
    let on_deployment = queue.clone();
    deployments.add_handler(move |event| on_deployment.add(key_of(&**event.object())));
    let (on_set, on_pod) = (controller.clone(), controller.clone());
    sets.add_handler(move |event| on_set.set_changed(&event));
    pods.add_handler(move |event| {
        if let Event::Deleted(pod) = &event {
            on_pod.pod_deleted(pod);
        }
    });
    Some(ctx.work(NAME, queue, ctx.config.workers.deployment, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

struct Controller {
    deployments: Reader<Deployment>,
    sets: Reader<ReplicaSet>,
    pods: Reader<Pod>,
    client: Client,
    recorder: Recorder,
    queue: WorkQueue<String>,
}

impl Controller {
    fn set_changed(&self, event: &Event<ReplicaSet>) {
        if let Event::Updated { old, new } = event
            && controller_of(&old.metadata) != controller_of(&new.metadata)
            && let Some(owner) = self.owner_of(&old.metadata)
        {
            self.queue.add(owner);
        }
        let set = event.object();
        match self.owner_of(&set.metadata) {
            Some(owner) => self.queue.add(owner),
            None if controller_of(&set.metadata).is_none() && !matches!(event, Event::Deleted(_)) => {
                self.wake_matching(set);
            }
            None => {}
        }
    }

    /// A Recreate deployment waits for the last pod to go. Upstream: `deletePod`.
    fn pod_deleted(&self, pod: &Pod) {
        let Some(set_ref) = controller_of(&pod.metadata).filter(|r| r.kind == "ReplicaSet") else {
            return;
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let Some(set) = self.sets.get(namespace, &set_ref.name) else {
            return;
        };
        let Some(owner) = self.owner_of(&set.metadata) else {
            return;
        };
        let recreate = self
            .deployments
            .get_by_key(&owner)
            .is_some_and(|d| plan::is_recreate(&d));
        if recreate {
            self.queue.add(owner);
        }
    }

    fn owner_of(&self, meta: &ObjectMeta) -> Option<String> {
        let reference = controller_of(meta).filter(|r| r.kind == "Deployment")?;
        let owner = key(meta.namespace.as_deref().unwrap_or_default(), &reference.name);
        let deployment = self.deployments.get_by_key(&owner)?;
        (deployment.metadata.uid.as_deref() == Some(reference.uid.as_str())).then_some(owner)
    }

    fn wake_matching(&self, set: &ReplicaSet) {
        for deployment in self
            .deployments
            .list_namespace(set.metadata.namespace.as_deref().unwrap_or_default())
        {
            let Some(spec) = &deployment.spec else { continue };
            if Selector::from_label_selector(&spec.selector)
                .is_ok_and(|s| !s.is_everything() && s.matches_optional(set.metadata.labels.as_ref()))
            {
                self.queue.add(key_of(&*deployment));
            }
        }
    }

    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(deployment) = self.deployments.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let Some(spec) = deployment.spec.clone() else {
            return Ok(Outcome::Done);
        };
        let (namespace, name) = split_key(key);
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let sets: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);

        if spec.selector == LabelSelector::default() {
            self.recorder.warning(
                &reference(&*deployment),
                "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.",
            );
            return Ok(Outcome::Done);
        }
        let selector = Selector::from_label_selector(&spec.selector)?;
        let mut candidates = self
            .sets
            .by_index(BY_CONTROLLER, deployment.metadata.uid.as_deref().unwrap_or_default());
        candidates.extend(self.sets.by_index(BY_CONTROLLER, &orphans(namespace)));
        let claim = adoption::claim(&deployment.metadata, &selector, candidates);
        let mut owned = adoption::apply::<Deployment, _, _>(&deployment.metadata, claim, &sets, || async {
            deployments.get(name).await.map(|d| d.metadata)
        })
        .await?;
        // Oldest first, then by name: the order every decision below relies on.
        owned.sort_by(|a, b| {
            a.metadata
                .creation_timestamp
                .cmp(&b.metadata.creation_timestamp)
                .then_with(|| a.metadata.name.cmp(&b.metadata.name))
        });
        let mut run = rollout::Rollout {
            deployment: (*deployment).clone(),
            sets: owned.into_iter().map(|s| (*s).clone()).collect(),
            deployments_api: deployments,
            sets_api: sets,
            recorder: &self.recorder,
            pods: &self.pods,
        };
        run.sync().await
    }
}
