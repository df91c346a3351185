//! Budgets say how many pods may go, and evictions heed them; classes in use stay.

use client::Patch;
use client::params::DeleteOptions;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use rules::pods::is_pod_ready;
use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

async fn allowed(cluster: &Cluster, wanted: i32) {
    cluster
        .until::<PodDisruptionBudget, _>(&format!("{wanted} disruptions allowed"), |reader| {
            let budget = reader.get("default", "b")?;
            let status = budget.status.as_ref()?;
            let current = status.observed_generation == budget.metadata.generation;
            (current && status.disruptions_allowed == Some(wanted)).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_lets_pods_be_evicted_until_it_is_spent() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Deployment>("default", deployment("web", "web:1", 3))
        .await;
    let budget = json!({"metadata": {"name": "b"}, "spec": {"maxUnavailable": 0,
        "selector": {"matchLabels": {"app": "web"}}}});
    cluster.create::<PodDisruptionBudget>("default", budget).await;
    allowed(&cluster, 0).await;
    let pod = cluster
        // One that does not run yet goes whatever the budget says.
        .until::<Pod, _>("a ready pod", |r| {
            r.list_namespace("default").into_iter().find(|pod| is_pod_ready(pod))
        })
        .await;
    let name = pod.metadata.name.as_deref().unwrap();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    let pods = cluster.api::<Pod>("default");
    let refused = pods.create_subresource::<_, Value>(name, "eviction", &eviction).await;
    assert_eq!(refused.unwrap_err().code(), Some(429));

    let budgets = cluster.api::<PodDisruptionBudget>("default");
    let half = Patch::Merge(json!({"spec": {"maxUnavailable": "50%"}}));
    budgets.patch("b", &half, None).await.unwrap();
    // Half of three is rounded up; all three have to be ready for that.
    allowed(&cluster, 2).await;
    pods.create_subresource::<_, Value>(name, "eviction", &eviction)
        .await
        .unwrap();
    cluster
        .until::<Pod, _>("the pod is evicted", |r| r.get("default", name).is_none().then_some(()))
        .await;
    allowed(&cluster, 2).await;
    cluster.stop().await;
}

/// A pod of nobody's template that says who controls it.
fn controlled(name: &str, owner: Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_asks_for_scales_that_no_cache_has() {
    let cluster = Cluster::start().await;
    let web: Deployment = cluster.create("default", deployment("web", "web:1", 4)).await;
    let node: Node = {
        let nodes: client::Api<Node> = client::Api::all(cluster.client.clone());
        let node = json!({"metadata": {"name": "n1"}});
        nodes.create(&serde_json::from_value(node).unwrap()).await.unwrap()
    };
    let owner = |api_version: &str, kind: &str, name: &str, uid: Option<String>| json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true});
    let of_web = owner("apps/v1", "Deployment", "web", web.metadata.uid);
    cluster.create::<Pod>("default", controlled("lone", of_web)).await;
    let of_node = owner("v1", "Node", "n1", node.metadata.uid);
    cluster.create::<Pod>("default", controlled("mirror", of_node)).await;
    for app in ["lone", "mirror"] {
        let budget = json!({"metadata": {"name": app}, "spec": {"minAvailable": "50%",
            "selector": {"matchLabels": {"app": app}}}});
        cluster.create::<PodDisruptionBudget>("default", budget).await;
    }
    cluster
        .until::<PodDisruptionBudget, _>("the Deployment's scale counts", |reader| {
            let status = reader.get("default", "lone")?.status.clone()?;
            (status.expected_pods == Some(4) && status.desired_healthy == Some(2)).then_some(())
        })
        .await;
    cluster
        .until::<PodDisruptionBudget, _>("nodes have no scale", |reader| {
            let conditions = reader.get("default", "mirror")?.status.clone()?.conditions?;
            let failed = conditions.iter().find(|c| c.reason == "SyncFailed")?;
            (failed.message == "nodes does not implement the scale subresource").then_some(())
        })
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_of_volume_attributes_goes_with_its_last_user() {
    let cluster = Cluster::start().await;
    let class = json!({"metadata": {"name": "fast"}, "driverName": "d.test", "parameters": {"iops": "1"}});
    let classes: client::Api<VolumeAttributesClass> = client::Api::all(cluster.client.clone());
    classes.create(&serde_json::from_value(class).unwrap()).await.unwrap();
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "s",
        "volumeAttributesClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.create::<PersistentVolumeClaim>("default", claim).await;
    cluster
        .until::<VolumeAttributesClass, _>("the class is protected", |r| {
            let class = r.get("", "fast")?;
            class.metadata.finalizers.as_ref()?.first().cloned()
        })
        .await;
    let options = DeleteOptions::default();
    classes.delete("fast", &options).await.unwrap();
    let claims = cluster.api::<PersistentVolumeClaim>("default");
    assert!(classes.get("fast").await.unwrap().metadata.deletion_timestamp.is_some());
    claims.delete("c", &options).await.unwrap();
    cluster
        .until::<VolumeAttributesClass, _>("the class is gone", |r| r.get("", "fast").is_none().then_some(()))
        .await;
    cluster.stop().await;
}
