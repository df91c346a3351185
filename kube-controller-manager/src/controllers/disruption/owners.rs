//! What controls the pods of a budget, and how many pods it is told to have.
//!
//! Upstream: pkg/controller/disruption/disruption.go `finders`.

use std::sync::Arc;

use client::discovery::discover;
use client::dynamic::DynamicApi;
use client::informer::Reader;
use client::object::key;
use client::{Client, Object, Resource};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v1::Scale as ScaleObject;
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use rules::owners::controller_of;

use crate::context::ControllerContext;

/// The UID of a controller and the number of pods it is told to have.
pub(super) type Scale = (String, i32);

/// What may control pods.
pub(super) struct Owners {
    controllers: Reader<ReplicationController>,
    sets: Reader<ReplicaSet>,
    deployments: Reader<Deployment>,
    stateful_sets: Reader<StatefulSet>,
    client: Client,
}

impl Owners {
    pub(super) fn new(ctx: &ControllerContext, client: Client) -> Self {
        Self {
            controllers: ctx.informers.informer::<ReplicationController>().reader(),
            sets: ctx.informers.informer::<ReplicaSet>().reader(),
            deployments: ctx.informers.informer::<Deployment>().reader(),
            stateful_sets: ctx.informers.informer::<StatefulSet>().reader(),
            client,
        }
    }

    /// The scale of a pod's controller; `None` when it does not exist.
    pub(super) async fn scale(&self, owner: &OwnerReference, namespace: &str) -> anyhow::Result<Option<Scale>> {
        match self.cached(owner, namespace) {
            Some(scale) => Ok(Some(scale)),
            None => self.asked(owner, namespace).await,
        }
    }

    /// What the caches know; of a ReplicaSet that has a Deployment, the Deployment counts.
    fn cached(&self, owner: &OwnerReference, namespace: &str) -> Option<Scale> {
        let replicas = match (group_of(&owner.api_version), owner.kind.as_str()) {
            ("", "ReplicationController") => find(&self.controllers, owner, namespace)?.spec.as_ref()?.replicas,
            ("apps" | "extensions", "ReplicaSet") => {
                let set = find(&self.sets, owner, namespace)?;
                if let Some(owner) = controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment") {
                    if !matches!(group_of(&owner.api_version), "apps" | "extensions") {
                        return None;
                    }
                    let deployment = find(&self.deployments, owner, namespace)?;
                    return Some((owner.uid.clone(), deployment.spec.as_ref()?.replicas.unwrap_or(1)));
                }
                set.spec.as_ref()?.replicas
            }
            ("apps", "StatefulSet") => find(&self.stateful_sets, owner, namespace)?.spec.as_ref()?.replicas,
            _ => return None,
        };
        Some((owner.uid.clone(), replicas.unwrap_or(1)))
    }

    /// The `scale` subresource, for kinds nobody caches and for objects that a cache does not have (yet).
    /// Upstream: `getScaleController`.
    async fn asked(&self, owner: &OwnerReference, namespace: &str) -> anyhow::Result<Option<Scale>> {
        let discovery = discover(&self.client).await?;
        let Some(found) = discovery.by_kind(&owner.api_version, &owner.kind) else {
            anyhow::bail!(
                "no matches for kind {:?} in version {:?}",
                owner.kind,
                owner.api_version
            );
        };
        // Upstream's URL has the namespace whatever the resource: a pod's controller lives beside it.
        let resource = Resource {
            namespaced: true,
            ..found.resource.clone()
        };
        let api = DynamicApi::new(self.client.clone(), &resource, Some(namespace));
        match api.get_subresource::<ScaleObject>(&owner.name, "scale").await {
            Ok(scale) if scale.metadata.uid.as_deref() == Some(owner.uid.as_str()) => {
                let replicas = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
                Ok(Some((owner.uid.clone(), replicas)))
            }
            Ok(_) => Ok(None),
            Err(error) if error.is_not_found() => {
                // The answer to a path that is not served names no object.
                let details = error.status().and_then(|status| status.details.as_ref());
                let named = details.and_then(|details| details.name.as_deref()).unwrap_or_default();
                anyhow::ensure!(
                    !named.is_empty(),
                    "{} does not implement the scale subresource",
                    group_resource(&resource)
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn find<K: Object>(reader: &Reader<K>, owner: &OwnerReference, namespace: &str) -> Option<Arc<K>> {
    let found = reader.get_by_key(&key(namespace, &owner.name))?;
    (found.metadata().uid.as_deref() == Some(owner.uid.as_str())).then_some(found)
}

fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// `daemonsets.apps`, `nodes`. Upstream: `GroupResource.String`.
fn group_resource(resource: &Resource) -> String {
    match resource.group.as_ref() {
        "" => resource.plural.to_string(),
        group => format!("{}.{group}", resource.plural),
    }
}
