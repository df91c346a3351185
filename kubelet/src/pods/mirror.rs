//! Mirror pods: how static pods show in the API (upstream: pkg/kubelet/pod/mirror_client.go).

use std::sync::Arc;

use client::{Api, Client, DeleteOptions, Preconditions};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{CONFIG_HASH, CONFIG_MIRROR, PodExt};
use crate::shared::Shared;

/// Makes sure a static pod has its mirror, and that the mirror is of its present form.
pub(crate) async fn ensure(shared: &Shared, pod: &Pod) {
    let (Some(client), Some(node_uid)) = (&shared.client, shared.facts.node_uid()) else {
        return;
    };
    if let Some(mirror) = shared.pods.mirror_of(pod) {
        if is_of(pod, &mirror) && mirror.metadata.deletion_timestamp.is_none() {
            return;
        }
        if !delete(client, &mirror).await {
            return;
        }
    }
    let api = Api::<Pod>::namespaced(client.clone(), pod.namespace());
    match api.create(&mirror(pod, &shared.config.node_name, &node_uid)).await {
        Ok(made) => shared.pods.upsert(Arc::new(made)),
        Err(error) if error.is_already_exists() => {
            // Ours of an earlier run that the watch has not shown yet, or somebody else's pod.
            if let Ok(Some(found)) = api.get_opt(pod.name()).await
                && found.is_mirror()
            {
                shared.pods.upsert(Arc::new(found));
            }
        }
        Err(error) => {
            tracing::warn!(pod = %pod.key(), error = %client::error::chain(&error), "cannot create the mirror pod");
        }
    }
}

/// Deletes a mirror; true when it is gone.
pub(crate) async fn delete(client: &Client, mirror: &Pod) -> bool {
    let api = Api::<Pod>::namespaced(client.clone(), mirror.namespace());
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: mirror.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteOptions::default()
    };
    match api.delete(mirror.name(), &options).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => {
            tracing::warn!(pod = %mirror.key(), error = %client::error::chain(&error), "cannot delete the mirror pod");
            false
        }
        _ => true,
    }
}

fn is_of(pod: &Pod, mirror: &Pod) -> bool {
    mirror.annotation(CONFIG_MIRROR) == pod.annotation(CONFIG_HASH)
}

fn mirror(pod: &Pod, node: &str, node_uid: &str) -> Pod {
    let mut mirror = pod.clone();
    let hash = pod.annotation(CONFIG_HASH).unwrap_or_default().to_owned();
    let metadata = &mut mirror.metadata;
    metadata.uid = None;
    metadata.resource_version = None;
    metadata
        .annotations
        .get_or_insert_default()
        .insert(CONFIG_MIRROR.to_owned(), hash);
    metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_owned(),
        uid: node_uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    mirror.status = None;
    mirror
}
