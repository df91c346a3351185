//! The tables: one text file per kind.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::metadata;
use crate::cases::table;
use crate::core::v1::{defaults, validation as v};

fn pod() -> Value {
    json!({
        "metadata": metadata(),
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {}}], "volumes": [{"name": "v", "emptyDir": {}}]},
        "status": {"phase": "Pending", "qosClass": "BestEffort"}
    })
}

#[test]
fn new_pods_are_checked() {
    let invalid = table::creates::<Pod>(include_str!("pods.txt"), &pod(), defaults::pod, v::pod_create);
    assert!(invalid >= 125, "{invalid}");
}

#[test]
fn volumes_are_checked() {
    let invalid = table::creates::<Pod>(include_str!("volumes.txt"), &pod(), defaults::pod, v::pod_create);
    assert!(invalid >= 40, "{invalid}");
}
