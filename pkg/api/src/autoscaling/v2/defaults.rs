//! Defaults of autoscaling/v2 (pkg/apis/autoscaling/v2/defaults.go).

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, MetricSpec, MetricTarget, ResourceMetricSource,
};

/// One replica at least, CPU at 80 percent (`SetDefaults_HorizontalPodAutoscaler`); Go always
/// writes the status, and of its counts the desired one.
pub fn horizontal_pod_autoscaler(obj: &mut HorizontalPodAutoscaler) {
    let spec = &mut obj.spec;
    spec.min_replicas.get_or_insert(1);
    if spec.metrics.as_ref().is_none_or(Vec::is_empty) {
        spec.metrics = Some(vec![MetricSpec {
            type_: "Resource".to_string(),
            resource: Some(ResourceMetricSource {
                name: "cpu".to_string(),
                target: MetricTarget {
                    type_: "Utilization".to_string(),
                    average_utilization: Some(80),
                    ..MetricTarget::default()
                },
            }),
            ..MetricSpec::default()
        }]);
    }
    if let Some(behavior) = &mut spec.behavior {
        let up = behavior.scale_up.take();
        behavior.scale_up = Some(rules(up, Some(0), &[("Pods", 4), ("Percent", 100)]));
        let down = behavior.scale_down.take();
        behavior.scale_down = Some(rules(down, None, &[("Percent", 100)]));
    }
    let status = obj.status.get_or_insert_default();
    status.current_replicas = status.current_replicas.filter(|count| *count != 0);
}

/// Seconds a policy looks back.
const PERIOD: i32 = 15;

/// Scaling rules completed (`GenerateHPAScaleUpRules`, `GenerateHPAScaleDownRules`). The window of scaling
/// down stays open: the controller's flag gives it.
fn rules(given: Option<HPAScalingRules>, window: Option<i32>, policies: &[(&str, i32)]) -> HPAScalingRules {
    let mut rules = given.unwrap_or_default();
    rules.select_policy.get_or_insert_with(|| "Max".to_string());
    if rules.stabilization_window_seconds.is_none() {
        rules.stabilization_window_seconds = window;
    }
    let policy = |(kind, value): &(&str, i32)| HPAScalingPolicy {
        type_: (*kind).to_string(),
        value: *value,
        period_seconds: PERIOD,
    };
    rules
        .policies
        .get_or_insert_with(|| policies.iter().map(policy).collect());
    rules
}
