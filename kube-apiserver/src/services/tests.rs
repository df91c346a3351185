#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex as Lock;
use serde_json::{Value, json};

use super::cluster_ips::ClusterIps;
use super::node_ports::{NodePorts, Ports};
use super::service_range::ServiceRange;
use super::*;
use crate::objects::memory::MemoryObjects;
use crate::registry::options::{DeleteOptions, ListOptions};

#[derive(Default, Clone)]
struct MemoryPorts(Arc<Lock<(BTreeSet<u16>, i64)>>);

#[async_trait]
impl Ports for MemoryPorts {
    async fn load(&self, _: (u16, u16)) -> Result<(BTreeSet<u16>, i64)> {
        // As a store would, it lets others go on meanwhile.
        let now = self.0.lock().clone();
        tokio::task::yield_now().await;
        Ok(now)
    }
    async fn store(&self, _: (u16, u16), used: &BTreeSet<u16>, version: i64) -> Result<bool> {
        let mut s = self.0.lock();
        if s.1 != version {
            return Ok(false);
        }
        *s = (used.clone(), version + 1);
        Ok(true)
    }
}

struct Fixture {
    objects: Arc<MemoryObjects>,
    ports: MemoryPorts,
    allocators: Allocators,
}

fn fixture(ranges: &[&str]) -> Fixture {
    let objects = MemoryObjects::with(&[]);
    let ports = MemoryPorts::default();
    let ranges = ranges.iter().map(|r| ServiceRange::parse(r).unwrap()).collect();
    let allocators = Allocators {
        objects: objects.clone(),
        ips: ClusterIps::new(objects.clone(), ranges),
        ports: NodePorts::new(ports.clone(), (30000, 30031)),
    };
    Fixture {
        objects,
        ports,
        allocators,
    }
}

fn service(spec: Value) -> Value {
    json!({"metadata": {"name": "s", "namespace": "ns"}, "spec": spec})
}

impl Fixture {
    async fn write(&self, mut new: Value, old: Option<&Value>) -> Result<(Value, Moves)> {
        let mut moves = Moves::default();
        self.allocators.allocate(&mut new, old, "ns", false, &mut moves).await?;
        Ok((new, moves))
    }
}

#[tokio::test]
async fn a_service_gets_an_address_and_gives_it_back() {
    let f = fixture(&["10.96.0.0/12"]);
    let (s, _) = f.write(service(json!({"ports":[{"port":80}]})), None).await.unwrap();
    let ip = s["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert_eq!(s["spec"]["clusterIPs"], json!([ip]));
    assert_eq!(
        (&s["spec"]["ipFamilies"], &s["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    let object = f
        .objects
        .get("networking.k8s.io", "ipaddresses", "", &ip)
        .await
        .unwrap();
    assert_eq!(
        object["spec"]["parentRef"],
        json!({"group":"","resource":"services","namespace":"ns","name":"s"})
    );
    assert_eq!(
        object["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"],
        "ipallocator.k8s.io"
    );
    f.allocators.released(&s).await;
    assert!(f.objects.names("networking.k8s.io", "ipaddresses").is_empty());
}

#[tokio::test]
async fn wrong_requests_are_invalid() {
    let f = fixture(&["10.96.0.0/12"]);
    f.write(
        service(json!({"clusterIP":"10.96.0.10","type":"NodePort","ports":[{"port":80,"nodePort":30001}]})),
        None,
    )
    .await
    .unwrap();
    for (spec, text) in [
        (
            json!({"clusterIP":"10.96.0.10"}),
            r#"spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated"#,
        ),
        (
            json!({"clusterIP":"1.2.3.4"}),
            "failed to allocate IP 1.2.3.4: the provided network does not match the current range",
        ),
        (
            json!({"type":"NodePort","ports":[{"port":80,"nodePort":30001}]}),
            "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated",
        ),
        (
            json!({"type":"NodePort","ports":[{"port":80,"nodePort":80}]}),
            "provided port is not in the valid range. The range of valid ports is 30000-30031",
        ),
        (
            json!({"ipFamilyPolicy":"RequireDualStack"}),
            "this cluster is not configured for dual-stack services",
        ),
        (json!({"ipFamilies":["IPv6"]}), "not configured on this cluster"),
    ] {
        let err = f.write(service(spec), None).await.unwrap_err();
        assert_eq!(err.code, 422);
        assert!(err.message.contains(text), "{}", err.message);
    }
}

#[tokio::test]
async fn headless_and_external_services_take_nothing() {
    let f = fixture(&["10.96.0.0/12"]);
    let (s, m) = f
        .write(service(json!({"clusterIP":"None","selector":{"a":"b"}})), None)
        .await
        .unwrap();
    assert_eq!(s["spec"]["clusterIPs"], json!(["None"]));
    assert_eq!(s["spec"]["ipFamilies"], json!(["IPv4"]));
    assert_eq!(m.taken, Holdings::default());
    let (s, _) = f.write(service(json!({"clusterIP":"None"})), None).await.unwrap();
    assert_eq!(
        (&s["spec"]["ipFamilyPolicy"], &s["spec"]["ipFamilies"]),
        (&json!("RequireDualStack"), &json!(["IPv4", "IPv6"]))
    );
    let (s, m) = f
        .write(service(json!({"type":"ExternalName","externalName":"x"})), None)
        .await
        .unwrap();
    assert!(s["spec"].get("clusterIP").is_none());
    assert_eq!(m.taken, Holdings::default());
}

#[tokio::test]
async fn updates_keep_move_and_release() {
    let f = fixture(&["10.96.0.0/24"]);
    let (old, _) = f
        .write(
            service(json!({"type":"NodePort","ports":[
                {"name":"a","port":80},{"name":"b","port":80,"protocol":"UDP"},{"name":"c","port":81}]})),
            None,
        )
        .await
        .unwrap();
    let ports = &old["spec"]["ports"];
    assert_eq!(ports[0]["nodePort"], ports[1]["nodePort"]);
    assert_ne!(ports[0]["nodePort"], ports[2]["nodePort"]);
    assert_eq!(f.ports.0.lock().0.len(), 2);
    // Leaving them out keeps them.
    let (same, moves) = f
        .write(
            service(json!({"type":"NodePort","ports":[{"name":"a","port":80},{"name":"c","port":8081}]})),
            Some(&old),
        )
        .await
        .unwrap();
    assert_eq!(same["spec"]["clusterIP"], old["spec"]["clusterIP"]);
    assert_eq!(same["spec"]["ports"][0]["nodePort"], ports[0]["nodePort"]);
    assert_eq!(same["spec"]["ports"][1]["nodePort"], ports[2]["nodePort"]);
    assert_eq!((moves.taken, moves.dropped), (Holdings::default(), Holdings::default()));
    // A narrower type lets go of the ports, ExternalName of all.
    let mut narrow = old.clone();
    narrow["spec"]["type"] = json!("ClusterIP");
    let (narrow, moves) = f.write(narrow, Some(&old)).await.unwrap();
    assert!(narrow["spec"]["ports"][0].get("nodePort").is_none());
    assert_eq!(moves.dropped.ports.len(), 2);
    let mut external = old.clone();
    external["spec"]["type"] = json!("ExternalName");
    let (external, moves) = f.write(external, Some(&old)).await.unwrap();
    assert!(external["spec"].get("clusterIP").is_none());
    assert_eq!((moves.dropped.ips.len(), moves.dropped.ports.len()), (1, 2));
}

#[tokio::test]
async fn dual_stack_takes_one_of_each() {
    let f = fixture(&["10.96.0.0/24", "fd00::/112"]);
    let (s, _) = f
        .write(service(json!({"ipFamilyPolicy":"PreferDualStack"})), None)
        .await
        .unwrap();
    assert_eq!(s["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert_eq!(s["spec"]["clusterIPs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_small_range_is_used_up_then_full() {
    let f = fixture(&["10.0.0.0/29"]);
    for _ in 0..6 {
        f.write(service(json!({})), None).await.unwrap();
    }
    let err = f.write(service(json!({})), None).await.unwrap_err();
    assert_eq!(
        (err.code, err.message.as_str()),
        (
            500,
            "Internal error occurred: failed to allocate a serviceIP for Service \"s\": range is full"
        )
    );
}

#[tokio::test]
async fn repair_marks_what_is_used_and_frees_the_rest() {
    let f = fixture(&["10.96.0.0/24"]);
    f.objects.put(
        "",
        "services",
        service(
            json!({"type":"NodePort","clusterIP":"10.96.0.5","clusterIPs":["10.96.0.5"],"ports":[{"nodePort":30005}]}),
        ),
    );
    let mut leaked = super::cluster_ips::object("10.96.0.9".parse().unwrap(), "ns", "gone");
    leaked["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    f.objects.put("networking.k8s.io", "ipaddresses", leaked);
    f.ports.0.lock().0.insert(30031);
    for _ in 0..2 {
        f.allocators.repair().await.unwrap();
        // A port without Service may belong to one that is being written.
        assert_eq!(f.ports.0.lock().0, BTreeSet::from([30005, 30031]));
    }
    f.allocators.repair().await.unwrap();
    assert_eq!(f.objects.names("networking.k8s.io", "ipaddresses"), ["10.96.0.5"]);
    assert_eq!(f.ports.0.lock().0, BTreeSet::from([30005]));
}

#[test]
fn the_stored_range_is_gos_big_int() {
    let used = BTreeSet::from([30000, 30009]);
    let bytes = range_allocation::encode((30000, 32767), &used);
    assert!(bytes.starts_with(b"k8s\0"));
    // Bits 0 and 9, most significant byte first, no leading zeros.
    assert!(bytes.windows(4).any(|w| w == [0x1a, 2, 0b10, 0b1]), "{bytes:?}");
    assert!(bytes.ends_with(&[0x1a, 0, 0x22, 0]));
    assert_eq!(range_allocation::decode(&bytes).unwrap(), (30000, used));
}

#[test]
fn ranges_leave_out_network_and_broadcast() {
    let r = ServiceRange::parse("10.96.0.7/24").unwrap();
    assert_eq!(r.cidr(), "10.96.0.0/24");
    assert_eq!(r.first(), Some("10.96.0.1".parse().unwrap()));
    for (ip, ok) in [
        ("10.96.0.0", false),
        ("10.96.0.1", true),
        ("10.96.0.254", true),
        ("10.96.0.255", false),
        ("10.96.1.1", false),
        ("::1", false),
    ] {
        assert_eq!(r.contains(ip.parse().unwrap()), ok, "{ip}");
    }
    assert!(ServiceRange::parse("10.0.0.0/33").is_err());
    let all: BTreeSet<IpAddr> = r.candidates().collect();
    assert_eq!(all.len(), 254);
}

#[test]
fn a_changed_type_takes_along_what_it_can_use_only() {
    let from = json!({
        "type": "LoadBalancer", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
        "allocateLoadBalancerNodePorts": true, "loadBalancerClass": "a/b", "ports": [{"port": 80, "nodePort": 30000}],
    });
    let change = |changes: Value| {
        let mut spec = from.clone();
        for (field, value) in changes.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let mut new = service(spec);
        fields::carry_over(&mut new, &service(from.clone()));
        new["spec"].take()
    };
    let addresses = json!({"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "ports": [{"port": 80}], "type": "ClusterIP"});
    assert_eq!(change(json!({"type": "ClusterIP"})), addresses);
    assert_eq!(
        change(json!({"type": "ExternalName", "externalName": "a.b"})),
        json!({"type": "ExternalName", "externalName": "a.b", "ports": [{"port": 80}]})
    );
    // What the client changed as well is left for validation to refuse.
    let odd = change(json!({"type": "ClusterIP", "externalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "nodePort": 30009}]}));
    assert_eq!(odd["externalTrafficPolicy"], "Cluster");
    assert_eq!(odd["ports"][0]["nodePort"], 30009);
    let node_port = change(json!({"type": "NodePort"}));
    assert_eq!(node_port["ports"][0]["nodePort"], 30000);
    assert_eq!(node_port["externalTrafficPolicy"], "Local");
    assert_eq!(node_port.get("loadBalancerClass"), None);
}

#[tokio::test]
async fn families_and_policy_follow_what_is_written() {
    let dual = fixture(&["10.96.0.0/24", "fd00::/112"]);
    let single = fixture(&["10.96.0.0/24"]);
    for (f, spec, want) in [
        (&dual, json!({}), Ok((json!(["IPv4"]), "SingleStack", 1))),
        (
            &dual,
            json!({"ipFamilies": ["IPv6"]}),
            Ok((json!(["IPv6"]), "SingleStack", 1)),
        ),
        (
            &dual,
            json!({"clusterIP": "fd00::5"}),
            Ok((json!(["IPv6"]), "SingleStack", 1)),
        ),
        (
            &dual,
            json!({"ipFamilyPolicy": "RequireDualStack", "clusterIP": "fd00::6"}),
            Ok((json!(["IPv6", "IPv4"]), "RequireDualStack", 2)),
        ),
        (
            &single,
            json!({"ipFamilyPolicy": "PreferDualStack"}),
            Ok((json!(["IPv4"]), "PreferDualStack", 1)),
        ),
        (
            &dual,
            json!({"ipFamilies": ["IPv4", "IPv6"]}),
            Err(
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
            ),
        ),
        (
            &single,
            json!({"clusterIP": "fd00::7"}),
            Err("spec.clusterIPs[0]: Invalid value: [\"fd00::7\"]: IPv6 is not configured on this cluster"),
        ),
        (
            &single,
            json!({"ipFamilyPolicy": "RequireDualStack"}),
            Err(
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
            ),
        ),
    ] {
        match (f.write(service(spec.clone()), None).await, want) {
            (Ok((s, _)), Ok((families, policy, ips))) => {
                let spec = &s["spec"];
                assert_eq!(
                    (
                        &spec["ipFamilies"],
                        spec["ipFamilyPolicy"].as_str(),
                        spec["clusterIPs"].as_array().map(Vec::len)
                    ),
                    (&families, Some(policy), Some(ips))
                );
            }
            (Err(e), Err(part)) => assert!(e.message.contains(part), "{}", e.message),
            (got, want) => panic!("{spec}: {got:?} is not {want:?}"),
        }
    }
}

#[tokio::test]
async fn a_service_moves_between_one_and_two_stacks_only_when_told() {
    let f = fixture(&["10.96.0.0/24", "fd00::/112"]);
    let (one, _) = f.write(service(json!({})), None).await.unwrap();
    let mut two = one.clone();
    two["spec"]["ipFamilyPolicy"] = json!("PreferDualStack");
    let (two, moves) = f.write(two, Some(&one)).await.unwrap();
    assert_eq!((moves.taken.ips.len(), moves.dropped.ips.len()), (1, 0));
    assert_eq!(two["spec"]["clusterIPs"][0], one["spec"]["clusterIPs"][0]);
    // Leaving fields out keeps both.
    let (same, moves) = f.write(service(json!({})), Some(&two)).await.unwrap();
    assert_eq!(same["spec"]["clusterIPs"], two["spec"]["clusterIPs"]);
    assert_eq!((moves.taken, moves.dropped), (Holdings::default(), Holdings::default()));
    let mut reduced = two.clone();
    reduced["spec"]["clusterIPs"] = json!([two["spec"]["clusterIPs"][0]]);
    let e = f.write(reduced, Some(&two)).await.unwrap_err();
    assert!(
        e.message
            .contains("must be 'SingleStack' to release the secondary cluster IP"),
        "{}",
        e.message
    );
    let mut back = two.clone();
    back["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    let (back, moves) = f.write(back, Some(&two)).await.unwrap();
    assert_eq!((moves.taken.ips.len(), moves.dropped.ips.len()), (0, 1));
    assert_eq!(back["spec"]["ipFamilies"], json!(["IPv4"]));
}

#[tokio::test]
async fn addresses_come_from_every_service_cidr_that_is_ready() {
    let f = fixture(&["10.0.0.0/29"]);
    let cidr = |name: &str, cidr: &str, ready: &str| {
        json!({"metadata": {"name": name}, "spec": {"cidrs": [cidr]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    };
    f.objects.put(
        "networking.k8s.io",
        "servicecidrs",
        cidr("kubernetes", "10.0.0.0/29", "True"),
    );
    f.objects
        .put("networking.k8s.io", "servicecidrs", cidr("new", "10.1.0.0/29", "False"));
    for _ in 0..6 {
        f.write(service(json!({})), None).await.unwrap();
    }
    assert!(f.write(service(json!({})), None).await.is_err());
    f.objects
        .put("networking.k8s.io", "servicecidrs", cidr("new", "10.1.0.0/29", "True"));
    let (s, _) = f.write(service(json!({})), None).await.unwrap();
    assert!(text(&s, "/spec/clusterIP").starts_with("10.1.0."), "{s}");
}

#[tokio::test]
async fn node_ports_of_new_services_are_shared_by_number() {
    let f = fixture(&["10.96.0.0/24"]);
    let write = |spec: Value| async { f.write(service(spec), None).await.map(|(s, _)| s["spec"].clone()) };
    let s = write(json!({"type": "NodePort", "ports": [
        {"port": 80, "protocol": "UDP"}, {"port": 80, "nodePort": 30005}]}))
    .await
    .unwrap();
    assert_eq!(
        (&s["ports"][0]["nodePort"], &s["ports"][1]["nodePort"]),
        (&json!(30005), &json!(30005))
    );
    let e = write(json!({"type": "NodePort", "ports": [
        {"port": 80, "nodePort": 30006}, {"port": 81, "protocol": "UDP", "nodePort": 30006}]}))
    .await
    .unwrap_err();
    assert!(
        e.message
            .contains("spec.ports[1].nodePort: Invalid value: 30006: provided port is already allocated")
    );
    // A load balancer without ports of its own gets those it asks for, and no others.
    let s = write(
        json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [
        {"name": "a", "port": 80, "nodePort": 30007}, {"name": "b", "port": 81}]}),
    )
    .await
    .unwrap();
    assert_eq!(
        (s["ports"][0]["nodePort"].as_u64(), s["ports"][1].get("nodePort")),
        (Some(30007), None)
    );
    assert!(f.ports.0.lock().0.contains(&30007));
    let e = write(
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30007,
        "ports": [{"port": 80}]}),
    )
    .await
    .unwrap_err();
    assert_eq!(
        (e.code, e.message.as_str()),
        (
            500,
            "Internal error occurred: failed to allocate requested HealthCheck NodePort 30007: provided port is already allocated"
        )
    );
}

/// Allocators over a store, and the store of Services.
fn stored() -> (Arc<Registry>, Allocators, Arc<Store>) {
    let registry = Registry::new(Arc::new(crate::storage::memory::Memory::default()), Default::default());
    let ranges = vec![ServiceRange::parse("10.96.0.0/24").unwrap()];
    let allocators = Allocators::new(registry.clone(), ranges, (30000, 30031));
    let store = registry.store("", "services").unwrap().clone();
    (registry, allocators, store)
}

#[tokio::test]
async fn the_address_of_a_service_with_a_generated_name_knows_the_name() {
    let (registry, allocators, store) = stored();
    let ctx = RequestContext::internal_for("create", "", "v1", "services", "ns", "");
    let mut obj = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"generateName": "s-", "namespace": "ns"},
        "spec": {"ports": [{"port": 80}]}});
    store.strategy.default(&mut obj);
    let made = allocators
        .create(&store, &ctx, "ns", obj, &crate::registry::NoHooks)
        .await
        .unwrap()
        .value();
    let (name, ip) = (text(&made, "/metadata/name"), text(&made, "/spec/clusterIP"));
    assert!(name.len() > 2, "{made}");
    let address = registry.get("networking.k8s.io", "ipaddresses", "", ip).await.unwrap();
    assert_eq!(text(&address, "/spec/parentRef/name"), name);
}

#[tokio::test]
async fn many_services_at_once_all_get_their_ports() {
    let ports = NodePorts::new(MemoryPorts::default(), (30000, 30099));
    let each = |_| async {
        let (mut service, mut taken) = (
            service(json!({"type": "NodePort", "ports": [{"port": 80}]})),
            BTreeSet::new(),
        );
        let done = ports.allocate(&mut service, None, false, &mut taken, &mut vec![]).await;
        done.map(|()| taken)
    };
    let all = futures::future::try_join_all((0..100).map(each)).await.unwrap();
    let different: BTreeSet<u16> = all.into_iter().flatten().collect();
    assert_eq!(different.len(), 100);
}

/// Gives back what a Service had that is gone, as the admission of requests does.
struct Releasing<'a>(&'a Allocators);

#[async_trait::async_trait]
impl Hooks for Releasing<'_> {
    async fn admit(&self, _obj: &mut Value, _old: Option<&Value>) -> Result<()> {
        Ok(())
    }
    async fn validate(&self, _obj: Option<&Value>, _old: Option<&Value>) -> Result<()> {
        Ok(())
    }
    async fn gone(&self, obj: &Value) {
        self.0.released(obj).await;
    }
}

#[tokio::test]
async fn what_a_service_has_stays_with_it_until_it_is_gone() {
    let (registry, allocators, store) = stored();
    let (allocators, hooks) = (&allocators, &Releasing(&allocators));
    let ctx = RequestContext::internal_for("create", "", "v1", "services", "ns", "");
    let mut obj = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "s", "namespace": "ns", "finalizers": ["x.io/wait"]}, "spec": {"ports": [{"port": 80}]}});
    store.strategy.default(&mut obj);
    let made = allocators.create(&store, &ctx, "ns", obj, hooks).await.unwrap().value();
    let ip = text(&made, "/spec/clusterIP");
    let held = || async { registry.get("networking.k8s.io", "ipaddresses", "", ip).await.is_ok() };
    let (list, options) = (ListOptions::default(), DeleteOptions::default());
    store
        .delete_collection(&ctx, "ns", &list, &options, hooks)
        .await
        .unwrap();
    assert!(held().await, "the Service waits for its finalizer");
    let deleted = store.delete(&ctx, "ns", "s", &options, hooks).await.unwrap();
    assert!(!deleted.gone && held().await);

    let last = |old: &Value| {
        let mut new = old.clone();
        meta::remove(&mut new, "finalizers");
        Ok(new)
    };
    let dry = RequestContext {
        dry_run: true,
        ..ctx.clone()
    };
    allocators.update(&store, &dry, "ns", "s", &last, hooks).await.unwrap();
    assert!(held().await, "a dry run gives nothing back");
    allocators.update(&store, &ctx, "ns", "s", &last, hooks).await.unwrap();
    assert!(store.get("ns", "s").await.is_err());
    assert!(!held().await, "nobody has the address any more");
}
