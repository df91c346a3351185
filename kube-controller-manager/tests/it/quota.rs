//! The status of a quota follows what there is in its namespace.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
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
