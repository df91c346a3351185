//! Defaults of autoscaling/v1 (pkg/apis/autoscaling/v1/defaults.go).

use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;

/// One replica at least (`SetDefaults_HorizontalPodAutoscaler`).
pub fn horizontal_pod_autoscaler(obj: &mut HorizontalPodAutoscaler) {
    obj.spec.min_replicas.get_or_insert(1);
}
