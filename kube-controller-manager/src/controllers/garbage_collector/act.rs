//! The look-ups and writes behind the decisions.

use client::{Api, DeleteOptions, PartialObjectMetadata, Patch, Preconditions, Resource, controller::Outcome};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use super::{
    Controller,
    classify::{self, Decision, OwnerState},
    graph::{FOREGROUND, Identity, ORPHAN, has_finalizer},
};

type MetadataApi = Api<PartialObjectMetadata>;

impl Controller {
    /// Upstream: `attemptToDeleteItem`.
    pub(super) async fn attempt_to_delete(&self, uid: &str) -> anyhow::Result<Outcome> {
        let Some(node) = self.graph.lock().get(uid).cloned() else {
            return Ok(Outcome::Done);
        };
        // Only a foreground deletion still has something to decide.
        if node.being_deleted && !node.deleting_dependents {
            return Ok(Outcome::Done);
        }
        let Some(resource) = self
            .monitors
            .resource_of(&node.identity.api_version, &node.identity.kind)
        else {
            // A kind that nobody serves: its owner may be installed later.
            return Ok(Outcome::Retry);
        };
        let Some(latest) = self.look_up(&resource, &node.identity).await? else {
            self.remember_absent(uid);
            let todos = self.graph.lock().remove(uid);
            self.enqueue(todos);
            return Ok(Outcome::Done);
        };
        if node.deleting_dependents {
            return self.finish_foreground(&resource, &node.identity, &latest).await;
        }
        let mut owners = Vec::new();
        for owner in latest.owner_references.clone().unwrap_or_default() {
            let state = self.owner_state(&owner, &node.identity.namespace).await?;
            owners.push((owner, state));
        }
        let dependents = self.graph.lock().dependents_of(uid);
        match classify::decide(&latest, &owners, &dependents) {
            Decision::Keep => Ok(Outcome::Done),
            Decision::DropOwners(gone) => {
                self.drop_owners(&resource, &node.identity, &latest, |owner| !gone.contains(&owner.uid))
                    .await
            }
            Decision::Delete { policy, unblock_owners } => {
                if unblock_owners {
                    self.unblock_owners(&resource, &node.identity, &latest).await?;
                }
                self.delete(&resource, &node.identity, &latest, policy).await
            }
        }
    }

    /// Upstream: `attemptToOrphanWorker`, `orphanDependents`.
    pub(super) async fn attempt_to_orphan(&self, uid: &str) -> anyhow::Result<Outcome> {
        let Some(node) = self.graph.lock().get(uid).cloned() else {
            return Ok(Outcome::Done);
        };
        let dependents = self.graph.lock().dependents_of(uid);
        for dependent in dependents {
            let identity = &dependent.identity;
            let Some(resource) = self.monitors.resource_of(&identity.api_version, &identity.kind) else {
                continue;
            };
            if let Some(latest) = self.look_up(&resource, identity).await? {
                self.drop_owners(&resource, identity, &latest, |owner| owner.uid != uid)
                    .await?;
            }
        }
        let Some(resource) = self
            .monitors
            .resource_of(&node.identity.api_version, &node.identity.kind)
        else {
            return Ok(Outcome::Retry);
        };
        match self.look_up(&resource, &node.identity).await? {
            Some(latest) => self.remove_finalizer(&resource, &node.identity, &latest, ORPHAN).await,
            None => Ok(Outcome::Done),
        }
    }

    /// Upstream: `processDeletingDependentsItem`.
    async fn finish_foreground(
        &self,
        resource: &Resource,
        identity: &Identity,
        latest: &ObjectMeta,
    ) -> anyhow::Result<Outcome> {
        let dependents = self.graph.lock().dependents_of(&identity.uid);
        let blocking = classify::blocking(&identity.uid, &dependents);
        if blocking.is_empty() {
            return self.remove_finalizer(resource, identity, latest, FOREGROUND).await;
        }
        for dependent in blocking.into_iter().filter(|dependent| !dependent.deleting_dependents) {
            self.to_delete.add(dependent.identity.uid.clone());
        }
        Ok(Outcome::Done)
    }

    /// The object's metadata now; `None` when it, or this one of its name, does not exist.
    async fn look_up(&self, resource: &Resource, identity: &Identity) -> anyhow::Result<Option<ObjectMeta>> {
        let found = self.api(resource, identity).get_opt(&identity.name).await?;
        Ok(found
            .map(|object| object.metadata)
            .filter(|meta| meta.uid.as_deref() == Some(&identity.uid)))
    }

    async fn owner_state(&self, owner: &OwnerReference, namespace: &str) -> anyhow::Result<OwnerState> {
        if self.absent.lock().contains(&owner.uid) {
            return Ok(OwnerState::Absent);
        }
        let resource = self.monitors.resource_of(&owner.api_version, &owner.kind);
        let resource =
            resource.ok_or_else(|| anyhow::anyhow!("no resource serves {} {}", owner.api_version, owner.kind))?;
        let identity = Identity {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            namespace: namespace.to_owned(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        };
        Ok(match self.look_up(&resource, &identity).await? {
            None => {
                self.remember_absent(&owner.uid);
                OwnerState::Absent
            }
            Some(meta) if meta.deletion_timestamp.is_some() && has_finalizer(&meta, FOREGROUND) => OwnerState::Waiting,
            Some(_) => OwnerState::Solid,
        })
    }

    async fn delete(
        &self,
        resource: &Resource,
        identity: &Identity,
        latest: &ObjectMeta,
        policy: &str,
    ) -> anyhow::Result<Outcome> {
        let preconditions = Preconditions {
            uid: latest.uid.clone(),
            resource_version: latest.resource_version.clone(),
        };
        let options = DeleteOptions {
            propagation_policy: Some(policy.to_owned()),
            preconditions: Some(preconditions),
            ..DeleteOptions::default()
        };
        tracing::info!(
            kind = identity.kind,
            namespace = identity.namespace,
            name = identity.name,
            policy,
            "deleting"
        );
        match self.api(resource, identity).delete(&identity.name, &options).await {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            // It has changed since: look again.
            Err(error) if error.is_conflict() => Ok(Outcome::Retry),
            other => Ok(other.map(|()| Outcome::Done)?),
        }
    }

    async fn drop_owners(
        &self,
        resource: &Resource,
        identity: &Identity,
        latest: &ObjectMeta,
        keep: impl Fn(&OwnerReference) -> bool,
    ) -> anyhow::Result<Outcome> {
        let owners = latest.owner_references.clone().unwrap_or_default();
        let kept: Vec<_> = owners.iter().filter(|owner| keep(owner)).collect();
        if kept.len() == owners.len() {
            return Ok(Outcome::Done);
        }
        self.patch(resource, identity, latest, json!({"ownerReferences": kept}))
            .await
    }

    async fn unblock_owners(
        &self,
        resource: &Resource,
        identity: &Identity,
        latest: &ObjectMeta,
    ) -> anyhow::Result<()> {
        let mut owners = latest.owner_references.clone().unwrap_or_default();
        owners
            .iter_mut()
            .for_each(|owner| owner.block_owner_deletion = Some(false));
        self.patch(resource, identity, latest, json!({"ownerReferences": owners}))
            .await
            .map(drop)
    }

    async fn remove_finalizer(
        &self,
        resource: &Resource,
        identity: &Identity,
        latest: &ObjectMeta,
        finalizer: &str,
    ) -> anyhow::Result<Outcome> {
        if !has_finalizer(latest, finalizer) {
            return Ok(Outcome::Done);
        }
        let left: Vec<_> = latest
            .finalizers
            .iter()
            .flatten()
            .filter(|name| *name != finalizer)
            .collect();
        self.patch(resource, identity, latest, json!({"finalizers": left}))
            .await
    }

    /// A merge patch of the metadata, for this very object in this very version.
    async fn patch(
        &self,
        resource: &Resource,
        identity: &Identity,
        latest: &ObjectMeta,
        mut metadata: Value,
    ) -> anyhow::Result<Outcome> {
        metadata["uid"] = json!(latest.uid);
        metadata["resourceVersion"] = json!(latest.resource_version);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match self.api(resource, identity).patch(&identity.name, &patch, None).await {
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) if error.is_conflict() => Ok(Outcome::Retry),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(Outcome::Done),
        }
    }

    fn api(&self, resource: &Resource, identity: &Identity) -> MetadataApi {
        let namespace = resource.namespaced.then_some(identity.namespace.as_str());
        MetadataApi::of_resource(self.client.clone(), resource.clone(), namespace)
    }
}
