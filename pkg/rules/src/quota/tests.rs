#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceQuotaSpec};
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::resource_claims::Classes;
use super::*;
use crate::resources::ResourceList;

fn parsed<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

fn list(amounts: Value) -> ResourceList {
    let amounts: BTreeMap<String, String> = parsed(amounts);
    amounts
        .into_iter()
        .map(|(name, amount)| (name, amount.parse().unwrap()))
        .collect()
}

fn shown(list: &ResourceList) -> Value {
    json!(
        list.iter()
            .map(|(name, amount)| (name.clone(), amount.to_string()))
            .collect::<BTreeMap<_, _>>()
    )
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn container(name: &str, requests: Value, limits: Value) -> Value {
    json!({"name": name, "resources": {"requests": requests, "limits": limits}})
}

#[test]
fn names_say_which_kind_uses_them() {
    let classes = Classes::new(
        [parsed::<DeviceClass>(
            json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}}),
        )]
        .iter(),
    );
    let kinds = |name: &str| {
        let mut kinds = Vec::new();
        for (kind, uses) in [
            ("pods", pods::uses(name)),
            ("services", services::uses(name)),
            ("claims", claims::uses(name)),
            ("devices", resource_claims::uses(name, &classes)),
        ] {
            if uses {
                kinds.push(kind);
            }
        }
        kinds.join(" ")
    };
    for (name, wanted) in [
        ("pods", "pods"),
        ("count/pods", "pods"),
        ("limits.memory", "pods"),
        ("hugepages-2Mi", "pods"),
        ("requests.hugepages-2Mi", "pods"),
        ("limits.hugepages-2Mi", ""),
        ("requests.example.com/gpu", "pods devices"),
        ("requests.example.com/fpga", "pods"),
        ("example.com/gpu", ""),
        ("requests.gpu", ""),
        ("requests.deviceclass.resource.kubernetes.io/gpu", "pods devices"),
        ("requests.deviceclass.resource.kubernetes.io/none", "pods"),
        ("requests.storage", "claims"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "claims"),
        ("gold.storageclass.storage.k8s.io/cpu", ""),
        ("count/persistentvolumeclaims", "claims"),
        ("services.nodeports", "services"),
        ("count/services", "services"),
        ("gpu.deviceclass.resource.k8s.io/devices", "devices"),
        ("count/resourceclaims.resource.k8s.io", "devices"),
        ("configmaps", ""),
    ] {
        assert_eq!(kinds(name), wanted, "{name}");
    }
    assert_eq!(count_name("", "secrets"), "count/secrets");
    assert_eq!(count_name("apps", "deployments"), "count/deployments.apps");
    assert_eq!(old_name("", "secrets"), Some("secrets"));
    assert_eq!(old_name("example.com", "secrets"), None);
    assert_eq!(old_name("", "endpoints"), None);
    assert!(is_ignored("events.k8s.io", "events") && !is_ignored("example.com", "events"));
}

#[test]
fn a_pod_uses_what_it_asks_for_until_it_ends() {
    let spec = json!({"containers": [container("a", json!({"cpu": "1", "memory": "1Gi", "example.com/gpu": "2",
            "hugepages-2Mi": "4Mi", "deviceclass.resource.kubernetes.io/gpu": "3"}), json!({"cpu": "2"}))],
        "initContainers": [container("i", json!({"cpu": "3"}), json!({}))]});
    let all = json!({"count/pods": "1", "pods": "1", "cpu": "3", "requests.cpu": "3", "limits.cpu": "2",
        "memory": "1Gi", "requests.memory": "1Gi", "requests.example.com/gpu": "2", "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi", "requests.deviceclass.resource.kubernetes.io/gpu": "3"});
    let end = json!({"count/pods": "1"});
    let deleted = |second: i64| json!({"deletionTimestamp": Timestamp::from_second(second).unwrap(), "deletionGracePeriodSeconds": 30});
    for (metadata, phase, wanted) in [
        (json!({}), "Running", &all),
        (json!({}), "Pending", &all),
        (json!({}), "Succeeded", &end),
        (json!({}), "Failed", &end),
        (deleted(999_970), "Running", &all),
        (deleted(999_000), "Running", &end),
    ] {
        let pod: Pod = parsed(json!({"metadata": metadata, "spec": spec, "status": {"phase": phase}}));
        assert_eq!(&shown(&pods::usage(&pod, now())), wanted, "{metadata} {phase}");
    }
    let overdue: Pod = parsed(json!({"metadata": deleted(999_970), "spec": spec}));
    let a_moment_later = Timestamp::from_millisecond(1_000_000_001).unwrap();
    assert_eq!(shown(&pods::usage(&overdue, a_moment_later)), end);
}

#[test]
fn containers_say_what_a_quota_limits() {
    let limited = ["cpu", "limits.cpu", "memory", "pods", "requests.example.com/gpu"];
    let full = container("full", json!({"cpu": "1", "memory": "1"}), json!({"cpu": "1"}));
    for (spec, wanted) in [
        (json!({"containers": [full]}), None),
        (
            json!({"containers": [full, container("b", json!({"cpu": "1"}), json!({})),
                container("a", json!({"memory": "1"}), json!({"cpu": "1"}))]}),
            Some("must specify cpu for: a; limits.cpu for: b; memory for: b"),
        ),
        (
            json!({"containers": [full], "initContainers": [container("i", json!({}), json!({"cpu": "1"}))]}),
            Some("must specify cpu for: i; memory for: i"),
        ),
        (
            json!({"containers": [container("a", json!({}), json!({}))], "resources": {"requests": {"cpu": "1"}}}),
            None,
        ),
    ] {
        let pod: Pod = parsed(json!({"spec": spec}));
        assert_eq!(pods::missing(&pod, limited.into_iter()).as_deref(), wanted, "{spec}");
    }
}

#[test]
fn a_service_uses_ports_by_what_it_intends() {
    let ports = json!([{"port": 80}, {"port": 81, "nodePort": 30000}]);
    for (mut spec, balancers, node_ports) in [
        (json!({}), "0", "0"),
        (json!({"type": "ClusterIP"}), "0", "0"),
        (json!({"type": "NodePort"}), "0", "2"),
        (json!({"type": "LoadBalancer"}), "1", "2"),
        (
            json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}),
            "1",
            "1",
        ),
        (json!({"type": "ExternalName"}), "0", "0"),
    ] {
        spec["ports"] = ports.clone();
        let used = services::usage(&parsed(json!({"spec": spec})));
        let wanted = json!({"count/services": "1", "services": "1", "services.loadbalancers": balancers,
            "services.nodeports": node_ports});
        assert_eq!(shown(&used), wanted, "{spec}");
    }
}

#[test]
fn a_claim_uses_whole_bytes_of_its_class() {
    let claim = |asks: &str, allocated: Value| {
        parsed(
            json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": asks}}},
            "status": {"allocatedResources": allocated}}),
        )
    };
    for (claim, storage) in [
        (claim("1Gi", json!({})), "1Gi"),
        (claim("1Gi", json!({"storage": "2Gi"})), "2Gi"),
        (claim("3Gi", json!({"storage": "2Gi"})), "3Gi"),
        (claim("1500m", json!({})), "2"),
    ] {
        let used = claims::usage(&claim);
        let wanted = json!({"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1",
            "requests.storage": storage, "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "gold.storageclass.storage.k8s.io/requests.storage": storage});
        assert_eq!(shown(&used), wanted);
    }
    let bare = json!({"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1"});
    assert_eq!(shown(&claims::usage(&parsed(json!({})))), bare);
}

#[test]
fn a_resource_claim_uses_the_most_devices_it_may_get() {
    let classes = Classes::new(
        [parsed::<DeviceClass>(
            json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}}),
        )]
        .iter(),
    );
    let claim = parsed(json!({"spec": {"devices": {"requests": [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {"name": "b", "exactly": {"deviceClassName": "nic", "allocationMode": "All"}},
        {"name": "c", "firstAvailable": [
            {"name": "1", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3},
            {"name": "2", "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1},
            {"name": "3", "deviceClassName": "old", "allocationMode": "Later", "count": 1}]}]}}}));
    let charged =
        list(json!({"requests.example.com/gpu": "5", "requests.deviceclass.resource.kubernetes.io/gpu": "1"}));
    let wanted = json!({"count/resourceclaims.resource.k8s.io": "1", "gpu.deviceclass.resource.k8s.io/devices": "5",
        "nic.deviceclass.resource.k8s.io/devices": "32", "requests.deviceclass.resource.kubernetes.io/gpu": "4",
        "requests.deviceclass.resource.kubernetes.io/nic": "32"});
    assert_eq!(shown(&resource_claims::usage(&claim, &classes, &charged)), wanted);
}

#[test]
fn a_resource_claim_may_ask_for_more_devices_than_a_number_has_room_for() {
    let request = |name: &str| json!({"name": name, "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": i64::MAX}});
    let claim = parsed(json!({"spec": {"devices": {"requests": [request("a"), request("b")]}}}));
    let used = resource_claims::usage(&claim, &Classes::default(), &ResourceList::new());
    let hard = list(json!({"gpu.deviceclass.resource.k8s.io/devices": i64::MAX.to_string()}));
    assert_eq!(
        amounts::beyond(&used, &hard),
        ["gpu.deviceclass.resource.k8s.io/devices"]
    );
}

#[test]
fn what_a_pod_was_charged_for_is_not_charged_to_its_claim_again() {
    let claim = |name: &str, second: i64, uid: &str| {
        parsed::<ResourceClaim>(json!({"metadata": {"name": name,
            "creationTimestamp": Timestamp::from_second(second).unwrap(),
            "annotations": {"resource.kubernetes.io/extended-resource-claim": "true"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": true}]}}))
    };
    let pod = |status: Value| parsed::<Pod>(json!({"metadata": {"name": "p", "uid": "u"}, "status": status}));
    let of_b = json!({"extendedResourceClaimStatus": {"resourceClaimName": "b", "requestMappings": []}});
    let (first, second, other) = (claim("b", 1, "u"), claim("c", 1, "u"), claim("a", 0, "v"));
    let all = [first.clone(), second.clone(), other.clone()];
    for (claim, status, is_charged) in [
        (&first, json!({}), true),
        (&second, json!({}), false),
        (&other, json!({}), false),
        (&first, of_b.clone(), true),
        (&second, of_b, false),
        (&ResourceClaim::default(), json!({}), false),
    ] {
        let charged = resource_claims::charged(claim, &pod(status.clone()), all.iter(), now());
        assert_eq!(!charged.is_empty(), is_charged, "{:?} {status}", claim.metadata.name);
    }
}

#[test]
fn scopes_choose_pods_and_claims() {
    let class = |scope: &str, operator: &str, values: Value| {
        json!({"scopeSelector": {"matchExpressions": [
            {"scopeName": scope, "operator": operator, "values": values}]}})
    };
    let includes = |spec: &Value, pod: &Value| {
        let scopes = scopes::of_quota(&parsed::<ResourceQuotaSpec>(spec.clone()));
        scopes::include_pod(&scopes, &parsed(json!({"spec": pod})))
    };
    let asks = json!({"containers": [container("c", json!({"cpu": "1"}), json!({}))]});
    let mut short = asks.clone();
    short["activeDeadlineSeconds"] = json!(0);
    let high = json!({"containers": [], "priorityClassName": "high"});
    let far = json!({"containers": [], "affinity": {"podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "z", "namespaceSelector": {}}}]}}});
    let pods = [&asks, &short, &high, &far];
    for (spec, wanted) in [
        (json!({}), [true, true, true, true]),
        (json!({"scopes": ["Terminating"]}), [false, true, false, false]),
        (json!({"scopes": ["NotTerminating"]}), [true, false, true, true]),
        (json!({"scopes": ["BestEffort"]}), [false, false, true, true]),
        (
            json!({"scopes": ["NotBestEffort", "Terminating"]}),
            [false, true, false, false],
        ),
        (
            json!({"scopes": ["CrossNamespacePodAffinity"]}),
            [false, false, false, true],
        ),
        (
            json!({"scopes": ["VolumeAttributesClass"]}),
            [false, false, false, false],
        ),
        (
            class("PriorityClass", "In", json!(["high", "low"])),
            [false, false, true, false],
        ),
        (
            class("PriorityClass", "NotIn", json!(["high"])),
            [true, true, false, true],
        ),
        (
            class("PriorityClass", "NotIn", json!(["low"])),
            [true, true, true, true],
        ),
        (class("PriorityClass", "Exists", json!([])), [false, false, true, false]),
        (
            class("PriorityClass", "DoesNotExist", json!([])),
            [true, true, false, true],
        ),
    ] {
        assert_eq!(pods.map(|pod| includes(&spec, pod)), wanted, "{spec}");
    }
    let claims = [
        json!({}),
        json!({"spec": {"volumeAttributesClassName": "a"},
        "status": {"currentVolumeAttributesClassName": "b"}}),
    ];
    let vac = "VolumeAttributesClass";
    for (spec, wanted) in [
        (json!({}), [true, true]),
        (json!({"scopes": ["Terminating"]}), [false, false]),
        (json!({"scopes": [vac]}), [false, true]),
        (class(vac, "In", json!(["b"])), [false, true]),
        (class(vac, "NotIn", json!(["a"])), [true, true]),
        (class(vac, "NotIn", json!(["a", "b"])), [true, false]),
        (class(vac, "DoesNotExist", json!([])), [true, false]),
    ] {
        let scopes = scopes::of_quota(&parsed::<ResourceQuotaSpec>(spec.clone()));
        let included = [0, 1].map(|i| scopes::include_claim(&scopes, &parsed(claims[i].clone())));
        assert_eq!(included, wanted, "{spec}");
    }
}

#[test]
fn growth_is_never_below_nothing() {
    let now = list(json!({"cpu": "2", "memory": "1Gi", "pods": "1"}));
    let before = list(json!({"cpu": "500m", "memory": "2Gi", "services": "1"}));
    let growth = amounts::growth(&now, &before);
    assert_eq!(
        shown(&growth),
        json!({"cpu": "1500m", "memory": "0", "pods": "1", "services": "0"})
    );
    assert_eq!(amounts::describe(&amounts::without_zeros(&growth)), "cpu=1500m,pods=1");
    let hard = list(json!({"cpu": "1", "pods": "1", "configmaps": "0"}));
    assert_eq!(amounts::beyond(&growth, &hard), ["cpu"]);
}
