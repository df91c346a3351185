//! The status of a quota follows what there is in its namespace.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

async fn used(cluster: &Cluster, wanted: Value) {
    cluster
        .until::<ResourceQuota, _>(&format!("the quota is used by {wanted}"), |reader| {
            let quota = reader.get("default", "q")?;
            let used = serde_json::to_value(&quota.status.as_ref()?.used).ok()?;
            (used == wanted).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_counts_what_comes_and_what_goes() {
    let cluster = Cluster::start().await;
    let hard = json!({"pods": "5", "count/deployments.apps": "3", "count/configmaps": "9"});
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster
        .until::<ConfigMap, _>("the root CA", |r| r.get("default", "kube-root-ca.crt"))
        .await;
    cluster.create::<ResourceQuota>("default", quota).await;
    let counts = |pods: &str, deployments: &str| json!({"pods": pods, "count/deployments.apps": deployments, "count/configmaps": "1"});
    used(&cluster, counts("0", "0")).await;
    cluster
        .create::<Deployment>("default", deployment("web", "web:1", 2))
        .await;
    used(&cluster, counts("2", "1")).await;
    let options = client::params::delete_background("");
    let deployments = cluster.api::<Deployment>("default");
    deployments.delete("web", &options).await.unwrap();
    used(&cluster, counts("0", "0")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_counts_what_nobody_else_watches_and_what_was_there_before_it() {
    let cluster = Cluster::start().await;
    let ingress = |name: &str| json!({"metadata": {"name": name}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 1}}}}});
    cluster.create::<Ingress>("default", ingress("before")).await;
    let hard = json!({"count/ingresses.networking.k8s.io": "2", "count/nothing.example.com": "1"});
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster.create::<ResourceQuota>("default", quota).await;
    let count = |number: &str| json!({"count/ingresses.networking.k8s.io": number});
    used(&cluster, count("1")).await;
    cluster.create::<Ingress>("default", ingress("second")).await;
    used(&cluster, count("2")).await;
    let ingresses = cluster.api::<Ingress>("default");
    let third = serde_json::from_value(ingress("third")).unwrap();
    let refused = ingresses.create(&third).await.unwrap_err().to_string();
    assert!(
        refused.contains("exceeded quota: q, requested: count/ingresses.networking.k8s.io=1"),
        "{refused}"
    );
    let options = client::params::delete_background("");
    ingresses.delete("before", &options).await.unwrap();
    used(&cluster, count("1")).await;
    cluster.stop().await;
}

async fn refused<K: client::Object + serde::Serialize>(cluster: &Cluster, object: Value) -> String
where
    K::Scope: 'static,
{
    let object: K = serde_json::from_value(object).unwrap();
    let error = cluster.api::<K>("default").create(&object).await.err().unwrap();
    error.to_string()
}

/// The steps of upstream's conformance specs about the life of a pod and of a service.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_follows_the_life_of_a_pod_and_of_a_service() {
    let cluster = Cluster::start().await;
    let hard = json!({"pods": "5", "cpu": "1", "memory": "500Mi", "requests.example.com/dongle": "3", "services": "2",
        "services.nodeports": "1", "services.loadbalancers": "1"});
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster.create::<ResourceQuota>("default", quota).await;
    let state = |pod: [&str; 4], services: &str, ports: &str| {
        json!({"pods": pod[0], "cpu": pod[1], "memory": pod[2], "requests.example.com/dongle": pod[3],
            "services": services, "services.nodeports": ports, "services.loadbalancers": "0"})
    };
    cluster
        .until::<ServiceAccount, _>("the account of pods", |r| r.get("default", "default"))
        .await;
    // The service of the API itself is there already.
    let none = ["0", "0", "0", "0"];
    used(&cluster, state(none, "1", "0")).await;

    let pod = |name: &str, cpu: &str, dongles: &str| {
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i", "resources": {
            "requests": {"cpu": cpu, "memory": "252Mi", "example.com/dongle": dongles},
            "limits": {"example.com/dongle": dongles}}}]}})
    };
    cluster.create::<Pod>("default", pod("first", "500m", "2")).await;
    let one = ["1", "500m", "252Mi", "2"];
    used(&cluster, state(one, "1", "0")).await;
    for (pod, wanted) in [
        (
            pod("cpu", "600m", "0"),
            "requested: cpu=600m,memory=252Mi, used: cpu=500m,memory=252Mi",
        ),
        (
            pod("dongles", "1m", "2"),
            "requests.example.com/dongle=2, used: memory=252Mi,requests.example.com/dongle=2",
        ),
        (
            json!({"metadata": {"name": "bare"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
            "failed quota: q: must specify cpu for: c; memory for: c",
        ),
    ] {
        let why = refused::<Pod>(&cluster, pod).await;
        assert!(why.contains(wanted), "{why}");
    }
    let now = client::params::delete_background("");
    cluster.api::<Pod>("default").delete("first", &now).await.unwrap();
    used(&cluster, state(none, "1", "0")).await;

    let service = |name: &str, kind: &str| json!({"metadata": {"name": name}, "spec": {"type": kind, "selector": {"a": "b"}, "ports": [{"port": 80}]}});
    cluster.create::<Service>("default", service("s", "ClusterIP")).await;
    used(&cluster, state(none, "2", "0")).await;
    let why = refused::<Service>(&cluster, service("t", "LoadBalancer")).await;
    assert!(
        why.contains("exceeded quota: q, requested: services=1, used: services=2, limited: services=2"),
        "{why}"
    );
    let services = cluster.api::<Service>("default");
    let patch = |kind: &str| client::Patch::Merge(json!({"spec": {"type": kind}}));
    services.patch("s", &patch("NodePort"), None).await.unwrap();
    used(&cluster, state(none, "2", "1")).await;
    services.patch("s", &patch("ClusterIP"), None).await.unwrap();
    used(&cluster, state(none, "2", "0")).await;
    services.delete("s", &now).await.unwrap();
    used(&cluster, state(none, "1", "0")).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creates_at_once_a_quota_lets_through_as_many_as_it_has_room_for() {
    const ROOM: usize = 20;
    let cluster = Cluster::start().await;
    let hard = json!({"secrets": ROOM.to_string()});
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster.create::<ResourceQuota>("default", quota).await;
    used(&cluster, json!({"secrets": "0"})).await;
    let all = (0..3 * ROOM).map(|i| {
        let api = cluster.api::<Secret>("default");
        tokio::spawn(async move {
            let secret = serde_json::from_value(json!({"metadata": {"name": format!("s{i}")}})).unwrap();
            api.create(&secret).await.is_ok()
        })
    });
    let made = futures::future::join_all(all).await;
    assert_eq!(made.into_iter().filter(|made| *made.as_ref().unwrap()).count(), ROOM);
    used(&cluster, hard).await;
    cluster.stop().await;
}
