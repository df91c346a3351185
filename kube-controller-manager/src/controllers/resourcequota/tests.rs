use serde_json::{Value, json};

use super::*;

fn quota(spec: Value) -> ResourceQuota {
    serde_json::from_value(json!({"metadata": {"name": "q"}, "spec": spec})).unwrap()
}

fn parsed<K: serde::de::DeserializeOwned>(objects: &[Value]) -> Vec<Arc<K>> {
    let one = |object: &Value| Arc::new(serde_json::from_value(object.clone()).unwrap());
    objects.iter().map(one).collect()
}

fn pod(spec: Value, phase: &str) -> Value {
    json!({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": phase}})
}

fn container(requests: Value, limits: Value) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": requests, "limits": limits}}]})
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn used(spec: Value, objects: &plan::Objects<'_>) -> Value {
    let status = plan::plan(&quota(spec), objects, plan::Count::All, now()).expect("a first status");
    serde_json::to_value(status.used).unwrap()
}

#[test]
fn pods_use_what_their_containers_ask_for_until_they_end() {
    let mut gone = pod(container(json!({"cpu": "4"}), json!({})), "Running");
    gone["metadata"]["deletionTimestamp"] = json!(Timestamp::from_second(999_000).unwrap());
    gone["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    let asks = json!({"cpu": "100m", "memory": "1Gi", "example.com/gpu": "2", "hugepages-2Mi": "4Mi"});
    let objects = plan::Objects {
        pods: parsed(&[
            pod(container(asks, json!({"cpu": "1"})), "Running"),
            pod(container(json!({"cpu": "400m"}), json!({})), "Pending"),
            pod(container(json!({"cpu": "8"}), json!({})), "Succeeded"),
            gone,
        ]),
        ..plan::Objects::default()
    };
    let hard = json!({"hard": {"pods": "9", "count/pods": "9", "cpu": "9", "requests.cpu": "9", "limits.cpu": "9",
        "requests.memory": "9Gi", "requests.example.com/gpu": "9", "hugepages-2Mi": "9Mi", "limits.memory": "1Gi"}});
    let wanted = json!({"pods": "2", "count/pods": "4", "cpu": "500m", "requests.cpu": "500m", "limits.cpu": "1",
        "requests.memory": "1Gi", "requests.example.com/gpu": "2", "hugepages-2Mi": "4Mi", "limits.memory": "0"});
    assert_eq!(used(hard, &objects), wanted);
}

#[test]
fn scopes_choose_the_pods() {
    let mut short = container(json!({"cpu": "1"}), json!({}));
    short["activeDeadlineSeconds"] = json!(5);
    let mut important = container(json!({}), json!({}));
    important["priorityClassName"] = json!("high");
    let objects = plan::Objects {
        pods: parsed(&[pod(short, "Running"), pod(important, "Running")]),
        counts: BTreeMap::from([("configmaps", 3)]),
        ..plan::Objects::default()
    };
    let class = |operator: &str, values: Value| {
        json!({"hard": {"pods": "9"}, "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
    };
    let cases = [
        (json!({"hard": {"pods": "9"}}), "2"),
        (json!({"hard": {"pods": "9"}, "scopes": ["Terminating"]}), "1"),
        (
            json!({"hard": {"pods": "9"}, "scopes": ["Terminating", "BestEffort"]}),
            "0",
        ),
        (json!({"hard": {"pods": "9"}, "scopes": ["BestEffort"]}), "1"),
        (json!({"hard": {"pods": "9"}, "scopes": ["NotBestEffort"]}), "1"),
        (
            json!({"hard": {"pods": "9"}, "scopes": ["CrossNamespacePodAffinity"]}),
            "0",
        ),
        (class("In", json!(["high", "low"])), "1"),
        (class("NotIn", json!(["high"])), "1"),
        (class("Exists", json!([])), "1"),
        (class("DoesNotExist", json!([])), "1"),
    ];
    for (spec, wanted) in cases {
        assert_eq!(used(spec.clone(), &objects), json!({"pods": wanted}), "{spec}");
    }
}

#[test]
fn services_claims_and_plain_objects_are_counted() {
    let ports = json!([{"port": 80}, {"port": 81, "nodePort": 30000}]);
    let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"allocatedResources": {"storage": "2Gi"}}});
    let objects = plan::Objects {
        services: parsed(&[
            json!({"spec": {"type": "ClusterIP", "ports": ports}}),
            json!({"spec": {"type": "NodePort", "ports": ports}}),
            json!({"spec": {"type": "LoadBalancer", "ports": ports, "allocateLoadBalancerNodePorts": false}}),
        ]),
        claims: parsed(&[claim]),
        counts: BTreeMap::from([("configmaps", 3), ("count/deployments.apps", 2)]),
        ..plan::Objects::default()
    };
    let hard = json!({"hard": {"services": "9", "services.nodeports": "9", "services.loadbalancers": "9",
        "persistentvolumeclaims": "9", "requests.storage": "9Gi", "count/deployments.apps": "9", "configmaps": "9",
        "fast.storageclass.storage.k8s.io/requests.storage": "9Gi",
        "slow.storageclass.storage.k8s.io/persistentvolumeclaims": "9", "count/unknown.example.com": "1"}});
    let wanted = json!({"services": "3", "services.nodeports": "3", "services.loadbalancers": "1",
        "persistentvolumeclaims": "1", "requests.storage": "2Gi", "count/deployments.apps": "2", "configmaps": "3",
        "fast.storageclass.storage.k8s.io/requests.storage": "2Gi",
        "slow.storageclass.storage.k8s.io/persistentvolumeclaims": "0"});
    assert_eq!(used(hard, &objects), wanted);
}

#[test]
fn a_status_that_says_the_same_is_not_written_and_a_foreign_one_is_put_right() {
    let objects = plan::Objects {
        counts: BTreeMap::from([("configmaps", 1)]),
        ..plan::Objects::default()
    };
    let mut quota = quota(json!({"hard": {"configmaps": "2", "cpu": "1000m"}}));
    quota.status = plan::plan(&quota, &objects, plan::Count::All, now());
    assert_eq!(plan::plan(&quota, &objects, plan::Count::All, now()), None);
    let foreign = json!({"hard": {"configmaps": "7"}, "used": {"configmaps": "1"}});
    quota.status = serde_json::from_value(foreign).unwrap();
    let status = serde_json::to_value(plan::plan(&quota, &objects, plan::Count::All, now()).unwrap()).unwrap();
    assert_eq!(status["hard"], json!({"configmaps": "2", "cpu": "1"}));
}

#[test]
fn an_arrival_takes_nothing_back_that_is_charged_already() {
    let objects = plan::Objects {
        counts: BTreeMap::from([("configmaps", 3), ("secrets", 3), ("count/deployments.apps", 3)]),
        ..plan::Objects::default()
    };
    let hard = json!({"configmaps": "9", "secrets": "9", "count/deployments.apps": "9"});
    let mut quota = quota(json!({"hard": hard}));
    let stored = json!({"hard": hard, "used": {"configmaps": "4", "secrets": "2"}});
    quota.status = serde_json::from_value(stored).unwrap();
    for (count, configmaps) in [(plan::Count::Arrivals, "4"), (plan::Count::All, "3")] {
        let status = plan::plan(&quota, &objects, count, now()).unwrap();
        let wanted = json!({"configmaps": configmaps, "secrets": "3", "count/deployments.apps": "3"});
        assert_eq!(serde_json::to_value(status.used).unwrap(), wanted);
    }
}

#[test]
fn an_object_gives_back_what_it_takes_no_more() {
    let seen = |requests: Value, phase: &str, scope: &str| {
        let pod = serde_json::from_value(pod(container(requests, json!({})), phase)).unwrap();
        (rules::quota::pods::usage(&pod, now()), vec![scope.to_owned()])
    };
    let before = seen(json!({"cpu": "1"}), "Running", "a");
    for (after, gives_back) in [
        (before.clone(), false),
        (seen(json!({"cpu": "2", "memory": "1"}), "Running", "a"), false),
        (seen(json!({"cpu": "1"}), "Running", "b"), true),
        (seen(json!({"cpu": "500m"}), "Running", "a"), true),
        (seen(json!({"memory": "1"}), "Running", "a"), true),
        (seen(json!({"cpu": "1"}), "Failed", "a"), true),
    ] {
        assert_eq!(plan::gives_back(&before, &after), gives_back, "{after:?}");
    }
}
