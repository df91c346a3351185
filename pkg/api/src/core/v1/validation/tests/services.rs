use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::{messages, metadata, object, with};
use crate::core::v1::defaults;
use crate::core::v1::validation::{service_create, service_status_update, service_update};

fn base() -> Value {
    json!({"metadata": metadata(), "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}],
        "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}})
}

fn service(changes: &[(&str, Value)]) -> Service {
    object(with(&base(), changes), defaults::service)
}

#[test]
fn new_services_are_checked() {
    type Case = (Vec<(&'static str, Value)>, &'static [&'static str]);
    let cases: Vec<Case> = vec![
        (vec![], &[]),
        (vec![("/spec/ports", json!([]))], &["spec.ports: Required value"]),
        (
            vec![
                ("/spec/ports", json!([])),
                ("/spec/clusterIP", json!("None")),
                ("/spec/clusterIPs", json!(["None"])),
            ],
            &[],
        ),
        (
            vec![("/spec/ports", json!([{"port": 80}, {"port": 81}]))],
            &[
                "spec.ports[0].name: Required value",
                "spec.ports[1].name: Required value",
            ],
        ),
        (
            vec![(
                "/spec/ports",
                json!([{"name": "a", "port": 80}, {"name": "a", "port": 81}]),
            )],
            &["spec.ports[1].name: Duplicate value: \"a\""],
        ),
        (
            vec![("/spec/ports/0", json!({"port": 80, "nodePort": 30000}))],
            &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            vec![("/spec/type", json!("Telepathy"))],
            &[
                "spec.type: Unsupported value: \"Telepathy\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ],
        ),
        (
            vec![("/spec/externalTrafficPolicy", json!("Local"))],
            &[
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ],
        ),
        (
            vec![
                ("/spec/type", json!("LoadBalancer")),
                ("/spec/externalTrafficPolicy", json!("Local")),
            ],
            &["spec.healthCheckNodePort: Required value"],
        ),
        (
            vec![("/spec/externalIPs", json!(["127.0.0.1"]))],
            &[
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            ],
        ),
        (
            vec![("/spec/clusterIP", json!("10.0.0.2"))],
            &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: first value must match `clusterIP`"],
        ),
        (
            vec![("/spec/ipFamilies", json!(["IPv6"]))],
            &[
                "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
            ],
        ),
        (
            vec![("/metadata/name", json!("a.b"))],
            &["metadata.name: Invalid value: \"a.b\": must not contain dots"],
        ),
    ];
    for (changes, want) in cases {
        assert_eq!(messages(&service_create(&service(&changes))), want, "{changes:?}");
    }
}

#[test]
fn an_external_name_has_no_addresses() {
    let spec = json!({"type": "ExternalName", "externalName": "example.com."});
    assert!(service_create(&service(&[("/spec", spec)])).is_empty());
    let spec = json!({"type": "ExternalName", "clusterIPs": ["10.0.0.1"]});
    assert_eq!(
        messages(&service_create(&service(&[("/spec", spec)]))),
        [
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            "spec.externalName: Required value",
        ]
    );
}

#[test]
fn a_cluster_address_does_not_change() {
    let new = service(&[
        ("/spec/clusterIP", json!("10.0.0.9")),
        ("/spec/clusterIPs", json!(["10.0.0.9"])),
    ]);
    assert_eq!(
        messages(&service_update(&new, &service(&[]))),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.9\"]: may not change once set"]
    );
    assert!(service_update(&service(&[("/spec/ports/0", json!({"port": 81}))]), &service(&[])).is_empty());
}

#[test]
fn only_a_load_balancer_has_ingress() {
    let status = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    let new = service(&[("/status", status)]);
    assert_eq!(
        messages(&service_status_update(&new, &service(&[]))),
        ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
    );
}

#[test]
fn source_ranges_of_an_annotation_are_looked_at_when_they_change() {
    let name = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let with_ranges = |ranges: &str, class: &str| {
        let mut all = metadata();
        all["annotations"] = json!({ name: ranges });
        service(&[
            ("/metadata", all),
            ("/spec/type", json!("LoadBalancer")),
            ("/spec/loadBalancerClass", json!("a/b")),
            ("/spec/selector", json!({ "a": class })),
        ])
    };
    let old = with_ranges("10.0.0.0/8, nowhere", "x");
    assert_eq!(messages(&service_create(&old)).len(), 1, "{:?}", service_create(&old));
    // What was let in once stays (`validateService`).
    let same = service_update(&with_ranges("10.0.0.0/8, nowhere", "y"), &old);
    assert_eq!(messages(&same), [""; 0]);
    let other = service_update(&with_ranges("10.0.0.0/8,nowhere", "y"), &old);
    assert_eq!(messages(&other).len(), 1, "{other:?}");
}
