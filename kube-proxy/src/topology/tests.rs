#![allow(clippy::unwrap_used)]
use super::*;
use crate::model::{Family, Protocol};

fn service(internal_local: bool, external_local: bool) -> ServicePort {
    ServicePort {
        name: String::new(),
        family: Family::V4,
        protocol: Protocol::Tcp,
        cluster_ip: "10.96.0.1".parse().unwrap(),
        port: 80,
        node_port: 30080,
        external_ips: Default::default(),
        internal_local,
        external_local,
        sticky: false,
    }
}

// "1 ready local", "2 ending", "3 dead", "4 ready zone=a"
fn endpoint(text: &str) -> Endpoint {
    let mut words = text.split(' ');
    let last: u8 = words.next().unwrap().parse().unwrap();
    let mut endpoint = Endpoint {
        address: SocketAddr::from(([10, 0, 0, last], 8080)),
        local: false,
        ready: false,
        serving: false,
        terminating: false,
        for_zones: Vec::new(),
        for_nodes: Vec::new(),
    };
    for word in words {
        match word {
            "ready" => (endpoint.ready, endpoint.serving) = (true, true),
            "ending" => (endpoint.serving, endpoint.terminating) = (true, true),
            "local" => endpoint.local = true,
            "dead" => {}
            word => match word.split_once('=').unwrap() {
                ("zone", zone) => endpoint.for_zones.push(zone.into()),
                ("node", node) => endpoint.for_nodes.push(node.into()),
                _ => panic!("{word}"),
            },
        }
    }
    endpoint
}

fn last(addresses: &[SocketAddr]) -> Vec<u8> {
    addresses
        .iter()
        .map(|address| address.ip().to_string().rsplit('.').next().unwrap().parse().unwrap())
        .collect()
}

#[track_caller]
fn check(policy: (bool, bool), endpoints: &[&str], internal: &[u8], external: &[u8], inside: &[u8]) {
    let node = NodeInfo {
        name: "n".into(),
        zone: Some("a".into()),
        ..NodeInfo::default()
    };
    let endpoints: Vec<_> = endpoints.iter().map(|text| endpoint(text)).collect();
    let chosen = choose(&service(policy.0, policy.1), &endpoints, &node);
    assert_eq!(last(&chosen.internal), internal, "internal");
    assert_eq!(last(&chosen.external), external, "external");
    assert_eq!(last(&chosen.from_inside), inside, "from inside");
}

const CLUSTER: (bool, bool) = (false, false);

#[test]
fn ready_endpoints_are_used_and_others_not() {
    check(
        CLUSTER,
        &["2 ready", "1 ready", "3 dead", "4 ending"],
        &[1, 2],
        &[1, 2],
        &[1, 2],
    );
}

#[test]
fn ending_endpoints_are_used_when_nothing_is_ready() {
    check(CLUSTER, &["3 dead", "4 ending", "5 ending"], &[4, 5], &[4, 5], &[4, 5]);
}

#[test]
fn local_policy_keeps_to_the_node_even_if_its_endpoints_are_ending() {
    let endpoints = ["1 ready", "2 ending local"];
    check((true, true), &endpoints, &[2], &[2], &[1]);
    check((false, true), &endpoints, &[1], &[2], &[1]);
}

#[test]
fn local_policy_without_local_endpoints_leads_nowhere() {
    check((true, true), &["1 ready"], &[], &[], &[1]);
}

#[test]
fn zone_hints_count_only_if_every_ready_endpoint_has_them_and_one_is_ours() {
    check(CLUSTER, &["1 ready zone=a", "2 ready zone=b"], &[1], &[1], &[1]);
    check(CLUSTER, &["1 ready zone=a", "2 ready"], &[1, 2], &[1, 2], &[1, 2]);
    check(
        CLUSTER,
        &["1 ready zone=c", "2 ready zone=b"],
        &[1, 2],
        &[1, 2],
        &[1, 2],
    );
}

#[test]
fn node_hints_come_before_zone_hints() {
    check(
        CLUSTER,
        &["1 ready node=n zone=b", "2 ready node=m zone=a"],
        &[1],
        &[1],
        &[1],
    );
}
