#![allow(clippy::unwrap_used)]
//! Goldens are in `testdata/`; `UPDATE_GOLDEN=1` rewrites them. `nft -c -f testdata/<name>.nft` checks
//! one by hand.

use std::net::SocketAddr;
use std::path::Path;

use super::desired::{Changes, Desired};
use super::elements::{Map, Value, elements};
use super::render::{Local, Settings, full, incremental};
use crate::model::{Family, Protocol, ServiceName, ServicePort};
use crate::topology::Chosen;

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{} (UPDATE_GOLDEN=1 rewrites it)", path.display());
}

fn owner(name: &str) -> ServiceName {
    ServiceName {
        namespace: "default".into(),
        name: name.into(),
    }
}

fn service(ip: &str, port: u16) -> ServicePort {
    let ip = ip.parse().unwrap();
    ServicePort {
        name: "http".into(),
        family: Family::of(ip),
        protocol: Protocol::Tcp,
        cluster_ip: ip,
        port,
        node_port: 0,
        external_ips: Default::default(),
        internal_local: false,
        external_local: false,
        sticky: false,
    }
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

fn everywhere(list: &[&str]) -> Chosen {
    let list = addresses(list);
    Chosen {
        any: !list.is_empty(),
        internal: list.clone(),
        external: list.clone(),
        from_inside: list,
    }
}

fn settings() -> Settings {
    Settings {
        local: Local::Cidrs(vec!["10.244.0.0/16".into(), "fd00:10:244::/56".into()]),
        masquerade_bit: 14,
        masquerade_all: false,
        nodeport_addresses: Vec::new(),
    }
}

fn cluster() -> Desired {
    let mut desired = Desired::default();
    let plain = service("10.96.0.10", 80);
    desired.set(
        &owner("plain"),
        elements(&plain, &everywhere(&["10.244.0.5:8080", "10.244.1.5:8080"])),
    );
    let mut node_port = service("10.96.0.20", 443);
    (node_port.node_port, node_port.sticky) = (30443, true);
    node_port.external_ips = ["192.0.2.1".parse().unwrap()].into();
    desired.set(
        &owner("node-port"),
        elements(&node_port, &everywhere(&["10.244.0.6:8443"])),
    );
    let mut local = service("10.96.0.30", 53);
    (local.protocol, local.node_port, local.external_local) = (Protocol::Udp, 30053, true);
    let chosen = Chosen {
        any: true,
        internal: addresses(&["10.244.0.7:53", "10.244.1.7:53"]),
        external: addresses(&["10.244.0.7:53"]),
        from_inside: addresses(&["10.244.0.7:53", "10.244.1.7:53"]),
    };
    desired.set(&owner("local"), elements(&local, &chosen));
    let mut empty = service("10.96.0.40", 80);
    empty.node_port = 30040;
    desired.set(&owner("empty"), elements(&empty, &everywhere(&[])));
    let mut away = service("10.96.0.50", 80);
    away.internal_local = true;
    desired.set(
        &owner("away"),
        elements(
            &away,
            &Chosen {
                any: true,
                ..Chosen::default()
            },
        ),
    );
    desired
}

#[test]
fn a_whole_table() {
    golden("full.nft", &full(Family::V4, &settings(), &cluster().take_all()));
}

#[test]
fn a_whole_table_of_ipv6() {
    let mut desired = Desired::default();
    let mut service = service("fd00:10:96::a", 80);
    service.node_port = 30080;
    desired.set(
        &owner("six"),
        elements(&service, &everywhere(&["[fd00:10:244::5]:8080"])),
    );
    golden("full-ipv6.nft", &full(Family::V6, &settings(), &desired.take_all()));
}

#[test]
fn other_settings() {
    let settings = Settings {
        local: Local::Interface("cali*".into()),
        masquerade_bit: 15,
        masquerade_all: false,
        nodeport_addresses: vec!["192.0.2.0/24".into()],
    };
    golden("settings.nft", &full(Family::V4, &settings, &Changes::default()));
    let settings = Settings {
        masquerade_all: true,
        local: Local::Unknown,
        nodeport_addresses: vec!["fd00::/64".into()],
        ..settings
    };
    golden("settings-all.nft", &full(Family::V4, &settings, &Changes::default()));
}

#[test]
fn one_more_endpoint_changes_one_service_only() {
    let mut desired = cluster();
    desired.take_all();
    let more = everywhere(&["10.244.0.5:8080", "10.244.1.5:8080", "10.244.2.5:8080"]);
    desired.set(&owner("plain"), elements(&service("10.96.0.10", 80), &more));
    golden(
        "one-more-endpoint.nft",
        &incremental(Family::V4, &desired.take_changes()),
    );
    assert!(desired.take_changes().is_empty());
}

#[test]
fn a_service_removed_takes_its_elements_along() {
    let mut desired = cluster();
    desired.take_all();
    desired.set(&owner("local"), Vec::new());
    golden("service-removed.nft", &incremental(Family::V4, &desired.take_changes()));
}

#[test]
fn nothing_new_is_no_change() {
    let mut desired = cluster();
    desired.take_all();
    let same = elements(
        &service("10.96.0.10", 80),
        &everywhere(&["10.244.0.5:8080", "10.244.1.5:8080"]),
    );
    desired.set(&owner("plain"), Vec::new());
    desired.set(&owner("plain"), same);
    assert!(desired.take_changes().is_empty());
}

#[test]
fn an_element_that_two_services_want_goes_with_the_last() {
    let mut desired = Desired::default();
    let shared = ["10.244.0.5:8080"];
    desired.set(&owner("a"), elements(&service("10.96.0.1", 80), &everywhere(&shared)));
    desired.set(&owner("b"), elements(&service("10.96.0.2", 80), &everywhere(&shared)));
    desired.take_all();
    let hairpin = |changes: &Changes| changes.remove.iter().any(|(map, _)| *map == Map::Hairpin);
    desired.set(&owner("a"), Vec::new());
    assert!(!hairpin(&desired.take_changes()));
    desired.set(&owner("b"), Vec::new());
    assert!(hairpin(&desired.take_changes()));
}

#[test]
fn of_two_that_claim_one_key_the_first_has_it_until_it_goes() {
    let key = || (Map::Nodeports, "tcp . 30080".to_owned());
    let mut desired = Desired::default();
    desired.set(&owner("b"), vec![(key(), Value::Drop)]);
    desired.take_all();
    desired.set(&owner("a"), vec![(key(), Value::Reject)]);
    assert_eq!(desired.take_changes().add, [(key(), Value::Reject)]);
    desired.set(&owner("a"), Vec::new());
    assert_eq!(
        desired.take_changes(),
        Changes {
            remove: vec![key()],
            add: vec![(key(), Value::Drop)],
            ..Changes::default()
        }
    );
}
