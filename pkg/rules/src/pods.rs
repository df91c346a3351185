//! Questions about a pod's state: phase, conditions, readiness (pkg/api/v1/pod/util.go,
//! pkg/controller/controller_utils.go).

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// `status.phase` before any container runs.
pub const PENDING: &str = "Pending";
/// `status.phase` while at least one container runs.
pub const RUNNING: &str = "Running";
/// `status.phase` when all containers ended well and will not restart.
pub const SUCCEEDED: &str = "Succeeded";
/// `status.phase` when a container failed and will not restart.
pub const FAILED: &str = "Failed";
/// `status.phase` when the node cannot be reached (obsolete, still honoured).
pub const UNKNOWN: &str = "Unknown";

/// Condition: the pod can serve requests.
pub const READY: &str = "Ready";
/// Condition: all containers are ready.
pub const CONTAINERS_READY: &str = "ContainersReady";
/// Condition: all init containers ended well.
pub const INITIALIZED: &str = "Initialized";
/// Condition: the scheduler placed the pod.
pub const POD_SCHEDULED: &str = "PodScheduled";
/// Condition: something is about to terminate the pod.
pub const DISRUPTION_TARGET: &str = "DisruptionTarget";
/// Condition: the pod's sandbox and network exist.
pub const READY_TO_START_CONTAINERS: &str = "PodReadyToStartContainers";

/// `status.phase`, empty when unknown.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("")
}

/// Whether the phase is final: Succeeded or Failed (`IsPodTerminal`, `IsPodPhaseTerminal`).
pub fn is_pod_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), SUCCEEDED | FAILED)
}

/// Whether deletion has begun.
pub fn is_deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether the pod counts for its controller: neither final nor being deleted (`IsPodActive`).
pub fn is_pod_active(pod: &Pod) -> bool {
    !is_pod_terminal(pod) && !is_deleting(pod)
}

/// Whether the pod is being deleted but not final yet (`IsPodTerminating`).
pub fn is_pod_terminating(pod: &Pod) -> bool {
    !is_pod_terminal(pod) && is_deleting(pod)
}

/// One condition of the pod (`GetPodCondition`).
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref().and_then(|s| status_condition(s, type_))
}

/// One condition of a pod status.
pub fn status_condition<'a>(status: &'a PodStatus, type_: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|c| c.type_ == type_)
}

/// Whether a condition is present and True.
pub fn is_condition_true(pod: &Pod, type_: &str) -> bool {
    condition(pod, type_).is_some_and(|c| c.status == "True")
}

/// Whether the Ready condition is True (`IsPodReady`).
pub fn is_pod_ready(pod: &Pod) -> bool {
    is_condition_true(pod, READY)
}

/// Whether the pod has been ready for `min_ready_seconds` at `now` (`IsPodAvailable`).
pub fn is_pod_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    if !is_pod_ready(pod) {
        return false;
    }
    if min_ready_seconds == 0 {
        return true;
    }
    ready_since(pod).is_some_and(|since| now.as_second() - since.0.as_second() >= i64::from(min_ready_seconds))
}

/// When the Ready condition last changed.
pub fn ready_since(pod: &Pod) -> Option<&Time> {
    condition(pod, READY).and_then(|c| c.last_transition_time.as_ref())
}

/// Puts a condition into the status; keeps the transition time when the status value did not
/// change. Returns whether anything but times changed (`UpdatePodCondition`).
pub fn update_condition(status: &mut PodStatus, mut new: PodCondition, now: Timestamp) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        None => {
            new.last_transition_time.get_or_insert(Time(now));
            conditions.push(new);
            true
        }
        Some(old) => {
            new.last_transition_time = if old.status == new.status {
                old.last_transition_time.clone()
            } else {
                Some(Time(now))
            };
            let changed = *old != new;
            *old = new;
            changed
        }
    }
}

/// The highest restart count among the pod's containers, sidecars apart (`maxContainerRestarts`).
pub fn max_container_restarts(pod: &Pod) -> i32 {
    let status = pod.status.as_ref();
    let counts = status.into_iter().flat_map(|s| s.container_statuses.iter().flatten());
    counts.map(|c| c.restart_count).max().unwrap_or(0)
}

/// Priority of a pod, 0 when none is set (component-helpers `PodPriority`).
pub fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|s| s.priority).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn with_condition(type_: &str, status: &str, since: i64) -> Pod {
        Pod {
            status: Some(PodStatus {
                conditions: Some(vec![PodCondition {
                    type_: type_.into(),
                    status: status.into(),
                    last_transition_time: Some(Time(at(since))),
                    ..PodCondition::default()
                }]),
                ..PodStatus::default()
            }),
            ..Pod::default()
        }
    }

    #[test]
    fn availability_needs_ready_for_long_enough() {
        let pod = with_condition(READY, "True", 100);
        assert!(is_pod_available(&pod, 0, at(100)));
        assert!(!is_pod_available(&pod, 10, at(109)));
        assert!(is_pod_available(&pod, 10, at(110)));
        assert!(!is_pod_available(&with_condition(READY, "False", 0), 0, at(9)));
    }

    #[test]
    fn transition_time_moves_only_when_the_status_changes() {
        let mut status = with_condition(READY, "True", 100).status.unwrap();
        let same = PodCondition {
            type_: READY.into(),
            status: "True".into(),
            ..PodCondition::default()
        };
        assert!(!update_condition(&mut status, same.clone(), at(200)));
        assert_eq!(
            status_condition(&status, READY).unwrap().last_transition_time,
            Some(Time(at(100)))
        );
        let other = PodCondition {
            status: "False".into(),
            ..same
        };
        assert!(update_condition(&mut status, other, at(200)));
        assert_eq!(
            status_condition(&status, READY).unwrap().last_transition_time,
            Some(Time(at(200)))
        );
    }

    #[test]
    fn final_and_deleted_pods_are_not_active() {
        for (phase, terminal) in [(PENDING, false), (RUNNING, false), (SUCCEEDED, true), (FAILED, true)] {
            let mut pod = Pod::default();
            pod.status.get_or_insert_default().phase = Some(phase.into());
            assert_eq!(is_pod_terminal(&pod), terminal);
            assert_eq!(is_pod_active(&pod), !terminal);
            pod.metadata.deletion_timestamp = Some(Time(at(1)));
            assert!(!is_pod_active(&pod));
            assert_eq!(is_pod_terminating(&pod), !terminal);
        }
    }
}
