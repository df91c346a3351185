//! The status of a quota follows what there is in its namespace.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
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
