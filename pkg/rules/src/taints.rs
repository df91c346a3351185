//! Taints and tolerations (component-helpers `scheduling/corev1/helpers.go`, core/v1
//! `toleration.go` and `taint.go`).

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// Taint effect: new pods are not placed.
pub const NO_SCHEDULE: &str = "NoSchedule";
/// Taint effect: the scheduler avoids the node when it can.
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";
/// Taint effect: running pods are evicted too.
pub const NO_EXECUTE: &str = "NoExecute";

/// Key put on a node whose Ready condition is False (core/v1 `TaintNodeNotReady`).
pub const NODE_NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Key put on a node whose Ready condition is Unknown (core/v1 `TaintNodeUnreachable`).
pub const NODE_UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Key put on a cordoned node (core/v1 `TaintNodeUnschedulable`).
pub const NODE_UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Key put on a node short of memory (core/v1 `TaintNodeMemoryPressure`).
pub const NODE_MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";
/// Key put on a node short of disk (core/v1 `TaintNodeDiskPressure`).
pub const NODE_DISK_PRESSURE: &str = "node.kubernetes.io/disk-pressure";
/// Key put on a node whose network is not set up (core/v1 `TaintNodeNetworkUnavailable`).
pub const NODE_NETWORK_UNAVAILABLE: &str = "node.kubernetes.io/network-unavailable";
/// Key put on a node short of process ids (core/v1 `TaintNodePIDPressure`).
pub const NODE_PID_PRESSURE: &str = "node.kubernetes.io/pid-pressure";
/// Key put on a node that was shut down for good (core/v1 `TaintNodeOutOfService`).
pub const NODE_OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Whether one toleration tolerates one taint.
///
/// An empty effect matches every effect, an empty key (with `Exists`) every key; the default
/// operator is `Equal`; `Lt`/`Gt` compare integers (gate TaintTolerationComparisonOperators).
/// Source: core/v1 `Toleration.ToleratesTaint`.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or("");
    if !effect.is_empty() && effect != taint.effect {
        return false;
    }
    let key = toleration.key.as_deref().unwrap_or("");
    if !key.is_empty() && key != taint.key {
        return false;
    }
    let wanted = toleration.value.as_deref().unwrap_or("");
    let actual = taint.value.as_deref().unwrap_or("");
    match toleration.operator.as_deref().unwrap_or("") {
        "" | "Equal" => wanted == actual,
        "Exists" => true,
        "Lt" => compare(actual, wanted, |a, w| a < w),
        "Gt" => compare(actual, wanted, |a, w| a > w),
        _ => false,
    }
}

fn compare(actual: &str, wanted: &str, holds: fn(i64, i64) -> bool) -> bool {
    match (actual.parse(), wanted.parse()) {
        (Ok(actual), Ok(wanted)) => holds(actual, wanted),
        _ => false,
    }
}

/// Whether any of `tolerations` tolerates `taint` (`TolerationsTolerateTaint`).
pub fn tolerations_tolerate_taint(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|t| tolerates(t, taint))
}

/// The first taint selected by `filter` that no toleration tolerates (`FindMatchingUntoleratedTaint`).
pub fn find_untolerated<'a>(
    taints: &'a [Taint],
    tolerations: &[Toleration],
    filter: impl Fn(&Taint) -> bool,
) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|t| filter(t))
        .find(|t| !tolerations_tolerate_taint(tolerations, t))
}

/// Whether a taint keeps new pods away: `NoSchedule` or `NoExecute` (`DoNotScheduleTaintsFilterFunc`).
pub fn blocks_scheduling(taint: &Taint) -> bool {
    taint.effect == NO_SCHEDULE || taint.effect == NO_EXECUTE
}

/// How long, in seconds, a pod may stay on a node with these (NoExecute) tolerations: `None` means
/// for ever, otherwise the smallest `tolerationSeconds`, never below zero
/// (tainteviction `getMinTolerationTime`).
pub fn min_toleration_seconds(tolerations: &[&Toleration]) -> Option<i64> {
    if tolerations.is_empty() {
        return Some(0);
    }
    tolerations
        .iter()
        .filter_map(|t| t.toleration_seconds)
        .min()
        .map(|s| s.max(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint {
            key: key.into(),
            value: (!value.is_empty()).then(|| value.into()),
            effect: effect.into(),
            time_added: None,
        }
    }

    fn toleration(key: &str, op: &str, value: &str, effect: &str) -> Toleration {
        let some = |s: &str| (!s.is_empty()).then(|| s.to_string());
        Toleration {
            key: some(key),
            operator: some(op),
            value: some(value),
            effect: some(effect),
            toleration_seconds: None,
        }
    }

    #[test]
    fn toleration_matches_taint_by_key_value_effect_and_operator() {
        let cases = [
            (("foo", "Exists", "", "NoSchedule"), ("foo", "bar", "NoSchedule"), true),
            (("foo", "Exists", "", ""), ("foo", "bar", "NoSchedule"), true),
            (("", "Exists", "", ""), ("any", "x", "NoExecute"), true),
            (
                ("foo", "Equal", "bar", "NoSchedule"),
                ("foo", "bar", "NoSchedule"),
                true,
            ),
            (("foo", "", "bar", "NoSchedule"), ("foo", "bar", "NoSchedule"), true),
            (
                ("foo", "Equal", "baz", "NoSchedule"),
                ("foo", "bar", "NoSchedule"),
                false,
            ),
            (
                ("foo", "Equal", "bar", "NoExecute"),
                ("foo", "bar", "NoSchedule"),
                false,
            ),
            (("foo", "Gt", "5", ""), ("foo", "7", "NoSchedule"), true),
            (("foo", "Lt", "5", ""), ("foo", "7", "NoSchedule"), false),
            (("foo", "Bogus", "bar", ""), ("foo", "bar", "NoSchedule"), false),
        ];
        for (t, n, want) in cases {
            let got = tolerates(&toleration(t.0, t.1, t.2, t.3), &taint(n.0, n.1, n.2));
            assert_eq!(got, want, "{t:?} {n:?}");
        }
    }

    #[test]
    fn untolerated_taint_is_found_only_among_the_filtered() {
        let taints = [taint("a", "", PREFER_NO_SCHEDULE), taint("b", "", NO_SCHEDULE)];
        assert_eq!(find_untolerated(&taints, &[], blocks_scheduling).unwrap().key, "b");
        let all = [toleration("", "Exists", "", "")];
        assert!(find_untolerated(&taints, &all, blocks_scheduling).is_none());
    }

    #[test]
    fn shortest_toleration_wins() {
        let mut a = toleration("a", "Exists", "", NO_EXECUTE);
        let b = toleration("b", "Exists", "", NO_EXECUTE);
        assert_eq!(min_toleration_seconds(&[&a, &b]), None);
        a.toleration_seconds = Some(30);
        assert_eq!(min_toleration_seconds(&[&a, &b]), Some(30));
        a.toleration_seconds = Some(-1);
        assert_eq!(min_toleration_seconds(&[&a, &b]), Some(0));
        assert_eq!(min_toleration_seconds(&[]), Some(0));
    }
}
