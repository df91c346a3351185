//! Which pods go first when there are too many: those whose loss hurts least.
//!
//! Upstream: pkg/controller/controller_utils.go `ActivePodsWithRanks.Less`.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use rules::pods::{is_pod_ready, max_container_restarts, phase, ready_since};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods to delete. `related` are the pods of all the kind's objects with the same owner: a pod that has many of
/// them on its node goes first.
pub(super) fn to_delete(pods: &[Arc<Pod>], related: &[Arc<Pod>], count: usize, now: Timestamp) -> Vec<Arc<Pod>> {
    let mut doomed = pods.to_vec();
    if count < pods.len() {
        let mut on_node: HashMap<&str, usize> = HashMap::new();
        for pod in related {
            *on_node.entry(node(pod)).or_default() += 1;
        }
        doomed.sort_by(|a, b| compare(a, b, &on_node, now));
    }
    doomed.truncate(count);
    doomed
}

/// `Less`: the pod to delete first.
fn compare(a: &Pod, b: &Pod, on_node: &HashMap<&str, usize>, now: Timestamp) -> Ordering {
    let crowd = |pod: &Pod| on_node.get(node(pod)).copied().unwrap_or(0);
    let restarts = |pod: &Pod| max_container_restarts(pod);
    // 1. without a node 2. pending, unknown, running 3. not ready 4. cheap 5. crowded
    (!node(a).is_empty())
        .cmp(&!node(b).is_empty())
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| is_pod_ready(a).cmp(&is_pod_ready(b)))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| crowd(b).cmp(&crowd(a)))
        // 6. ready for a shorter time
        .then_with(|| {
            let since = |pod: &Pod| is_pod_ready(pod).then(|| ready_since(pod).map(|t| t.0)).flatten();
            younger_first(since(a), since(b), a, b, now)
        })
        // 7. more restarts 8. created later
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| {
            let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
            younger_first(created(a), created(b), a, b, now)
        })
}

fn node(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|s| s.node_name.as_deref())
        .unwrap_or_default()
}

fn phase_rank(pod: &Pod) -> u8 {
    match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

fn cost(pod: &Pod) -> i32 {
    let text = pod.metadata.annotations.as_ref().and_then(|a| a.get(DELETION_COST));
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// Times of the same magnitude are equal, and then the UID decides, so that the choice is spread.
/// Upstream: `logarithmicRankDiff` (LogarithmicScaleDown).
fn younger_first(a: Option<Timestamp>, b: Option<Timestamp>, pod_a: &Pod, pod_b: &Pod, now: Timestamp) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a != b => magnitude(a, now)
            .cmp(&magnitude(b, now))
            .then_with(|| pod_a.metadata.uid.cmp(&pod_b.metadata.uid)),
        // An unknown time counts as the latest.
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

fn magnitude(time: Timestamp, now: Timestamp) -> i64 {
    let nanos = now.as_nanosecond() - time.as_nanosecond();
    if nanos <= 0 {
        -1
    } else {
        (nanos as f64).log2().round() as i64
    }
}
