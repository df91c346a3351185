//! The whole manager against a real apiserver: what the controllers do together.
#![allow(clippy::unwrap_used)]

mod cluster;
mod mirroring;
mod protection;
mod quota;
mod replication;

use client::params::DeleteOptions;
use client::{Patch, WatchEvent};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use cluster::{Cluster, deployment};

fn set_of(reader: &client::informer::Reader<ReplicaSet>, revision: &str) -> Option<ReplicaSet> {
    reader
        .list_namespace("default")
        .into_iter()
        .map(|s| (*s).clone())
        .find(|set| {
            let notes = set.metadata.annotations.as_ref();
            notes
                .and_then(|a| a.get("deployment.kubernetes.io/revision"))
                .is_some_and(|r| r == revision)
        })
}

/// The Deployment's Progressing reason once all its replicas are updated and available.
async fn rolled_out(cluster: &Cluster, replicas: i32) {
    let what = format!("web has {replicas} updated and available replicas");
    cluster
        .until::<Deployment, _>(&what, |reader| {
            let d = reader.get("default", "web")?;
            let status = d.status.as_ref()?;
            let done = status.observed_generation == d.metadata.generation
                && status.replicas == Some(replicas)
                && status.updated_replicas == Some(replicas)
                && status.available_replicas == Some(replicas);
            let reason = status
                .conditions
                .iter()
                .flatten()
                .find(|c| c.type_ == "Progressing")?
                .reason
                .as_deref();
            (done && reason == Some("NewReplicaSetAvailable")).then_some(())
        })
        .await;
}

async fn set_image(cluster: &Cluster, image: &str) {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    cluster
        .api::<Deployment>("default")
        .patch("web", &Patch::Strategic(patch), None)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_rolls_forward_and_back_scales_and_goes_with_all_it_made() {
    let cluster = Cluster::start().await;
    cluster
        .create::<Deployment>("default", deployment("web", "web:1", 3))
        .await;
    rolled_out(&cluster, 3).await;
    let first = cluster.until::<ReplicaSet, _>("revision 1", |r| set_of(r, "1")).await;

    set_image(&cluster, "web:2").await;
    cluster.until::<ReplicaSet, _>("revision 2", |r| set_of(r, "2")).await;
    rolled_out(&cluster, 3).await;
    cluster
        .until::<ReplicaSet, _>("revision 1 is empty", |r| {
            set_of(r, "1").filter(|s| s.spec.as_ref().unwrap().replicas == Some(0))
        })
        .await;

    // Back to the first template: its ReplicaSet is used again, as revision 3.
    set_image(&cluster, "web:1").await;
    let third = cluster.until::<ReplicaSet, _>("revision 3", |r| set_of(r, "3")).await;
    assert_eq!(third.metadata.uid, first.metadata.uid);
    rolled_out(&cluster, 3).await;

    let scale = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let deployments = cluster.api::<Deployment>("default");
    let scaled: Scale = deployments.patch_subresource("web", "scale", &scale).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(5));
    rolled_out(&cluster, 5).await;
    cluster
        .until::<Event, _>("the events of a rollout", |r| {
            let said = |text: &str| r.list().iter().any(|e| e.message.as_deref() == Some(text));
            let name = first.metadata.name.as_deref()?;
            let up = format!("Scaled up replica set {name} from 0 to 3");
            (said(&up) && r.list().iter().any(|e| e.reason.as_deref() == Some("SuccessfulCreate"))).then_some(())
        })
        .await;

    let options = client::params::delete_background("");
    cluster
        .api::<Deployment>("default")
        .delete("web", &options)
        .await
        .unwrap();
    cluster
        .until::<ReplicaSet, _>("no ReplicaSets", |r| {
            r.list_namespace("default").is_empty().then_some(())
        })
        .await;
    cluster
        .until::<Pod, _>("no pods", |r| r.list_namespace("default").is_empty().then_some(()))
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreground_deletion_waits_for_dependents_and_orphans_are_adopted_again() {
    let cluster = Cluster::start().await;
    let web = cluster
        .create::<Deployment>("default", deployment("web", "web:1", 2))
        .await;
    rolled_out(&cluster, 2).await;
    let set = cluster.until::<ReplicaSet, _>("revision 1", |r| set_of(r, "1")).await;

    let orphan = DeleteOptions {
        propagation_policy: Some("Orphan".into()),
        ..DeleteOptions::default()
    };
    cluster
        .api::<Deployment>("default")
        .delete("web", &orphan)
        .await
        .unwrap();
    cluster
        .until::<ReplicaSet, _>("the ReplicaSet is an orphan", |r| {
            let set = set_of(r, "1")?;
            set.metadata
                .owner_references
                .unwrap_or_default()
                .is_empty()
                .then_some(())
        })
        .await;
    cluster
        .until::<Deployment, _>("web is gone", |r| r.list().is_empty().then_some(()))
        .await;
    let again = cluster
        .create::<Deployment>("default", deployment("web", "web:1", 2))
        .await;
    assert_ne!(again.metadata.uid, web.metadata.uid);
    let adopted = cluster
        .until::<ReplicaSet, _>("the ReplicaSet is adopted", |r| {
            let set = set_of(r, "1")?;
            rules::owners::is_controlled_by(&set.metadata, again.metadata.uid.as_deref()?).then_some(set)
        })
        .await;
    assert_eq!(adopted.metadata.uid, set.metadata.uid);
    rolled_out(&cluster, 2).await;

    // Foreground: the pods go before the ReplicaSet, the ReplicaSet before the Deployment.
    let pods = deletions::<Pod>(&cluster, 2).await;
    let sets = deletions::<ReplicaSet>(&cluster, 1).await;
    let deployments = deletions::<Deployment>(&cluster, 1).await;
    let foreground = DeleteOptions {
        propagation_policy: Some("Foreground".into()),
        ..DeleteOptions::default()
    };
    cluster
        .api::<Deployment>("default")
        .delete("web", &foreground)
        .await
        .unwrap();
    let order = [soon(pods).await, soon(sets).await, soon(deployments).await].concat();
    assert!(order.is_sorted(), "{order:?}");
    cluster.stop().await;
}

async fn soon<T>(task: tokio::task::JoinHandle<T>) -> T {
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, task)
        .await
        .expect("the watch sees it in time")
        .unwrap()
}

/// The revisions at which the next `count` objects of a kind will have been deleted, in order.
async fn deletions<K: client::Object>(cluster: &Cluster, count: usize) -> tokio::task::JoinHandle<Vec<u64>>
where
    K::Scope: 'static,
{
    let params = client::ListParams::default();
    let mut events = cluster.api::<K>("default").watch(&params).await.unwrap();
    tokio::spawn(async move {
        let mut revisions = Vec::new();
        while revisions.len() < count {
            if let WatchEvent::Deleted(object) = events.next().await.unwrap().unwrap() {
                revisions.push(object.metadata().resource_version.as_deref().unwrap().parse().unwrap());
            }
        }
        revisions
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_slices_and_endpoints_of_its_ready_pods() {
    let cluster = Cluster::start().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "www"}]}});
    cluster.create::<Service>("default", service).await;
    cluster
        .create::<Deployment>("default", deployment("web", "web:1", 3))
        .await;
    let slice = cluster
        .until::<EndpointSlice, _>("a slice with three ready endpoints", |r| {
            let of_web = |s: &EndpointSlice| {
                s.metadata
                    .labels
                    .as_ref()
                    .and_then(|l| l.get("kubernetes.io/service-name"))
                    .is_some_and(|n| n == "web")
            };
            let slice = r.list().into_iter().find(|s| of_web(s))?;
            let ready = |e: &k8s_openapi::api::discovery::v1::Endpoint| {
                e.conditions.as_ref().and_then(|c| c.ready) == Some(true)
            };
            let count = slice.endpoints.iter().flatten().filter(|e| ready(e)).count();
            (count == 3).then_some(slice)
        })
        .await;
    assert_eq!(slice.ports.as_ref().unwrap()[0].port, Some(8080));
    cluster
        .until::<Endpoints, _>("Endpoints with three addresses", |r| {
            let endpoints = r.get("default", "web")?;
            let count = endpoints
                .subsets
                .iter()
                .flatten()
                .flat_map(|s| s.addresses.iter().flatten())
                .count();
            (count == 3).then_some(())
        })
        .await;
    cluster
        .api::<Service>("default")
        .delete("web", &DeleteOptions::default())
        .await
        .unwrap();
    cluster
        .until::<EndpointSlice, _>("no slice of web", |r| {
            r.list()
                .iter()
                .all(|s| !s.metadata.name.as_deref().unwrap().starts_with("web-"))
                .then_some(())
        })
        .await;
    cluster
        .until::<Endpoints, _>("no Endpoints of web", |r| {
            r.get("default", "web").is_none().then_some(())
        })
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_furnished_and_emptied_again() {
    let cluster = Cluster::start().await;
    let named = |name: &str| json!({"metadata": {"name": name}});
    cluster.create::<Namespace>("", named("t")).await;
    cluster
        .until::<ServiceAccount, _>("the default account", |r| r.get("t", "default"))
        .await;
    let ca = cluster
        .until::<ConfigMap, _>("the root CA", |r| r.get("t", "kube-root-ca.crt"))
        .await;
    assert!(ca.data.as_ref().unwrap()["ca.crt"].contains("BEGIN CERTIFICATE"));

    let secret = json!({"metadata": {"name": "legacy", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token"});
    cluster.create::<Secret>("t", secret).await;
    cluster
        .until::<Secret, _>("a token in the secret", |r| {
            r.get("t", "legacy")?.data.as_ref()?.contains_key("token").then_some(())
        })
        .await;
    cluster.create::<Deployment>("t", deployment("web", "web:1", 2)).await;
    cluster
        .until::<Pod, _>("two pods", |r| (r.list_namespace("t").len() == 2).then_some(()))
        .await;

    let api: client::Api<Namespace> = client::Api::all(cluster.client.clone());
    api.delete("t", &DeleteOptions::default()).await.unwrap();
    cluster
        .until::<Namespace, _>("t is gone", |r| r.get("", "t").is_none().then_some(()))
        .await;
    cluster
        .until::<Pod, _>("its pods are gone", |r| r.list_namespace("t").is_empty().then_some(()))
        .await;
    cluster
        .until::<Secret, _>("its secrets are gone", |r| {
            r.list_namespace("t").is_empty().then_some(())
        })
        .await;
    cluster
        .until::<ConfigMap, _>("its config is gone", |r| r.list_namespace("t").is_empty().then_some(()))
        .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_get_ranges_of_their_own_and_cordoned_ones_a_taint() {
    let cluster = Cluster::start().await;
    for name in ["n1", "n2"] {
        cluster
            .create::<Node>(
                "",
                json!({"metadata": {"name": name}, "spec": {"unschedulable": name == "n2"}}),
            )
            .await;
    }
    let ranges = cluster
        .until::<Node, _>("both nodes have ranges", |r| {
            let range = |name| r.get("", name)?.spec.as_ref()?.pod_cidr.clone();
            Some([range("n1")?, range("n2")?])
        })
        .await;
    assert_ne!(ranges[0], ranges[1]);
    assert!(
        ranges.iter().all(|r| r.starts_with("10.244.") && r.ends_with("/24")),
        "{ranges:?}"
    );
    cluster
        .until::<Node, _>("the cordoned node is tainted", |r| {
            let node = r.get("", "n2")?;
            let taints: Vec<Value> = node
                .spec
                .as_ref()?
                .taints
                .iter()
                .flatten()
                .map(|t| json!([t.key, t.effect]))
                .collect();
            taints
                .contains(&json!(["node.kubernetes.io/unschedulable", "NoSchedule"]))
                .then_some(())
        })
        .await;
    cluster.stop().await;
}

/// The controllers' own roles have `update` and no `patch` of volumes and claims.
#[tokio::test(flavor = "multi_thread")]
async fn unused_volumes_and_claims_go_when_they_are_deleted() {
    let cluster = Cluster::start().await;
    let size = json!({"storage": "1Gi"});
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "storageClassName": "", "resources": {"requests": size}}});
    let volume = json!({"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": size,
        "hostPath": {"path": "/x"}}});
    let claim: PersistentVolumeClaim = cluster.create("default", claim).await;
    let volumes: client::Api<PersistentVolume> = client::Api::all(cluster.client.clone());
    let volume = volumes.create(&serde_json::from_value(volume).unwrap()).await.unwrap();
    assert_eq!(
        claim.metadata.finalizers,
        Some(vec!["kubernetes.io/pvc-protection".to_owned()])
    );
    assert_eq!(
        volume.metadata.finalizers,
        Some(vec!["kubernetes.io/pv-protection".to_owned()])
    );

    let options = DeleteOptions::default();
    cluster
        .api::<PersistentVolumeClaim>("default")
        .delete("c", &options)
        .await
        .unwrap();
    volumes.delete("v", &options).await.unwrap();
    cluster
        .until::<PersistentVolumeClaim, _>("the claim is gone", |r| r.list().is_empty().then_some(()))
        .await;
    cluster
        .until::<PersistentVolume, _>("the volume is gone", |r| r.list().is_empty().then_some(()))
        .await;
    cluster.stop().await;
}
