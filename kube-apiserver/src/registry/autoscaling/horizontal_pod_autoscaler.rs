//! HorizontalPodAutoscalers (pkg/registry/autoscaling/horizontalpodautoscaler/strategy.go), in
//! their stored version, v2.

use api::autoscaling::v2::{defaults, validation};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use crate::registry::strategies::rules::Rules;
use crate::registry::strategy::Typed;

/// HorizontalPodAutoscalers.
pub(crate) static STRATEGY: Typed<Rules<HorizontalPodAutoscaler>> = Typed(Rules {
    default: defaults::horizontal_pod_autoscaler,
    prepare_create: |_, obj| {
        obj.status = None;
        defaults::horizontal_pod_autoscaler(obj);
    },
    prepare_update: |_, new, old| new.status.clone_from(&old.status),
    status: Some(&STATUS),
    ..Rules::new(
        validation::horizontal_pod_autoscaler_create,
        validation::horizontal_pod_autoscaler_update,
    )
});

/// `horizontalpodautoscalers/status`.
static STATUS: Typed<Rules<HorizontalPodAutoscaler>> = Typed(Rules::updating(
    defaults::horizontal_pod_autoscaler,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::horizontal_pod_autoscaler_status_update,
));
