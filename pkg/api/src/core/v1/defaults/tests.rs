use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;

/// Applies a default function to JSON and gives JSON back; applying it twice changes nothing.
fn defaulted<T: Serialize + DeserializeOwned>(rule: fn(&mut T), input: Value) -> Value {
    let mut obj: T = serde_json::from_value(input).expect("a test object");
    rule(&mut obj);
    let once = serde_json::to_value(&obj).expect("encodes");
    rule(&mut obj);
    assert_eq!(once, serde_json::to_value(&obj).expect("encodes"), "idempotent");
    once
}

#[test]
fn a_minimal_pod_gets_upstreams_defaults() {
    let got = defaulted(
        pod,
        json!({"spec": {"containers": [{"name": "c", "image": "nginx",
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"port": 80}},
            "resources": {"limits": {"cpu": "1000m"}}}],
            "volumes": [{"name": "e"}, {"name": "s", "secret": {"secretName": "x"}}]}}),
    );
    assert_eq!(
        got["spec"],
        json!({
            "containers": [{"name": "c", "image": "nginx", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "livenessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30, "enableServiceLinks": true,
            "volumes": [{"name": "e", "emptyDir": {}},
                {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}]
        })
    );
}

#[test]
fn pull_policy_follows_the_tag() {
    let cases = [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1.2", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ];
    for (image, want) in cases {
        assert_eq!(pod::default_pull_policy(image), want, "{image}");
    }
}

#[test]
fn a_host_network_pods_ports_are_host_ports() {
    let got = defaulted(
        pod,
        json!({"spec": {"hostNetwork": true, "serviceAccountName": "sa",
            "containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}]}}),
    );
    assert_eq!(got["spec"]["containers"][0]["ports"][0]["hostPort"], 80);
    assert_eq!(got["spec"]["serviceAccount"], "sa");
}

#[test]
fn a_service_gets_type_ports_and_policies() {
    let got = defaulted(service, json!({"spec": {"ports": [{"port": 80}]}}));
    assert_eq!(
        got["spec"],
        json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP",
            "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"})
    );
    let got = defaulted(
        service,
        json!({"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP"}}),
    );
    assert_eq!(
        got["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"],
        10800
    );
    assert_eq!(got["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(got["spec"]["allocateLoadBalancerNodePorts"], true);
}

#[test]
fn a_namespace_is_labelled_with_its_name_and_active() {
    let got = defaulted(namespace, json!({"metadata": {"name": "a"}}));
    assert_eq!(got["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
    assert_eq!(got["status"]["phase"], "Active");
}

#[test]
fn secret_texts_become_data() {
    let got = defaulted(secret, json!({"data": {"a": "eA=="}, "stringData": {"b": "y"}}));
    assert_eq!(got["data"], json!({"a": "eA==", "b": "eQ=="}));
    assert_eq!(got["type"], "Opaque");
    assert!(got.get("stringData").is_none());
}

#[test]
fn limit_range_defaults_follow_max_and_min() {
    let got = defaulted(
        limit_range,
        json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]}}),
    );
    assert_eq!(got["spec"]["limits"][0]["default"], json!({"cpu": "2"}));
    assert_eq!(
        got["spec"]["limits"][0]["defaultRequest"],
        json!({"cpu": "2", "memory": "1Mi"})
    );
}

#[test]
fn node_fields_mirror_each_other() {
    let got = defaulted(
        node,
        json!({"spec": {"podCIDRs": ["10.0.0.0/24"]}, "status": {"capacity": {"cpu": "2000m"}}}),
    );
    assert_eq!(got["spec"]["podCIDR"], "10.0.0.0/24");
    assert_eq!(got["status"]["allocatable"], json!({"cpu": "2"}));
}

#[test]
fn what_go_always_writes_is_there() {
    let pod = defaulted(
        pod,
        json!({
            "spec": {
                "containers": [],
                "ephemeralContainers": [{"name": "e", "livenessProbe": {}}],
                "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]
            },
            "status": {"containerStatuses": [{"name": "c", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
                "state": {"waiting": {"reason": "R"}}}], "podIPs": [{}]}
        }),
    );
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"], json!({}));
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"],
        json!({"waiting": {"reason": "R"}})
    );
    assert!(pod["status"].get("podIP").is_none());
    assert_eq!(
        pod["spec"]["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["metadata"],
        json!({})
    );
    assert_eq!(
        pod["spec"]["ephemeralContainers"][0]["livenessProbe"]["periodSeconds"],
        10
    );
    let node = defaulted(node, json!({}));
    assert_eq!(
        node["status"]["daemonEndpoints"],
        json!({"kubeletEndpoint": {"Port": 0}})
    );
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "");
}
