//! replicationcontroller-controller: as many pods as the ReplicationController says; the work is that of
//! [`super::replicas`]. Upstream: pkg/controller/replication, conversion.go for the status.

use apimachinery::labels::Selector;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::replicas::{self, Names, Plan, Replicated};
use crate::context::{ControllerContext, Work};

const NAMES: Names = Names {
    controller: "replicationcontroller-controller",
    account: "replication-controller",
    queue: "replicationmanager",
    source: "replication-controller",
};

/// Asks for informers; the work reconciles ReplicationControllers.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let workers = ctx.config.workers.replicationcontroller;
    Some(replicas::start::<ReplicationController>(ctx, &NAMES, workers))
}

impl Replicated for ReplicationController {
    fn plan(&self) -> Option<Plan<'_>> {
        let spec = self.spec.as_ref()?;
        let selector = LabelSelector {
            match_labels: spec.selector.clone(),
            match_expressions: None,
        };
        Some(Plan {
            replicas: replicas::replicas(spec.replicas),
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            template: spec.template.as_ref(),
            selector: Selector::from_label_selector(&selector).map_err(Into::into),
        })
    }

    fn status(&self) -> ReplicaSetStatus {
        let status = self.status.clone().unwrap_or_default();
        ReplicaSetStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            terminating_replicas: None,
            observed_generation: status.observed_generation,
            conditions: status.conditions.map(|list| list.into_iter().map(to_set).collect()),
        }
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        let status = ReplicationControllerStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            observed_generation: status.observed_generation,
            conditions: status
                .conditions
                .map(|list| list.into_iter().map(to_controller).collect()),
        };
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}

fn to_set(condition: ReplicationControllerCondition) -> ReplicaSetCondition {
    ReplicaSetCondition {
        type_: condition.type_,
        status: condition.status,
        reason: condition.reason,
        message: condition.message,
        last_transition_time: condition.last_transition_time,
    }
}

fn to_controller(condition: ReplicaSetCondition) -> ReplicationControllerCondition {
    ReplicationControllerCondition {
        type_: condition.type_,
        status: condition.status,
        reason: condition.reason,
        message: condition.message,
        last_transition_time: condition.last_transition_time,
    }
}
