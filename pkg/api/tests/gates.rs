//! Rules that ask feature gates, with the gates as they are not by default. They are one word for the process, so this
//! is one test of its own.

use std::collections::BTreeMap;

use api::k8s::api::apps::v1::StatefulSet;
use api::k8s::api::autoscaling::v2::HorizontalPodAutoscaler;
use api::k8s::api::batch::v1::Job;
use api::k8s::api::core::v1::{PersistentVolume, Pod, Service};
use api::k8s::api::networking::v1::Ingress;
use api::k8s::api::resource::v1::ResourceClaim;
use api::k8s::api::storage::v1::CSIDriver;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// An object of a kind.
fn object<T: DeserializeOwned>(spec: &Value) -> T {
    let meta = json!({"name": "x", "namespace": "n", "uid": "u", "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z"});
    let mut value = json!({"metadata": meta});
    for (field, part) in spec.as_object().expect("parts") {
        value[field] = part.clone();
    }
    serde_json::from_value(value).expect("an object of the kind")
}

fn pod(changes: &Value) -> Vec<String> {
    let mut spec = json!({"containers": [{"name": "c", "image": "i"}]});
    for (field, value) in changes.as_object().expect("fields") {
        spec[field] = value.clone();
    }
    let mut pod: Pod = object(&json!({"spec": spec}));
    api::core::v1::defaults::pod(&mut pod);
    texts(&api::core::v1::validation::pod_create(&pod))
}

fn texts(errors: &apimachinery::field::ErrorList) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn autoscaler() -> Vec<String> {
    let obj: HorizontalPodAutoscaler = object(&json!({"spec": {"minReplicas": 0, "maxReplicas": 1,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
        {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}}]}}));
    texts(&api::autoscaling::v2::validation::horizontal_pod_autoscaler_create(
        &obj,
    ))
}

fn volume() -> Vec<String> {
    let of = |zone: &str| -> PersistentVolume {
        let mut obj: PersistentVolume = object(&json!({"spec": {"capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/d"}, "nodeAffinity": {"required":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}]}}}}));
        obj.metadata.namespace = None;
        api::core::v1::defaults::persistent_volume(&mut obj);
        obj
    };
    texts(&api::core::v1::validation::persistent_volume_update(&of("b"), &of("a")))
}

fn service(name: &str, address: &str) -> Vec<String> {
    let mut obj: Service = object(&json!({"spec": {"ports": [{"port": 80}], "externalIPs": [address]}}));
    obj.metadata.name = Some(name.to_owned());
    api::core::v1::defaults::service(&mut obj);
    texts(&api::core::v1::validation::service_create(&obj))
}

fn ingress() -> Vec<String> {
    let obj: Ingress = object(&json!({"spec": {"defaultBackend": {"service": {"name": "1a", "port": {"number": 1}}}}}));
    texts(&api::networking::v1::validation::ingress_create(&obj))
}

fn suspended_job() -> Vec<String> {
    let of = |cpu: &str| -> Job {
        let labels = json!({"batch.kubernetes.io/job-name": "x", "batch.kubernetes.io/controller-uid": "u",
            "job-name": "x", "controller-uid": "u"});
        let mut obj: Job = object(&json!({"spec": {"suspend": true,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
            "template": {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [
                {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]}}}}));
        api::batch::v1::defaults::job(&mut obj);
        obj
    };
    texts(&api::batch::v1::validation::job_update(&of("2"), &of("1")))
}

fn constraint() -> Vec<String> {
    let mut obj: ResourceClaim = object(&json!({"spec": {"devices": {
        "requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}], "constraints": [{"requests": ["r"]}]}}}));
    api::resource::v1::defaults::resource_claim(&mut obj);
    texts(&api::resource::v1::validation::resource_claim_create(&obj))
}

/// What the rules say, by gate; the first error of each, without its value.
fn said() -> BTreeMap<&'static str, Option<String>> {
    let first = |errors: Vec<String>| errors.into_iter().next();
    let spread: StatefulSet = {
        let mut obj = object(&json!({"spec": {"serviceName": "s", "selector": {}, "template": {}}}));
        api::apps::v1::defaults::stateful_set(&mut obj);
        obj
    };
    let driver: CSIDriver = {
        let mut obj = object(&json!({"spec": {}}));
        api::storage::v1::defaults::csi_driver(&mut obj);
        obj
    };
    let updating = spread.spec.and_then(|s| s.update_strategy?.rolling_update);
    let tolerations = json!([{"key": "a", "operator": "Gt", "value": "5"}]);
    let whole = json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}],
        "resources": {"limits": {"cpu": "2"}}});
    let whole: Pod = {
        let mut pod = object(&json!({"spec": whole}));
        api::core::v1::defaults::pod(&mut pod);
        pod
    };
    let whole = whole.spec.and_then(|s| s.resources?.requests);
    BTreeMap::from([
        ("HPAScaleToZero", first(autoscaler())),
        ("DRAConsumableCapacity", first(constraint())),
        (
            "MaxUnavailableStatefulSet",
            updating.and_then(|u| u.max_unavailable).map(|m| format!("{m:?}")),
        ),
        ("MutablePVNodeAffinity", first(volume())),
        ("MutablePodResourcesForSuspendedJobs", first(suspended_job())),
        (
            "PodLevelResources",
            whole.map(|r| r.keys().cloned().collect::<Vec<_>>().join(",")),
        ),
        (
            "RelaxedServiceNameValidation",
            first(service("1a", "10.0.0.1")).or(first(ingress())),
        ),
        (
            "SELinuxMount",
            first(pod(&json!({"securityContext": {"seLinuxChangePolicy": "MountOption"}}))),
        ),
        ("StrictIPCIDRValidation", first(service("a", "010.0.0.1"))),
        (
            "TaintTolerationComparisonOperators",
            first(pod(&json!({"tolerations": tolerations}))),
        ),
        (
            "UserNamespacesHostNetworkSupport",
            first(pod(&json!({"hostUsers": false, "hostNetwork": true}))),
        ),
        (
            "VolumeLimitScaling",
            driver.spec.prevent_pod_scheduling_if_missing.map(|p| p.to_string()),
        ),
    ])
}

#[test]
fn rules_follow_the_gates() {
    let by_default = said();
    let defaults: BTreeMap<&str, bool> = api::gates::defaults().collect();
    api::gates::decide(|gate| !defaults[gate]);
    let flipped = said();
    api::gates::decide(|gate| defaults[gate]);
    assert_eq!(said(), by_default, "the gates are back");
    for (gate, was) in &by_default {
        let (off, on) = match defaults[gate] {
            true => (&flipped[gate], was),
            false => (was, &flipped[gate]),
        };
        // What is refused, or what a default says.
        let want: (Option<&str>, Option<&str>) = match *gate {
            "HPAScaleToZero" => (Some("spec.minReplicas"), None),
            "DRAConsumableCapacity" => (
                Some("spec.devices.constraints[0].matchAttribute"),
                Some("spec.devices.constraints[0]: Required value: exactly one of"),
            ),
            "MaxUnavailableStatefulSet" => (None, Some("Int(1)")),
            "MutablePVNodeAffinity" => (Some("nodeAffinity: Invalid value"), None),
            "MutablePodResourcesForSuspendedJobs" => (Some("spec.template: Invalid value"), None),
            "PodLevelResources" => (None, Some("cpu")),
            "RelaxedServiceNameValidation" => (Some("metadata.name"), None),
            "SELinuxMount" => (Some("spec.securityContext.seLinuxChangePolicy"), None),
            "StrictIPCIDRValidation" => (None, Some("spec.externalIPs[0]")),
            "TaintTolerationComparisonOperators" => (Some("spec.tolerations[0].operator"), None),
            "UserNamespacesHostNetworkSupport" => (Some("spec.hostNetwork"), None),
            "VolumeLimitScaling" => (None, Some("false")),
            other => panic!("{other}"),
        };
        for (state, got, want) in [("off", off, want.0), ("on", on, want.1)] {
            let same = match (got, want) {
                (Some(got), Some(want)) => got.starts_with(want),
                (None, None) => true,
                _ => false,
            };
            assert!(same, "{gate} {state}: {got:?}, want {want:?}");
        }
    }
}
