//! disruption-controller: how many pods of a PodDisruptionBudget may go right now, in its status; and pods that were
//! told that they would be disrupted and were not.
//!
//! Watches PodDisruptionBudgets and Pods; key = budget, and pods in a queue of their own. Upstream:
//! pkg/controller/disruption/disruption.go.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::labels::Selector;
use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::{Resource, key, key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client, Object};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use rules::owners::controller_of;

use crate::context::{ControllerContext, Work};

const NAME: &str = "disruption-controller";
/// Source of this controller's events.
const SOURCE: &str = "controllermanager";

/// Asks for informers; the work reconciles PodDisruptionBudgets and pods with stale conditions.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let budgets = ctx.informers.informer::<PodDisruptionBudget>();
    let pods = ctx.informers.informer::<Pod>();
    let controller = Arc::new(Controller {
        budgets: budgets.reader(),
        pods: pods.reader(),
        owners: Owners {
            controllers: ctx.informers.informer::<ReplicationController>().reader(),
            sets: ctx.informers.informer::<ReplicaSet>().reader(),
            deployments: ctx.informers.informer::<Deployment>().reader(),
            stateful_sets: ctx.informers.informer::<StatefulSet>().reader(),
        },
        client: ctx.client("disruption-controller"),
        recorder: ctx.recorder(SOURCE),
        queue: WorkQueue::new("disruption"),
        stale_pods: WorkQueue::new("stale_pod_disruption"),
    });
    let (queue, on_pod) = (controller.queue.clone(), controller.clone());
    budgets.add_handler(move |event| queue.add(key_of(&**event.object())));
    pods.add_handler(move |event| on_pod.pod_changed(&event));
    let (budgets, stale) = (controller.clone(), controller.clone());
    let budgets = ctx.work(NAME, controller.queue.clone(), 1, move |key| {
        let controller = budgets.clone();
        async move { controller.reconcile(&key).await }
    });
    let stale = ctx.work(
        "disruption-controller-stale",
        controller.stale_pods.clone(),
        1,
        move |key| {
            let controller = stale.clone();
            async move { controller.reset_stale(&key).await }
        },
    );
    Some(Box::pin(async move {
        tokio::join!(budgets, stale);
    }))
}

/// What may control pods and has a scale.
struct Owners {
    controllers: Reader<ReplicationController>,
    sets: Reader<ReplicaSet>,
    deployments: Reader<Deployment>,
    stateful_sets: Reader<StatefulSet>,
}

/// The UID of a controller and the pods it is told to have.
type Scale = (String, i32);

impl Owners {
    /// The scale of what controls a pod: its Deployment, if the ReplicaSet has one. Upstream: `finders`. Kinds that
    /// scale and are none of ours cannot exist while there are no custom resources.
    fn scale(&self, reference: &OwnerReference, namespace: &str) -> Result<Option<Scale>, String> {
        let (group, version) = reference
            .api_version
            .split_once('/')
            .unwrap_or(("", reference.api_version.as_str()));
        let found = match (group, reference.kind.as_str()) {
            ("", "ReplicationController") => self
                .find(&self.controllers, reference, namespace)
                .map(|owner| owner.spec.as_ref().and_then(|spec| spec.replicas)),
            ("apps" | "extensions", "ReplicaSet") => {
                let Some(set) = self.find(&self.sets, reference, namespace) else {
                    return Ok(None);
                };
                match controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment") {
                    Some(owner) => {
                        let deployment = self.find(&self.deployments, owner, namespace);
                        let replicas = |d: Arc<Deployment>| d.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
                        return Ok(deployment.map(|d| (owner.uid.clone(), replicas(d))));
                    }
                    None => Some(set.spec.as_ref().and_then(|spec| spec.replicas)),
                }
            }
            ("apps", "StatefulSet") => self
                .find(&self.stateful_sets, reference, namespace)
                .map(|owner| owner.spec.as_ref().and_then(|spec| spec.replicas)),
            ("apps", "DaemonSet") => return Err(no_scale(&Resource::of::<DaemonSet>())),
            ("batch", "Job") => return Err(no_scale(&Resource::of::<Job>())),
            (_, kind) => {
                let version = if group.is_empty() {
                    version.to_owned()
                } else {
                    format!("{group}/{version}")
                };
                return Err(format!("no matches for kind {kind:?} in version {version:?}"));
            }
        };
        Ok(found.map(|replicas| (reference.uid.clone(), replicas.unwrap_or(1))))
    }

    fn find<K: Object>(&self, reader: &Reader<K>, reference: &OwnerReference, namespace: &str) -> Option<Arc<K>> {
        let owner = reader.get_by_key(&key(namespace, &reference.name))?;
        (owner.metadata().uid.as_deref() == Some(reference.uid.as_str())).then_some(owner)
    }
}

fn no_scale(resource: &Resource) -> String {
    format!(
        "{}.{} does not implement the scale subresource",
        resource.plural, resource.group
    )
}

struct Controller {
    budgets: Reader<PodDisruptionBudget>,
    pods: Reader<Pod>,
    owners: Owners,
    client: Client,
    recorder: Recorder,
    queue: WorkQueue<String>,
    stale_pods: WorkQueue<String>,
}

impl Controller {
    fn pod_changed(&self, event: &Event<Pod>) {
        let pod = event.object();
        let matching = self.budgets_of(pod);
        if let [first, _, ..] = matching.as_slice() {
            let meta = &pod.metadata;
            let message = format!(
                "Pod {:?}/{:?} matches multiple PodDisruptionBudgets.  Chose {:?} arbitrarily.",
                meta.namespace.as_deref().unwrap_or_default(),
                meta.name.as_deref().unwrap_or_default(),
                first.metadata.name.as_deref().unwrap_or_default()
            );
            self.recorder
                .warning(&reference(&**pod), "MultiplePodDisruptionBudgets", message);
        }
        for budget in matching {
            self.queue.add(key_of(&*budget));
        }
        if let Event::Updated { old, new } = event
            && old.metadata.labels != new.metadata.labels
        {
            for budget in self.budgets_of(old) {
                self.queue.add(key_of(&*budget));
            }
        }
        if !matches!(event, Event::Deleted(_))
            && let Some(left) = plan::stale_in(pod, Timestamp::now())
        {
            self.stale_pods.add_after(key_of(&**pod), left);
        }
    }

    fn budgets_of(&self, pod: &Pod) -> Vec<Arc<PodDisruptionBudget>> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut budgets = self.budgets.list_namespace(namespace);
        budgets.retain(|budget| selector(budget).is_ok_and(|s| s.matches_optional(pod.metadata.labels.as_ref())));
        budgets
    }

    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(budget) = self.budgets.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let (namespace, _) = split_key(key);
        let now = Timestamp::now();
        let (status, recheck) = match self.look(&budget, namespace, now) {
            Ok((status, recheck)) => (status, recheck),
            // Whoever evicts must not go by numbers that nobody can vouch for.
            Err(message) => (plan::failed(&budget, &message, now), None),
        };
        if budget.status.as_ref() != Some(&status) {
            let next = PodDisruptionBudget {
                status: Some(status),
                ..(*budget).clone()
            };
            let api: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), namespace);
            match api.update_status(&next).await {
                Err(error) if error.is_not_found() => {}
                other => {
                    other?;
                }
            }
        }
        Ok(recheck.map_or(Outcome::Done, Outcome::After))
    }

    /// The status that should be, and when to look again.
    fn look(
        &self,
        budget: &Arc<PodDisruptionBudget>,
        namespace: &str,
        now: Timestamp,
    ) -> Result<(PodDisruptionBudgetStatus, Option<std::time::Duration>), String> {
        let about = reference(&**budget);
        let selector = selector(budget).inspect_err(|error| {
            self.recorder
                .warning(&about, "NoPods", format!("Failed to get pods: {error}"));
        })?;
        let mut pods = self.pods.list_namespace(namespace);
        pods.retain(|pod| selector.matches_optional(pod.metadata.labels.as_ref()));
        if pods.is_empty() {
            self.recorder.normal(&about, "NoPods", "No matching pods found");
        }
        let mut scales = BTreeMap::new();
        if plan::needs_scales(budget) {
            scales = self.scales(&pods, namespace).inspect_err(|error| {
                let message = format!("Failed to calculate the number of expected pods: {error}");
                self.recorder
                    .warning(&about, "CalculateExpectedPodCountFailed", message);
            })?;
            if pods.iter().any(|pod| controller_of(&pod.metadata).is_none()) {
                let message = format!(
                    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a \
                     result, the status of the PDB cannot be calculated correctly, which may result in undefined \
                     behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an \
                     integer value."
                );
                self.recorder.warning(&about, "UnmanagedPods", message);
            }
        }
        let looked = plan::plan(budget, &pods, &scales, now);
        for pod in looked.not_deleted {
            let message = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
            self.recorder.warning(&reference(&*pod), "NotDeleted", message);
        }
        Ok((looked.status, looked.recheck))
    }

    /// The scales of everything that controls one of the pods. Upstream: `getExpectedScale`.
    fn scales(&self, pods: &[Arc<Pod>], namespace: &str) -> Result<BTreeMap<String, i32>, String> {
        let mut scales = BTreeMap::new();
        for pod in pods {
            let Some(owner) = controller_of(&pod.metadata) else {
                continue;
            };
            let Some((uid, replicas)) = self.owners.scale(owner, namespace)? else {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                return Err(format!("found no controllers for pod {name:?}"));
            };
            scales.insert(uid, replicas);
        }
        Ok(scales)
    }

    /// Upstream: `syncStalePodDisruption`.
    async fn reset_stale(&self, key: &str) -> anyhow::Result<Outcome> {
        let now = Timestamp::now();
        let Some(pod) = self.pods.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        match plan::stale_in(&pod, now) {
            None => return Ok(Outcome::Done),
            Some(left) if !left.is_zero() => return Ok(Outcome::After(left)),
            Some(_) => {}
        }
        let api: Api<Pod> = Api::namespaced(self.client.clone(), split_key(key).0);
        match api.update_status(&plan::not_disrupted(&pod, now)).await {
            Err(error) if error.is_not_found() => {}
            other => {
                other?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// No selector matches nothing, an empty one everything.
fn selector(budget: &PodDisruptionBudget) -> Result<Selector, String> {
    match budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()) {
        None => Ok(Selector::nothing()),
        Some(selector) => Selector::from_label_selector(selector).map_err(|error| error.to_string()),
    }
}
