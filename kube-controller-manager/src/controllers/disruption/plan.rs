//! The status of a PodDisruptionBudget from its pods. Pure.
//!
//! Upstream: pkg/controller/disruption/disruption.go `getExpectedPodCount`, `buildDisruptedPodMap`, `countHealthyPods`,
//! `updatePdbStatus`; component-helpers/apps/poddisruptionbudget.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use rules::pods::{DISRUPTION_TARGET, is_pod_ready, is_pod_terminal};

use crate::percent::scaled;

/// How long a pod whose eviction was allowed counts as gone before it is. Upstream: `DeletionTimeout`.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a pod may say that it will be disrupted without going. Upstream: `stalePodDisruptionTimeout`.
const STALE_TIMEOUT: Duration = Duration::from_secs(120);
const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// What looking at a budget comes to.
pub(super) struct Looked {
    pub(super) status: PodDisruptionBudgetStatus,
    /// When the first of the pods that should go is overdue.
    pub(super) recheck: Option<Duration>,
    /// Pods that should have gone and did not.
    pub(super) not_deleted: Vec<Arc<Pod>>,
}

/// The budget is a share of what the pods' controllers are told to have, so that their scales count.
pub(super) fn needs_scales(budget: &PodDisruptionBudget) -> bool {
    let Some(spec) = &budget.spec else { return false };
    spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
}

/// `scales` are those of the pods' controllers, by UID.
pub(super) fn plan(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scales: &BTreeMap<String, i32>,
    now: Timestamp,
) -> Looked {
    let (expected, desired) = expected_and_desired(budget, pods, scales);
    let disrupted = disrupted(budget, pods, now);
    let healthy = pods.iter().filter(|pod| {
        let going = pod.metadata.deletion_timestamp.is_some() || disrupted.still.contains_key(name(pod));
        !going && is_pod_ready(pod)
    });
    let healthy = number(healthy.count());
    // A budget that no pod matches is at its limit when the first ones come.
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let old = budget.status.clone().unwrap_or_default();
    let condition = Condition {
        type_: DISRUPTION_ALLOWED.to_owned(),
        status: if allowed > 0 { "True" } else { "False" }.to_owned(),
        reason: if allowed > 0 {
            "SufficientPods"
        } else {
            "InsufficientPods"
        }
        .to_owned(),
        message: String::new(),
        observed_generation: budget.metadata.generation,
        last_transition_time: Time(now),
    };
    let status = PodDisruptionBudgetStatus {
        conditions: Some(with_condition(old.conditions, condition)),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        disrupted_pods: (!disrupted.still.is_empty()).then_some(disrupted.still),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: budget.metadata.generation,
    };
    Looked {
        status,
        recheck: disrupted.recheck,
        not_deleted: disrupted.overdue,
    }
}

fn expected_and_desired(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], scales: &BTreeMap<String, i32>) -> (i32, i32) {
    let Some(spec) = &budget.spec else { return (0, 0) };
    let scale = scales.values().fold(0_i32, |sum, scale| sum.saturating_add(*scale));
    if let Some(max) = &spec.max_unavailable {
        return (scale, (scale - scaled(Some(max), scale, true)).max(0));
    }
    match &spec.min_available {
        Some(IntOrString::Int(count)) => (number(pods.len()), *count),
        Some(percent) => (scale, scaled(Some(percent), scale, true)),
        None => (0, 0),
    }
}

#[derive(Default)]
struct Disrupted {
    /// Pods whose eviction was allowed and that are still to go, and when it was.
    still: BTreeMap<String, Time>,
    recheck: Option<Duration>,
    overdue: Vec<Arc<Pod>>,
}

fn disrupted(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], now: Timestamp) -> Disrupted {
    let mut disrupted = Disrupted::default();
    let listed = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let Some(listed) = listed else { return disrupted };
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let Some(since) = listed.get(name(pod)) else { continue };
        match left(DELETION_TIMEOUT, since, now) {
            None => disrupted.overdue.push(pod.clone()),
            Some(left) => {
                disrupted.recheck = Some(disrupted.recheck.map_or(left, |other| other.min(left)));
                disrupted.still.insert(name(pod).to_owned(), since.clone());
            }
        }
    }
    disrupted
}

/// The status when the numbers cannot be had: nothing is allowed to go. Upstream: `failSafe`.
pub(super) fn failed(budget: &PodDisruptionBudget, message: &str, now: Timestamp) -> PodDisruptionBudgetStatus {
    let old = budget.status.clone().unwrap_or_default();
    let condition = Condition {
        type_: DISRUPTION_ALLOWED.to_owned(),
        status: "False".to_owned(),
        reason: "SyncFailed".to_owned(),
        message: message.to_owned(),
        observed_generation: old.observed_generation,
        last_transition_time: Time(now),
    };
    PodDisruptionBudgetStatus {
        disruptions_allowed: Some(0),
        conditions: Some(with_condition(old.conditions.clone(), condition)),
        ..old
    }
}

/// Upstream: apimachinery `meta.SetStatusCondition`.
fn with_condition(conditions: Option<Vec<Condition>>, mut next: Condition) -> Vec<Condition> {
    let mut conditions = conditions.unwrap_or_default();
    match conditions.iter_mut().find(|old| old.type_ == next.type_) {
        Some(old) => {
            if old.status == next.status {
                next.last_transition_time = old.last_transition_time.clone();
            }
            *old = next;
        }
        None => conditions.push(next),
    }
    conditions
}

/// When the pod's word that it will be disrupted is no longer to be believed; `None` when it says no such thing.
/// Upstream: `nonTerminatingPodHasStaleDisruptionCondition`.
pub(super) fn stale_in(pod: &Pod, now: Timestamp) -> Option<Duration> {
    if pod.metadata.deletion_timestamp.is_some() || is_pod_terminal(pod) {
        return None;
    }
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|c| c.type_ == DISRUPTION_TARGET)?;
    // What the kubelet says may take as long as it likes.
    if condition.status != "True" || condition.reason.as_deref() == Some("TerminationByKubelet") {
        return None;
    }
    let since = condition.last_transition_time.as_ref()?;
    Some(left(STALE_TIMEOUT, since, now).unwrap_or_default())
}

/// The pod with its DisruptionTarget condition set to False.
pub(super) fn not_disrupted(pod: &Pod, now: Timestamp) -> Pod {
    let mut pod = pod.clone();
    let generation = pod.metadata.generation;
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    for condition in conditions.iter_mut().filter(|c| c.type_ == DISRUPTION_TARGET) {
        *condition = PodCondition {
            type_: DISRUPTION_TARGET.to_owned(),
            status: "False".to_owned(),
            observed_generation: generation,
            last_transition_time: Some(Time(now)),
            ..PodCondition::default()
        };
    }
    pod
}

/// What is left of a time that began at `since`; `None` when it is over.
fn left(timeout: Duration, since: &Time, now: Timestamp) -> Option<Duration> {
    let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    let left = timeout - (now.as_millisecond() - since.0.as_millisecond());
    u64::try_from(left).ok().map(Duration::from_millis)
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
