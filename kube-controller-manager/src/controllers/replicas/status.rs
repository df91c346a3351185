//! The status of an owner of replicas from its pods. Upstream: pkg/controller/replicaset/replica_set_utils.go
//! `calculateStatus`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use rules::pods::{is_pod_available, is_pod_ready, ready_since};

use super::Replicated;

/// Condition: a pod could not be created or deleted.
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The status that should be; equal to the stored one when nothing changed.
pub(super) fn compute<K: Replicated>(
    set: &K,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<&str>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let plan = set.plan();
    let min_ready = plan.as_ref().map_or(0, |plan| plan.min_ready_seconds);
    let template_labels = plan
        .as_ref()
        .and_then(|plan| plan.template?.metadata.as_ref()?.labels.clone())
        .unwrap_or_default();
    let labelled = |pod: &Pod| {
        template_labels.iter().all(|(k, v)| {
            pod.metadata
                .labels
                .as_ref()
                .and_then(|l| l.get(k))
                .is_some_and(|have| have == v)
        })
    };
    let count = |test: &dyn Fn(&Pod) -> bool| active.iter().filter(|p| test(p)).count();
    let mut conditions = set.status().conditions.unwrap_or_default();
    let known = conditions.iter().any(|c| c.type_ == REPLICA_FAILURE);
    match failure {
        Some(message) if !known => {
            let reason = if active.len() < plan.map_or(0, |plan| plan.replicas) {
                "FailedCreate"
            } else {
                "FailedDelete"
            };
            conditions.push(ReplicaSetCondition {
                type_: REPLICA_FAILURE.to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message.to_owned()),
                last_transition_time: Some(Time(now)),
            });
        }
        None if known => conditions.retain(|c| c.type_ != REPLICA_FAILURE),
        _ => {}
    }
    ReplicaSetStatus {
        replicas: number(active.len()),
        fully_labeled_replicas: positive(count(&labelled)),
        ready_replicas: positive(count(&|p| is_pod_ready(p))),
        available_replicas: positive(count(&|p| is_pod_available(p, min_ready, now))),
        terminating_replicas: Some(number(terminating)),
        observed_generation: set.metadata().generation,
        conditions: (!conditions.is_empty()).then_some(conditions),
    }
}

/// When the next ready pod will have been ready for long enough.
pub(super) fn next_available(min_ready_seconds: i32, active: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    if min_ready_seconds <= 0 {
        return None;
    }
    active
        .iter()
        .filter(|pod| is_pod_ready(pod) && !is_pod_available(pod, min_ready_seconds, now))
        .filter_map(|pod| ready_since(pod))
        .map(|since| {
            let left = i64::from(min_ready_seconds) * 1000 - (now.as_millisecond() - since.0.as_millisecond());
            Duration::from_millis(u64::try_from(left).unwrap_or(0) + 100)
        })
        .min()
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Zero is left out, as upstream's `omitempty` does.
fn positive(count: usize) -> Option<i32> {
    (count > 0).then(|| number(count))
}
