//! Defaults of autoscaling/v2 (pkg/apis/autoscaling/v2/defaults.go), without those of `behavior`.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec, MetricTarget, ResourceMetricSource};

/// One replica at least, CPU at 80 percent (`SetDefaults_HorizontalPodAutoscaler`); Go always
/// writes the status.
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
    obj.status.get_or_insert_default();
}
