#![allow(clippy::unwrap_used)]
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;

use super::*;
use crate::model::{Family, Protocol};

fn service(spec: serde_json::Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "d"}, "spec": spec})).unwrap()
}

#[test]
fn headless_and_external_name_services_have_no_ports_here() {
    let ports = json!([{"port": 80}]);
    assert!(
        service_ports(&service(
            json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports})
        ))
        .is_empty()
    );
    assert!(
        service_ports(&service(
            json!({"type": "ExternalName", "externalName": "x", "ports": ports})
        ))
        .is_empty()
    );
}

#[test]
fn dual_stack_gives_each_port_per_family_and_keeps_addresses_apart() {
    let ports = service_ports(&service(json!({
        "type": "NodePort", "clusterIPs": ["10.96.0.1", "fd00::1"], "externalIPs": ["192.0.2.1"],
        "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
        "ports": [{"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053}]
    })));
    assert_eq!(
        ports.iter().map(|port| port.family).collect::<Vec<_>>(),
        [Family::V4, Family::V6]
    );
    assert_eq!(
        ports.iter().map(|port| port.external_ips.len()).collect::<Vec<_>>(),
        [1, 0]
    );
    assert!(
        ports
            .iter()
            .all(|port| port.protocol == Protocol::Udp && port.node_port == 30053)
    );
    assert!(
        ports
            .iter()
            .all(|port| port.external_local && port.sticky && !port.internal_local)
    );
}

#[test]
fn a_node_port_left_over_on_a_cluster_ip_service_is_ignored() {
    let ports = service_ports(&service(
        json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80, "nodePort": 30080}]}),
    ));
    assert_eq!(ports[0].node_port, 0);
}

fn slice(ports: serde_json::Value, endpoints: serde_json::Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"name": "web-1", "namespace": "d", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints
    }))
    .unwrap()
}

#[test]
fn endpoints_are_found_by_port_name_and_protocol() {
    let service =
        service(json!({"clusterIP": "10.96.0.1", "ports": [{"name": "web", "port": 80, "targetPort": "http"}]}));
    let port = &service_ports(&service)[0];
    let slices = [
        slice(
            json!([{"name": "web", "protocol": "TCP", "port": 8080}, {"name": "other", "port": 1}]),
            json!([
                {"addresses": ["10.0.0.1"], "nodeName": "here", "conditions": {}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}}
            ]),
        ),
        slice(
            json!([{"name": "web", "protocol": "UDP", "port": 9}]),
            json!([{"addresses": ["10.0.0.9"]}]),
        ),
    ];
    assert_eq!(service_of(&slices[0]).unwrap(), "d/web");
    let found = endpoints(port, &slices, "here");
    let short: Vec<_> = found
        .iter()
        .map(|e| (e.address.to_string(), e.local, e.ready, e.serving, e.terminating))
        .collect();
    assert_eq!(
        short,
        [
            ("10.0.0.1:8080".to_owned(), true, true, true, false),
            ("10.0.0.2:8080".to_owned(), false, false, true, true)
        ]
    );
}

#[test]
fn an_address_in_two_slices_counts_once_and_as_ready() {
    let service = service(json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}));
    let not_ready = slice(
        json!([{"port": 8080}]),
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]),
    );
    let ready = slice(
        json!([{"port": 8080}]),
        json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]),
    );
    let found = endpoints(&service_ports(&service)[0], [&not_ready, &ready], "here");
    assert_eq!(found.len(), 1);
    assert!(found[0].ready);
}

#[test]
fn a_node_going_away_is_not_eligible() {
    let node = |taint: &str| -> Node {
        serde_json::from_value(
            json!({"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {"podCIDRs": ["10.244.0.0/24"], "taints": [{"key": taint, "effect": "NoSchedule"}]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}]}}),
        )
        .unwrap()
    };
    let info = node_info("n", Some(&node("x")));
    assert!(info.eligible && info.zone.as_deref() == Some("a") && info.pod_cidrs == ["10.244.0.0/24"]);
    assert!(!node_info("n", Some(&node(TO_BE_DELETED))).eligible);
    assert!(node_info("n", None).eligible);
}
