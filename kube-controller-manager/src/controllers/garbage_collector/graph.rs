//! Who owns whom. Pure: observations in, things to look at out.
//!
//! Upstream: garbagecollector/graph_builder.go `GraphBuilder.processGraphChanges`.

use std::collections::{BTreeSet, HashMap};

use client::PartialObjectMetadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Finalizer of an owner that waits for its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an owner whose dependents stay.
pub(super) const ORPHAN: &str = "orphan";

/// What identifies an object to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// One object and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) dependents: BTreeSet<String>,
    pub(super) being_deleted: bool,
    /// It is being deleted in the foreground: it waits for its dependents.
    pub(super) deleting_dependents: bool,
    /// Known only as somebody's owner; no watch has shown it.
    pub(super) is_virtual: bool,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// May it go?
    Delete(String),
    /// Its dependents lose it as an owner.
    Orphan(String),
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The dependents of a node, those that are known.
    pub(super) fn dependents_of(&self, uid: &str) -> Vec<Node> {
        let dependents = self.nodes.get(uid).map(|node| &node.dependents);
        dependents
            .into_iter()
            .flatten()
            .filter_map(|uid| self.nodes.get(uid).cloned())
            .collect()
    }

    /// An object was added or changed.
    pub(super) fn observe(&mut self, api_version: &str, kind: &str, object: &PartialObjectMetadata) -> Vec<Todo> {
        let meta = &object.metadata;
        let uid = meta.uid.clone().unwrap_or_default();
        let owners = meta.owner_references.clone().unwrap_or_default();
        let known = self.nodes.get(&uid);
        let old_owners = known.map(|node| node.owners.clone()).unwrap_or_default();
        let was_deleting_dependents = known.is_some_and(|node| node.deleting_dependents);
        let was_being_deleted = known.is_some_and(|node| node.being_deleted);

        let mut todos = self.unblocked_owners(&old_owners, &owners);
        let node = self.nodes.entry(uid.clone()).or_insert_with(|| Node {
            identity: Identity {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                namespace: meta.namespace.clone().unwrap_or_default(),
                name: meta.name.clone().unwrap_or_default(),
                uid: uid.clone(),
            },
            owners: Vec::new(),
            dependents: BTreeSet::new(),
            being_deleted: false,
            deleting_dependents: false,
            is_virtual: false,
        });
        if node.is_virtual {
            // A reference may have named it with another version or namespace.
            node.is_virtual = false;
            node.identity.api_version = api_version.to_owned();
            node.identity.kind = kind.to_owned();
            node.identity.namespace = meta.namespace.clone().unwrap_or_default();
            node.identity.name = meta.name.clone().unwrap_or_default();
        }
        node.owners = owners.clone();
        node.being_deleted = meta.deletion_timestamp.is_some();
        let waits = |finalizer| meta.deletion_timestamp.is_some() && has_finalizer(meta, finalizer);
        node.deleting_dependents = waits(FOREGROUND);
        let dependents: Vec<String> = node.dependents.iter().cloned().collect();
        let namespace = node.identity.namespace.clone();

        for gone in old_owners
            .iter()
            .filter(|old| !owners.iter().any(|new| new.uid == old.uid))
        {
            if let Some(owner) = self.nodes.get_mut(&gone.uid) {
                owner.dependents.remove(&uid);
            }
        }
        for owner in owners
            .iter()
            .filter(|new| !old_owners.iter().any(|old| old.uid == new.uid))
        {
            todos.extend(self.add_dependent(owner, &uid, &namespace));
        }
        if waits(ORPHAN) && !was_being_deleted {
            todos.push(Todo::Orphan(uid));
        } else if waits(FOREGROUND) && !was_deleting_dependents {
            todos.extend(dependents.into_iter().map(Todo::Delete));
            todos.push(Todo::Delete(uid));
        }
        todos
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<Todo> {
        let Some(node) = self.nodes.remove(uid) else {
            return Vec::new();
        };
        let mut todos: Vec<Todo> = node.dependents.iter().cloned().map(Todo::Delete).collect();
        for owner in &node.owners {
            let Some(owner) = self.nodes.get_mut(&owner.uid) else {
                continue;
            };
            owner.dependents.remove(uid);
            if owner.deleting_dependents {
                todos.push(Todo::Delete(owner.identity.uid.clone()));
            } else if owner.is_virtual && owner.dependents.is_empty() {
                let uid = owner.identity.uid.clone();
                self.nodes.remove(&uid);
            }
        }
        todos
    }

    /// A new owner that no watch has shown yet is looked up: it may never have existed.
    fn add_dependent(&mut self, owner: &OwnerReference, uid: &str, namespace: &str) -> Option<Todo> {
        if let Some(known) = self.nodes.get_mut(&owner.uid) {
            known.dependents.insert(uid.to_owned());
            return known.deleting_dependents.then(|| Todo::Delete(uid.to_owned()));
        }
        let identity = Identity {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            namespace: namespace.to_owned(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        };
        let node = Node {
            identity,
            owners: Vec::new(),
            dependents: BTreeSet::from([uid.to_owned()]),
            being_deleted: false,
            deleting_dependents: false,
            is_virtual: true,
        };
        self.nodes.insert(owner.uid.clone(), node);
        Some(Todo::Delete(owner.uid.clone()))
    }

    /// Owners in foreground deletion that this object no longer blocks (`addUnblockedOwnersToDeleteQueue`).
    fn unblocked_owners(&self, old: &[OwnerReference], new: &[OwnerReference]) -> Vec<Todo> {
        let blocks = |reference: &OwnerReference| reference.block_owner_deletion == Some(true);
        old.iter()
            .filter(|old| blocks(old) && !new.iter().any(|new| new.uid == old.uid && blocks(new)))
            .filter(|old| self.nodes.get(&old.uid).is_some_and(|owner| owner.deleting_dependents))
            .map(|old| Todo::Delete(old.uid.clone()))
            .collect()
    }
}

pub(super) fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|name| name == finalizer)
}

#[cfg(test)]
mod tests;
