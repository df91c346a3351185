//! Conditions of a pod that the kubelet owns. Pure (upstream: pkg/kubelet/status/generate.go).

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::generate::terminated;
use crate::pods::PodExt;
use crate::runtime::status as runtime;

/// The types the kubelet sets; all others belong to someone else and are kept.
pub(crate) const OWNED: &[&str] = &[
    "PodScheduled",
    "Ready",
    "Initialized",
    "ContainersReady",
    "PodReadyToStartContainers",
    "PodResizePending",
    "PodResizeInProgress",
];

/// All conditions of the pod: foreign ones as they are, then ours.
pub(crate) fn of(
    pod: &Pod,
    status: &PodStatus,
    old: &PodStatus,
    runtime: &runtime::PodStatus,
    now: Timestamp,
) -> Vec<PodCondition> {
    let foreign = pod
        .status
        .as_ref()
        .and_then(|s| s.conditions.as_ref())
        .into_iter()
        .flatten();
    let mut conditions: Vec<PodCondition> = foreign
        .filter(|c| !OWNED.contains(&c.type_.as_str()))
        .cloned()
        .collect();
    if let Some(ours) = rules::pods::status_condition(old, "DisruptionTarget") {
        conditions.retain(|c| c.type_ != "DisruptionTarget");
        conditions.push(ours.clone());
    }
    let phase = status.phase.as_deref().unwrap_or_default();
    let containers = containers_ready(pod, status, phase);
    let verdicts = [
        ("PodReadyToStartContainers", has_network(pod, runtime)),
        ("Initialized", initialized(pod, status, phase)),
        ("Ready", ready(pod, &containers, &conditions)),
        ("ContainersReady", containers),
        ("PodScheduled", Verdict::met()),
    ];
    for (kind, verdict) in verdicts {
        conditions.push(verdict.into_condition(kind, pod, old, now));
    }
    conditions
}

/// Whether a condition holds, and if not, why.
#[derive(Clone)]
struct Verdict {
    met: bool,
    reason: Option<String>,
    message: Option<String>,
}

impl Verdict {
    fn met() -> Self {
        Self {
            met: true,
            reason: None,
            message: None,
        }
    }

    fn not(reason: &str, message: String) -> Self {
        Self {
            met: false,
            reason: Some(reason.to_owned()),
            message: Some(message).filter(|m| !m.is_empty()),
        }
    }

    fn into_condition(self, kind: &str, pod: &Pod, old: &PodStatus, now: Timestamp) -> PodCondition {
        let status = if self.met { "True" } else { "False" }.to_owned();
        let before = rules::pods::status_condition(old, kind);
        let same = before.filter(|b| b.status == status);
        PodCondition {
            type_: kind.to_owned(),
            status,
            reason: self.reason,
            message: self.message,
            last_probe_time: None,
            last_transition_time: same.and_then(|b| b.last_transition_time.clone()).or(Some(Time(now))),
            observed_generation: pod.metadata.generation,
        }
    }
}

fn has_network(pod: &Pod, runtime: &runtime::PodStatus) -> Verdict {
    let ready = runtime
        .sandboxes
        .first()
        .is_some_and(|s| s.ready && (pod.host_network() || !s.ips.is_empty()));
    Verdict {
        met: ready,
        reason: None,
        message: None,
    }
}

fn find<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let all = status.container_statuses.iter().chain(&status.init_container_statuses);
    all.flatten().find(|s| s.name == name)
}

fn initialized(pod: &Pod, status: &PodStatus, phase: &str) -> Verdict {
    let init = pod.init_containers();
    if phase == "Succeeded" && !init.is_empty() {
        return Verdict {
            reason: Some("PodCompleted".to_owned()),
            ..Verdict::met()
        };
    }
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for container in init {
        match find(status, &container.name) {
            None => unknown.push(container.name.as_str()),
            Some(found) if rules::resources::is_restartable_init_container(container) => {
                if found.started != Some(true) {
                    incomplete.push(container.name.as_str());
                }
            }
            Some(found) => {
                if terminated(found.state.as_ref()).is_none_or(|t| t.exit_code != 0) {
                    incomplete.push(container.name.as_str());
                }
            }
        }
    }
    let main_started = pod
        .spec()
        .containers
        .iter()
        .any(|c| find(status, &c.name).is_some_and(|s| s.started == Some(true) || s.container_id.is_some()));
    if main_started && unknown.is_empty() {
        // Sidecars that restart later do not undo the initialisation.
        let only_sidecars = init
            .iter()
            .filter(|c| incomplete.contains(&c.name.as_str()))
            .all(rules::resources::is_restartable_init_container);
        if only_sidecars {
            return Verdict::met();
        }
    }
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: [{}]", unknown.join(" ")));
    }
    if !incomplete.is_empty() {
        parts.push(format!("containers with incomplete status: [{}]", incomplete.join(" ")));
    }
    if parts.is_empty() {
        Verdict::met()
    } else {
        Verdict::not("ContainersNotInitialized", parts.join(", "))
    }
}

fn containers_ready(pod: &Pod, status: &PodStatus, phase: &str) -> Verdict {
    if phase == "Succeeded" {
        return Verdict::not("PodCompleted", String::new());
    }
    let sidecars = pod
        .init_containers()
        .iter()
        .filter(|c| rules::resources::is_restartable_init_container(c));
    let watched: Vec<&Container> = sidecars.chain(&pod.spec().containers).collect();
    let (mut unknown, mut unready) = (Vec::new(), Vec::new());
    for container in watched {
        match find(status, &container.name) {
            None => unknown.push(container.name.as_str()),
            Some(found) if !found.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    if phase == "Failed" {
        return Verdict::not("PodFailed", String::new());
    }
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: [{}]", unknown.join(" ")));
    }
    if !unready.is_empty() {
        parts.push(format!("containers with unready status: [{}]", unready.join(" ")));
    }
    if parts.is_empty() {
        Verdict::met()
    } else {
        Verdict::not("ContainersNotReady", parts.join(", "))
    }
}

/// Containers ready and all readiness gates met.
fn ready(pod: &Pod, containers: &Verdict, conditions: &[PodCondition]) -> Verdict {
    if !containers.met {
        return containers.clone();
    }
    let mut missing = Vec::new();
    for gate in pod.spec().readiness_gates.iter().flatten() {
        match conditions.iter().find(|c| c.type_ == gate.condition_type) {
            None => missing.push(format!(
                "corresponding condition of pod readiness gate \"{}\" does not exist.",
                gate.condition_type
            )),
            Some(found) if found.status != "True" => missing.push(format!(
                "the status of pod readiness gate \"{}\" is not \"True\", but {}",
                gate.condition_type, found.status
            )),
            Some(_) => {}
        }
    }
    if missing.is_empty() {
        Verdict::met()
    } else {
        Verdict::not("ReadinessGatesNotReady", missing.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn conditions(pod: serde_json::Value, status: serde_json::Value) -> Vec<PodCondition> {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let status: PodStatus = serde_json::from_value(status).unwrap();
        of(
            &pod,
            &status,
            &PodStatus::default(),
            &runtime::PodStatus::default(),
            Timestamp::UNIX_EPOCH,
        )
    }

    fn get(conditions: &[PodCondition], kind: &str) -> (String, Option<String>, Option<String>) {
        let found = conditions.iter().find(|c| c.type_ == kind).unwrap();
        (found.status.clone(), found.reason.clone(), found.message.clone())
    }

    #[test]
    fn unready_and_uninitialized_containers_are_named() {
        let pod = json!({"metadata": {"generation": 2}, "spec": {
            "initContainers": [{"name": "i1"}, {"name": "i2"}], "containers": [{"name": "a"}]}});
        let found = conditions(
            pod,
            json!({"phase": "Pending",
            "containerStatuses": [{"name": "a", "ready": false, "image": "", "imageID": "", "restartCount": 0}],
            "initContainerStatuses": [
                {"name": "i1", "ready": false, "image": "", "imageID": "", "restartCount": 0, "state": {"running": {}}},
                {"name": "i2", "ready": false, "image": "", "imageID": "", "restartCount": 0}]}),
        );
        let text = |s: &str| Some(s.to_owned());
        assert_eq!(
            get(&found, "Initialized"),
            (
                "False".into(),
                text("ContainersNotInitialized"),
                text("containers with incomplete status: [i1 i2]")
            )
        );
        assert_eq!(
            get(&found, "Ready"),
            (
                "False".into(),
                text("ContainersNotReady"),
                text("containers with unready status: [a]")
            )
        );
        assert!(found.iter().all(|c| c.observed_generation == Some(2)));
    }

    #[test]
    fn readiness_gates_and_foreign_conditions_count() {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a"}],
            "readinessGates": [{"conditionType": "x/y"}]},
            "status": {"conditions": [{"type": "x/y", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        let found = conditions(
            pod,
            json!({"phase": "Running",
            "containerStatuses": [{"name": "a", "ready": true, "image": "", "imageID": "", "restartCount": 0}]}),
        );
        assert_eq!(get(&found, "ContainersReady").0, "True");
        assert_eq!(get(&found, "Ready").1.as_deref(), Some("ReadinessGatesNotReady"));
        assert_eq!(get(&found, "x/y").0, "False");
        assert_eq!(found.iter().filter(|c| c.type_ == "Ready").count(), 1);
    }

    #[test]
    fn finished_pod_is_not_ready_because_it_completed() {
        let pod = json!({"spec": {"containers": [{"name": "a"}]}});
        let found = conditions(pod, json!({"phase": "Succeeded"}));
        assert_eq!(
            get(&found, "Ready"),
            ("False".into(), Some("PodCompleted".into()), None)
        );
    }
}
