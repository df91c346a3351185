//! ReplicationControllers keep their number of pods, take orphans in and let strayed pods go.

use client::Patch;
use client::params::DeleteOptions;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::{Event, Pod, ReplicationController};
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn controller(replicas: i32) -> Value {
    json!({"metadata": {"name": "rc"}, "spec": {"replicas": replicas, "selector": {"app": "rc"},
        "template": {"metadata": {"labels": {"app": "rc"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

/// Waits until the status says so.
async fn ready(cluster: &Cluster, replicas: i32) {
    let what = format!("rc has {replicas} ready replicas");
    cluster
        .until::<ReplicationController, _>(&what, |reader| {
            let rc = reader.get("default", "rc")?;
            let status = rc.status.as_ref()?;
            let done = status.replicas == replicas
                && status.ready_replicas.unwrap_or(0) == replicas
                && status.available_replicas.unwrap_or(0) == replicas
                && status.observed_generation == rc.metadata.generation;
            done.then_some(())
        })
        .await;
}

fn is_owned(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners
        .into_iter()
        .any(|owner| owner.kind == "ReplicationController" && owner.name == "rc")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replication_controller_keeps_adopts_and_releases_pods() {
    let cluster = Cluster::start().await;
    let orphan = json!({"metadata": {"name": "orphan", "labels": {"app": "rc"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    cluster.create::<Pod>("default", orphan).await;
    cluster.create::<ReplicationController>("default", controller(2)).await;
    ready(&cluster, 2).await;
    cluster
        .until::<Pod, _>("the orphan is adopted", |r| {
            is_owned(&*r.get("default", "orphan")?).then_some(())
        })
        .await;

    let stray = Patch::Merge(json!({"metadata": {"labels": {"app": "other"}}}));
    cluster
        .api::<Pod>("default")
        .patch("orphan", &stray, None)
        .await
        .unwrap();
    cluster
        .until::<Pod, _>("the strayed pod is released and replaced", |r| {
            let owned = r.list_namespace("default").iter().filter(|pod| is_owned(pod)).count();
            (owned == 2 && !is_owned(&*r.get("default", "orphan")?)).then_some(())
        })
        .await;

    let scale = Patch::Merge(json!({"spec": {"replicas": 4}}));
    let controllers = cluster.api::<ReplicationController>("default");
    let scaled: Scale = controllers.patch_subresource("rc", "scale", &scale).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(4));
    ready(&cluster, 4).await;
    let event = cluster
        .until::<Event, _>("an event of a creation", |r| {
            let said = |e: &Event| e.message.as_deref().is_some_and(|m| m.starts_with("Created pod: rc-"));
            r.list().into_iter().find(|event| said(event))
        })
        .await;
    let source = event.source.as_ref().and_then(|source| source.component.as_deref());
    assert_eq!(source, Some("replication-controller"));

    controllers
        .delete("rc", &client::params::delete_background(""))
        .await
        .unwrap();
    cluster
        .api::<Pod>("default")
        .delete("orphan", &DeleteOptions::default())
        .await
        .unwrap();
    cluster
        .until::<Pod, _>("no pods", |r| r.list_namespace("default").is_empty().then_some(()))
        .await;
    cluster.stop().await;
}
