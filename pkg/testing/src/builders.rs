//! Objects for tests: the least that makes sense, defaulted as the API server does, to be changed
//! with plain field access or [`from_json`].

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, PodCondition, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// Decodes an object from JSON, for tests that read best that way.
///
/// # Panics
/// When the value is no such object.
pub fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid object")
}

/// Metadata of an object in the namespace `default`, with a UID derived from its name.
pub fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_string()),
        namespace: Some("default".to_string()),
        uid: Some(format!("uid-{name}")),
        resource_version: Some("1".to_string()),
        ..ObjectMeta::default()
    }
}

/// Labels or annotations from pairs.
pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

/// A pending pod with one container `c` of image `i:1`.
pub fn pod(name: &str) -> Pod {
    let mut pod: Pod = from_json(json!({
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        "status": {"phase": "Pending", "qosClass": "BestEffort"}
    }));
    pod.metadata = metadata(name);
    api::core::v1::defaults::pod(&mut pod);
    pod
}

/// A pod that runs on a node, ready or not, since the given second.
pub fn running_pod(name: &str, node: &str, ready: bool, since: i64) -> Pod {
    let mut pod = pod(name);
    pod.spec.get_or_insert_default().node_name = Some(node.to_string());
    let status = pod.status.get_or_insert_default();
    status.phase = Some("Running".to_string());
    let second = k8s_openapi::jiff::Timestamp::from_second(since).expect("a representable second");
    status.conditions = Some(vec![PodCondition {
        type_: "Ready".to_string(),
        status: if ready { "True" } else { "False" }.to_string(),
        last_transition_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(second)),
        ..PodCondition::default()
    }]);
    pod
}

/// A ready node with four cores, 8Gi of memory and room for 110 pods.
pub fn node(name: &str) -> Node {
    let mut node: Node = from_json(json!({
        "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}}
    }));
    node.metadata = ObjectMeta {
        namespace: None,
        ..metadata(name)
    };
    node.metadata.labels = Some(map(&[("kubernetes.io/hostname", name)]));
    api::core::v1::defaults::node(&mut node);
    node.status.get_or_insert_default().conditions = Some(vec![NodeCondition {
        type_: "Ready".to_string(),
        status: "True".to_string(),
        ..NodeCondition::default()
    }]);
    node
}

/// A deployment of pods labelled `app=<name>`.
pub fn deployment(name: &str, replicas: i32) -> Deployment {
    let mut obj: Deployment = from_json(json!({"spec": workload(name, replicas)}));
    obj.metadata = metadata(name);
    api::apps::v1::defaults::deployment(&mut obj);
    obj
}

/// A replica set of pods labelled `app=<name>`.
pub fn replica_set(name: &str, replicas: i32) -> ReplicaSet {
    let mut obj: ReplicaSet = from_json(json!({"spec": workload(name, replicas)}));
    obj.metadata = metadata(name);
    api::apps::v1::defaults::replica_set(&mut obj);
    obj
}

fn workload(name: &str, replicas: i32) -> Value {
    json!({
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]}
        }
    })
}

/// A service on one port that selects `app=<name>`.
pub fn service(name: &str, port: i32) -> Service {
    let mut obj: Service = from_json(json!({"spec": {"selector": {"app": name}, "ports": [{"port": port}]}}));
    obj.metadata = metadata(name);
    api::core::v1::defaults::service(&mut obj);
    obj
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_objects_are_valid() {
        use api::{apps::v1::validation as apps, core::v1::validation as core};
        assert_eq!(core::pod_create(&pod("a")), vec![]);
        assert_eq!(core::pod_create(&running_pod("a", "n", true, 1)), vec![]);
        assert_eq!(core::node_create(&node("n")), vec![]);
        assert_eq!(core::service_create(&service("s", 80)), vec![]);
        assert_eq!(apps::deployment_create(&deployment("d", 2)), vec![]);
        assert_eq!(apps::replica_set_create(&replica_set("r", 2)), vec![]);
    }
}
