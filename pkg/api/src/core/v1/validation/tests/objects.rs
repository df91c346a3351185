use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, LimitRange, Namespace, Node, PersistentVolumeClaim, Secret};
use serde_json::{Value, json};

use super::{messages, metadata, object, with};
use crate::core::v1::{defaults, validation as v};

#[test]
fn a_config_map_too_large_is_named_as_upstream_names_it() {
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "a", "namespace": "b"}, "data": {"a": "x".repeat(1 << 20), "b": "x"},
    }))
    .expect("a test object");
    let errors = messages(&v::config_map_create(&map));
    assert_eq!(errors, ["[]: Too long: may not be more than 1048576 bytes"]);
}

#[test]
fn config_maps_hold_known_keys_once() {
    let map = |changes: Value| -> ConfigMap {
        let mut obj = json!({"metadata": metadata()});
        for (k, v) in changes.as_object().into_iter().flatten() {
            obj[k] = v.clone();
        }
        object(obj, |_| {})
    };
    assert!(v::config_map_create(&map(json!({"data": {"a.b-c_d": "x"}}))).is_empty());
    let got = messages(&v::config_map_create(&map(json!({"data": {"a/b": "x"}}))));
    assert!(
        got[0].starts_with("data[a/b]: Invalid value: \"a/b\": a valid config key must consist of"),
        "{got:?}"
    );
    let both = map(json!({"data": {"a": "x"}, "binaryData": {"a": "eA=="}}));
    assert_eq!(
        messages(&v::config_map_create(&both)),
        ["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"]
    );
    let frozen = map(json!({"immutable": true, "data": {"a": "x"}}));
    assert_eq!(
        messages(&v::config_map_update(
            &map(json!({"immutable": true, "data": {"a": "y"}})),
            &frozen
        )),
        ["data: Forbidden: field is immutable when `immutable` is set"]
    );
}

#[test]
fn secrets_hold_what_their_type_asks_for() {
    let secret = |type_: &str, data: Value| -> Secret {
        object(
            json!({"metadata": metadata(), "type": type_, "data": data}),
            defaults::secret,
        )
    };
    let cases = [
        ("Opaque", json!({}), vec![]),
        (
            "kubernetes.io/tls",
            json!({}),
            vec!["data[tls.crt]: Required value", "data[tls.key]: Required value"],
        ),
        ("kubernetes.io/tls", json!({"tls.crt": "", "tls.key": ""}), vec![]),
        (
            "kubernetes.io/dockerconfigjson",
            json!({}),
            vec!["data[.dockerconfigjson]: Required value"],
        ),
        (
            "kubernetes.io/service-account-token",
            json!({}),
            vec!["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
    ];
    for (type_, data, want) in cases {
        assert_eq!(messages(&v::secret_create(&secret(type_, data))), want, "{type_}");
    }
    assert_eq!(
        messages(&v::secret_update(&secret("b", json!({})), &secret("a", json!({})))),
        ["type: Invalid value: \"b\": field is immutable"]
    );
}

#[test]
fn a_namespaces_phase_follows_its_deletion() {
    let mut meta = metadata();
    meta["namespace"] = Value::Null;
    let base = json!({"metadata": meta, "status": {"phase": "Terminating"}});
    let obj: Namespace = object(base, |_| {});
    assert_eq!(
        messages(&v::namespace_status_update(&obj, &obj)),
        ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"]
    );
}

#[test]
fn node_addresses_ranges_and_taints_are_checked() {
    let mut meta = metadata();
    meta["namespace"] = Value::Null;
    let base = json!({"metadata": meta, "spec": {"podCIDRs": ["10.0.0.0/24"], "podCIDR": "10.0.0.0/24"}, "status": {}});
    let node = |changes: &[(&str, Value)]| -> Node { object(with(&base, changes), defaults::node) };
    let old = node(&[]);
    assert!(v::node_create(&old).is_empty());
    let moved = node(&[("/spec", json!({"podCIDR": "10.1.0.0/24"}))]);
    assert_eq!(
        messages(&v::node_update(&moved, &old)),
        ["spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"]
    );
    let taint = json!({"key": "a", "effect": "NoSchedule"});
    let twice = node(&[("/spec/taints", json!([taint, taint]))]);
    assert_eq!(
        messages(&v::node_status_update(&twice, &old)),
        [
            "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taints must be unique by key and effect pair"
        ]
    );
}

#[test]
fn endpoints_do_not_point_at_this_host() {
    let obj: Endpoints = object(
        json!({"metadata": metadata(), "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 1}]}]}),
        defaults::endpoints,
    );
    assert_eq!(
        messages(&v::endpoints_create(&obj)),
        [
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ]
    );
}

#[test]
fn limits_are_in_order() {
    let obj: LimitRange = object(
        json!({"metadata": metadata(), "spec": {"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}}),
        |_| {},
    );
    assert_eq!(
        messages(&v::limit_range(&obj)),
        ["spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"]
    );
}

#[test]
fn a_claim_is_fixed_once_made() {
    let base = json!({"metadata": metadata(), "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    let claim = |changes: &[(&str, Value)]| -> PersistentVolumeClaim {
        object(with(&base, changes), defaults::persistent_volume_claim)
    };
    let old = claim(&[]);
    assert!(v::persistent_volume_claim_create(&old).is_empty());
    assert!(v::persistent_volume_claim_update(&claim(&[("/spec/volumeName", json!("pv"))]), &old).is_empty());
    let bigger = claim(&[("/spec/resources", json!({"requests": {"storage": "2Gi"}}))]);
    assert!(v::persistent_volume_claim_update(&bigger, &old).is_empty());
    let other = claim(&[("/spec/accessModes", json!(["ReadWriteMany"]))]);
    assert!(
        messages(&v::persistent_volume_claim_update(&other, &old))[0].starts_with("spec: Forbidden: spec is immutable")
    );
}
