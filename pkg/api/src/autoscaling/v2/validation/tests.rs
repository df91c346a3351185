use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::json;

use super::*;
use crate::autoscaling::v2::defaults;
use crate::cases::table;

#[test]
fn the_table_of_autoscalers_holds() {
    let base = json!({
        "metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}}
    });
    let text = include_str!("autoscalers.txt");
    let default = defaults::horizontal_pod_autoscaler;
    let invalid = table::creates::<HorizontalPodAutoscaler>(text, &base, default, horizontal_pod_autoscaler_create);
    assert_eq!(invalid, 18);
}
