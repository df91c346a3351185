//! Defaults of scheduling.k8s.io/v1 (pkg/apis/scheduling/v1/defaults.go).

use k8s_openapi::api::scheduling::v1::PriorityClass;

/// Pods of the class may preempt (`SetDefaults_PriorityClass`); Go always writes the value.
pub fn priority_class(obj: &mut PriorityClass) {
    obj.value.get_or_insert(0);
    obj.preemption_policy
        .get_or_insert_with(|| "PreemptLowerPriority".to_string());
}
