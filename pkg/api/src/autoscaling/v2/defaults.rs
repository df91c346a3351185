//! Defaults of autoscaling/v2 (pkg/apis/autoscaling/v2/defaults.go).

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

/// One replica at least (`SetDefaults_HorizontalPodAutoscaler`); Go always writes the status.
pub fn horizontal_pod_autoscaler(obj: &mut HorizontalPodAutoscaler) {
    obj.spec.min_replicas.get_or_insert(1);
    obj.status.get_or_insert_default();
}
