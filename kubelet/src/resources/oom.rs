//! Scores by which the kernel chooses whom to kill when memory runs out
//! (upstream: pkg/kubelet/qos/policy.go).

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod};

use crate::pods::PodExt;

use super::limits::of_container;

const GUARANTEED: i64 = -997;
const BEST_EFFORT: i64 = 1000;
/// Priority from which on a pod is critical to the node (upstream: scheduling.SystemCriticalPriority).
const CRITICAL_PRIORITY: i32 = 2_000_000_000;
/// Capability number of CAP_SYS_RESOURCE.
const CAP_SYS_RESOURCE: u32 = 24;

/// The score of a container on a node with `capacity` bytes of memory, at least `floor`.
pub(crate) fn score(pod: &Pod, container: &Container, capacity: i64, floor: i64) -> i64 {
    wanted(pod, container, capacity).max(floor)
}

fn wanted(pod: &Pod, container: &Container, capacity: i64) -> i64 {
    if rules::pods::priority(pod) >= CRITICAL_PRIORITY || pod.is_static() {
        return GUARANTEED;
    }
    match rules::qos::compute(pod.spec()) {
        rules::qos::GUARANTEED => GUARANTEED,
        rules::qos::BEST_EFFORT => BEST_EFFORT,
        _ => {
            let request = of_container(container, false, "memory").map_or(0, |q: Quantity| q.value());
            let part = i128::from(request) * 1000 / i128::from(capacity.max(1));
            let score = 1000 - i64::try_from(part).unwrap_or(1000);
            score.clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}

/// The lowest score this process may give: without CAP_SYS_RESOURCE the kernel refuses any below
/// the process's own.
pub(crate) fn floor() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or_default();
    if effective & (1 << CAP_SYS_RESOURCE) != 0 {
        return -1000;
    }
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    own.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn score_follows_the_class_and_the_share_of_memory() {
        let of = |resources: serde_json::Value| {
            let pod: Pod =
                serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "resources": resources}]}}))
                    .unwrap();
            score(&pod, &pod.spec().containers[0], 1000 << 20, -1000)
        };
        assert_eq!(of(json!({})), 1000);
        assert_eq!(of(json!({"requests": {"memory": "250Mi"}})), 750);
        assert_eq!(of(json!({"requests": {"cpu": "1"}})), 999);
        let both = json!({"cpu": "1", "memory": "1Mi"});
        assert_eq!(of(json!({"limits": both, "requests": both})), -997);
    }
}
