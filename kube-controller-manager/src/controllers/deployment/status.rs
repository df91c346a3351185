//! The status of a Deployment from its ReplicaSets, and the Progressing condition's story. Pure.
//!
//! Upstream: pkg/controller/deployment/{progress,sync}.go `calculateStatus`, `syncRolloutStatus`.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::plan;

pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";

pub(super) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
pub(super) const NEW_SET_CREATED: &str = "NewReplicaSetCreated";
pub(super) const FOUND_NEW_SET: &str = "FoundNewReplicaSet";
pub(super) const FAILED_CREATE: &str = "ReplicaSetCreateError";
pub(super) const SET_UPDATED: &str = "ReplicaSetUpdated";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
pub(super) const PAUSED: &str = "DeploymentPaused";
pub(super) const RESUMED: &str = "DeploymentResumed";

/// Conditions under construction, with one notion of now.
pub(super) struct Conditions<'a> {
    pub(super) list: &'a mut Vec<DeploymentCondition>,
    pub(super) now: Timestamp,
}

impl Conditions<'_> {
    /// Sets a condition unless status and reason are as they were. Upstream: `SetDeploymentCondition`.
    pub(super) fn set(&mut self, type_: &str, status: &str, reason: &str, message: &str) {
        let old = self.list.iter().find(|c| c.type_ == type_);
        if old.is_some_and(|c| c.status == status && c.reason.as_deref() == Some(reason)) {
            return;
        }
        let transition = match old {
            Some(c) if c.status == status => c.last_transition_time.clone(),
            _ => Some(Time(self.now)),
        };
        let next = DeploymentCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_update_time: Some(Time(self.now)),
            last_transition_time: transition,
        };
        self.list.retain(|c| c.type_ != type_);
        self.list.push(next);
    }

    pub(super) fn remove(&mut self, type_: &str) {
        self.list.retain(|c| c.type_ != type_);
    }
}

/// One condition of a Deployment.
pub(super) fn condition<'a>(deployment: &'a Deployment, type_: &str) -> Option<&'a DeploymentCondition> {
    deployment
        .status
        .as_ref()?
        .conditions
        .as_ref()?
        .iter()
        .find(|c| c.type_ == type_)
}

/// Whether a progress deadline is set. Upstream: `HasProgressDeadline`.
pub(super) fn has_deadline(deployment: &Deployment) -> bool {
    deadline(deployment).is_some()
}

fn deadline(deployment: &Deployment) -> Option<i32> {
    deployment
        .spec
        .as_ref()?
        .progress_deadline_seconds
        .filter(|s| *s != i32::MAX)
}

/// Counts and the Available condition. Upstream: `calculateStatus`.
pub(super) fn compute(
    deployment: &Deployment,
    sets: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let sum = |count: &dyn Fn(&ReplicaSet) -> i32| sets.iter().map(count).sum::<i32>();
    let available = sum(&plan::available);
    let total = sum(&plan::wanted);
    let old = deployment.status.clone().unwrap_or_default();
    let mut conditions = old.conditions.unwrap_or_default();
    let enough = available >= plan::desired(deployment) - plan::max_unavailable(deployment);
    let mut edit = Conditions {
        list: &mut conditions,
        now,
    };
    if enough {
        edit.set(
            AVAILABLE,
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        );
    } else {
        edit.set(
            AVAILABLE,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        );
    }
    // What is wanted and not there counts as unavailable; more than wanted is not negative.
    DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: positive(sum(&plan::actual)),
        updated_replicas: positive(new.map_or(0, plan::actual)),
        ready_replicas: positive(sum(&|s| s.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0))),
        available_replicas: positive(available),
        unavailable_replicas: positive((total - available).max(0)),
        terminating_replicas: sets
            .iter()
            .map(|s| s.status.as_ref().and_then(|s| s.terminating_replicas))
            .try_fold(0, |sum, n| n.map(|n| sum + n)),
        collision_count: old.collision_count,
        conditions: Some(conditions),
    }
}

/// Upstream: `DeploymentComplete`.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = plan::desired(deployment);
    status.updated_replicas.unwrap_or(0) == desired
        && status.replicas.unwrap_or(0) == desired
        && status.available_replicas.unwrap_or(0) == desired
        && status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
}

/// Upstream: `DeploymentProgressing`.
fn progressed(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let old = deployment.status.clone().unwrap_or_default();
    let outdated = |s: &DeploymentStatus| s.replicas.unwrap_or(0) - s.updated_replicas.unwrap_or(0);
    status.updated_replicas > old.updated_replicas
        || outdated(status) < outdated(&old)
        || status.ready_replicas.unwrap_or(0) > old.ready_replicas.unwrap_or(0)
        || status.available_replicas.unwrap_or(0) > old.available_replicas.unwrap_or(0)
}

/// Upstream: `DeploymentTimedOut`.
fn timed_out(deployment: &Deployment, now: Timestamp) -> bool {
    let Some(condition) = condition(deployment, PROGRESSING) else {
        return false;
    };
    match condition.reason.as_deref() {
        Some(NEW_SET_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => match (&condition.last_update_time, deadline(deployment)) {
            (Some(since), Some(seconds)) => now.as_second() - since.0.as_second() > i64::from(seconds),
            _ => false,
        },
    }
}

/// Counts plus the Progressing and ReplicaFailure conditions. Upstream: `syncRolloutStatus`.
pub(super) fn rollout(
    deployment: &Deployment,
    sets: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = compute(deployment, sets, new, now);
    let mut list = status.conditions.take().unwrap_or_default();
    let mut conditions = Conditions { list: &mut list, now };
    if !has_deadline(deployment) {
        conditions.remove(PROGRESSING);
    }
    let current = condition(deployment, PROGRESSING);
    let done_before = status.replicas == status.updated_replicas
        && current.is_some_and(|c| c.reason.as_deref() == Some(NEW_SET_AVAILABLE));
    if has_deadline(deployment) && !done_before {
        let name = deployment.metadata.name.as_deref().unwrap_or_default();
        let subject = match new {
            Some(set) => format!("ReplicaSet \"{}\"", set.metadata.name.as_deref().unwrap_or_default()),
            None => format!("Deployment \"{name}\""),
        };
        if is_complete(deployment, &status) {
            let message = format!("{subject} has successfully progressed.");
            conditions.set(PROGRESSING, "True", NEW_SET_AVAILABLE, &message);
        } else if progressed(deployment, &status) {
            let message = format!("{subject} is progressing.");
            // Progress restarts the clock, so the old condition is dropped when it was of the same kind.
            let transition = current
                .filter(|c| c.status == "True")
                .and_then(|c| c.last_transition_time.clone());
            conditions.remove(PROGRESSING);
            conditions.set(PROGRESSING, "True", SET_UPDATED, &message);
            if let (Some(time), Some(condition)) = (transition, conditions.list.last_mut()) {
                condition.last_transition_time = Some(time);
            }
        } else if timed_out(deployment, now) {
            let message = format!("{subject} has timed out progressing.");
            conditions.set(PROGRESSING, "False", TIMED_OUT, &message);
        }
    }
    match replica_failure(sets, new) {
        Some(failure) => {
            conditions.remove(REPLICA_FAILURE);
            conditions.list.push(failure);
        }
        None => conditions.remove(REPLICA_FAILURE),
    }
    status.conditions = Some(list);
    status
}

/// A ReplicaSet that cannot make pods, the new one first. Upstream: `getReplicaFailures`.
fn replica_failure(sets: &[ReplicaSet], new: Option<&ReplicaSet>) -> Option<DeploymentCondition> {
    new.into_iter().chain(sets).find_map(|set| {
        let condition = set
            .status
            .as_ref()?
            .conditions
            .as_ref()?
            .iter()
            .find(|c| c.type_ == REPLICA_FAILURE)?;
        Some(DeploymentCondition {
            type_: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last_transition_time: condition.last_transition_time.clone(),
            last_update_time: condition.last_transition_time.clone(),
        })
    })
}

/// When to look whether the deadline has passed. Upstream: `requeueStuckDeployment`.
pub(super) fn next_check(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    let seconds = deadline(deployment)?;
    let current = condition(deployment, PROGRESSING)?;
    if is_complete(deployment, status) || current.reason.as_deref() == Some(TIMED_OUT) {
        return None;
    }
    let since = current.last_update_time.as_ref()?.0;
    let after = since.as_second() + i64::from(seconds) - now.as_second();
    // The condition's time has whole seconds: one more, so that it is surely past.
    Some(Duration::from_secs(u64::try_from(after).unwrap_or(0) + 1))
}

/// Zero is left out, as upstream's `omitempty` does.
fn positive(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
