//! disruption-controller: how many pods of a PodDisruptionBudget may go right now, in its status; and pods that were
//! told that they would be disrupted and were not.
//!
//! Watches PodDisruptionBudgets and Pods; key = budget, and pods in a queue of their own. Upstream:
//! pkg/controller/disruption/disruption.go.

mod owners;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::labels::{Selector, go_string};
use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::{Event, Reader};
use client::object::{key_of, split_key};
use client::workqueue::WorkQueue;
use client::{Api, Client};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::jiff::Timestamp;
use rules::owners::controller_of;

use crate::context::{ControllerContext, Work};
use owners::Owners;

const NAME: &str = "disruption-controller";
/// Source of this controller's events.
const SOURCE: &str = "controllermanager";

/// Asks for informers; the work reconciles PodDisruptionBudgets and pods with stale conditions.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let budgets = ctx.informers.informer::<PodDisruptionBudget>();
    let pods = ctx.informers.informer::<Pod>();
    let client = ctx.client("disruption-controller");
    let controller = Arc::new(Controller {
        budgets: budgets.reader(),
        pods: pods.reader(),
        owners: Owners::new(ctx, client.clone()),
        client,
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
        let now = Timestamp::now();
        let failure = match self.look(&budget, split_key(key).0, now).await {
            Ok((status, recheck)) => match self.write(&budget, status).await {
                Ok(()) => return Ok(recheck.map_or(Outcome::Done, Outcome::After)),
                Err(error) if error.is_conflict() => return Err(error.into()),
                Err(error) => error.into(),
            },
            Err(error) => error,
        };
        // Whoever evicts must not go by numbers that nobody can vouch for.
        tracing::warn!(
            key,
            error = format!("{failure:#}"),
            "the status of a budget is not known"
        );
        self.write(&budget, plan::failed(&budget, &format!("{failure:#}"), now))
            .await?;
        Ok(Outcome::Done)
    }

    async fn write(&self, budget: &PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> client::Result<()> {
        if budget.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let next = PodDisruptionBudget {
            status: Some(status),
            ..budget.clone()
        };
        let namespace = budget.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), namespace);
        match api.update_status(&next).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The status that should be, and when to look again.
    async fn look(
        &self,
        budget: &PodDisruptionBudget,
        namespace: &str,
        now: Timestamp,
    ) -> anyhow::Result<(PodDisruptionBudgetStatus, Option<Duration>)> {
        let about = reference(budget);
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
            scales = self.scales(&pods, namespace).await.inspect_err(|error| {
                let message = format!("Failed to calculate the number of expected pods: {error:#}");
                self.recorder
                    .warning(&about, "CalculateExpectedPodCountFailed", message);
            })?;
            if pods.iter().any(|pod| controller_of(&pod.metadata).is_none()) {
                let message = format!(
                    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, \
                     the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To \
                     account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
                    label_selector(budget).map_or_else(|| "nil".to_owned(), go_string)
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
    async fn scales(&self, pods: &[Arc<Pod>], namespace: &str) -> anyhow::Result<BTreeMap<String, i32>> {
        let mut scales = BTreeMap::new();
        for pod in pods {
            let Some(owner) = controller_of(&pod.metadata) else {
                continue;
            };
            // A scale that had to be asked for is known by the owner's own UID.
            if scales.contains_key(&owner.uid) {
                continue;
            }
            let Some((uid, replicas)) = self.owners.scale(owner, namespace).await? else {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                anyhow::bail!("found no controllers for pod {name:?}");
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

fn label_selector(budget: &PodDisruptionBudget) -> Option<&LabelSelector> {
    budget.spec.as_ref()?.selector.as_ref()
}

/// No selector matches nothing, an empty one everything.
fn selector(budget: &PodDisruptionBudget) -> anyhow::Result<Selector> {
    Ok(Selector::from_optional(label_selector(budget))?)
}
