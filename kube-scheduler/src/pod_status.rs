//! What the scheduler writes into a pod's status, as patches.

use client::Patch;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use serde_json::{Value, json};

/// `PodScheduled=False` with why, and the node where room is being made; none when the status says
/// so already (upstream `updatePod`).
pub(crate) fn unscheduled(pod: &Pod, reason: &str, message: &str, nominated: Option<&str>) -> Option<Patch> {
    let had = rules::pods::condition(pod, "PodScheduled");
    let same = had.is_some_and(|had| {
        had.status == "False" && had.reason.as_deref() == Some(reason) && had.message.as_deref() == Some(message)
    });
    let node_before = pod
        .status
        .as_ref()
        .and_then(|status| status.nominated_node_name.as_deref())
        .unwrap_or_default();
    let node_changes = nominated.is_some_and(|node| node != node_before);
    if same && !node_changes {
        return None;
    }
    let mut status = json!({"conditions": [condition(pod, had, "PodScheduled", "False", reason, message)]});
    if let Some(node) = nominated.filter(|_| node_changes) {
        status["nominatedNodeName"] = node.into();
    }
    Some(Patch::Strategic(json!({"status": status})))
}

/// `DisruptionTarget=True` on a pod that must make room (upstream `preemption.Executor`).
pub(crate) fn disrupted(pod: &Pod, message: &str) -> Patch {
    let had = rules::pods::condition(pod, "DisruptionTarget");
    let condition = condition(pod, had, "DisruptionTarget", "True", "PreemptionByScheduler", message);
    Patch::Strategic(json!({"status": {"conditions": [condition]}}))
}

fn condition(pod: &Pod, had: Option<&PodCondition>, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let since = had
        .filter(|had| had.status == status)
        .and_then(|had| had.last_transition_time.as_ref())
        .map_or_else(Timestamp::now, |time| time.0);
    let since = Timestamp::from_second(since.as_second()).expect("the second of a timestamp is a timestamp");
    let mut condition = json!({
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": null,
        "lastTransitionTime": since.to_string(),
    });
    if let Some(generation) = pod.metadata.generation {
        condition["observedGeneration"] = generation.into();
    }
    condition
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{disrupted, unscheduled};
    use crate::testing::pod;

    #[test]
    fn the_condition_is_written_once() {
        let mut pod = pod("p").build();
        let patch = unscheduled(&pod, "Unschedulable", "why", None).unwrap();
        assert_eq!(patch.body()["status"]["conditions"][0]["reason"], "Unschedulable");
        assert!(patch.body()["status"].get("nominatedNodeName").is_none());
        let mut status = patch.body()["status"].clone();
        status["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z".into();
        pod.status = Some(serde_json::from_value(status).unwrap());
        assert!(unscheduled(&pod, "Unschedulable", "why", None).is_none());
        let changed = unscheduled(&pod, "Unschedulable", "other", Some("n1")).unwrap();
        assert_eq!(
            changed.body()["status"]["conditions"][0]["lastTransitionTime"],
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(changed.body()["status"]["nominatedNodeName"], "n1");
    }

    #[test]
    fn a_victim_is_marked() {
        let patch = disrupted(&pod("p").build(), "m");
        assert_eq!(patch.body()["status"]["conditions"][0]["type"], "DisruptionTarget");
    }
}
