//! replicaset-controller: as many pods as the ReplicaSet says; the work is that of [`super::replicas`].

use apimachinery::labels::Selector;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};

use super::replicas::{self, Names, Plan, Replicated};
use crate::context::{ControllerContext, Work};

const NAMES: Names = Names {
    controller: "replicaset-controller",
    account: "replicaset-controller",
    queue: "replicaset",
    source: "replicaset-controller",
};

/// Asks for informers; the work reconciles ReplicaSets.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    Some(replicas::start::<ReplicaSet>(
        ctx,
        &NAMES,
        ctx.config.workers.replicaset,
    ))
}

impl Replicated for ReplicaSet {
    fn plan(&self) -> Option<Plan<'_>> {
        let spec = self.spec.as_ref()?;
        Some(Plan {
            replicas: replicas::replicas(spec.replicas),
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            template: spec.template.as_ref(),
            selector: Selector::from_label_selector(&spec.selector).map_err(Into::into),
        })
    }

    fn status(&self) -> ReplicaSetStatus {
        self.status.clone().unwrap_or_default()
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}
