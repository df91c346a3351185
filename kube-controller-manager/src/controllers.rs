//! The controllers, one module each: `start` says which events map to which keys, `reconcile` takes
//! a key. The list of them is `descriptors.rs`.

pub(crate) mod deployment;
pub(crate) mod disruption;
pub(crate) mod endpoints;
pub(crate) mod endpointslice;
pub(crate) mod endpointslicemirroring;
pub(crate) mod garbage_collector;
pub(crate) mod namespace;
pub(crate) mod node_ipam;
pub(crate) mod node_lifecycle;
pub(crate) mod pod_gc;
pub(crate) mod pv_protection;
pub(crate) mod pvc_protection;
pub(crate) mod replicas;
pub(crate) mod replicaset;
pub(crate) mod replicationcontroller;
pub(crate) mod resourcequota;
pub(crate) mod root_ca_publisher;
pub(crate) mod serviceaccount;
pub(crate) mod serviceaccount_token;
pub(crate) mod taint_eviction;
pub(crate) mod vac_protection;

mod finalizers;

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};

/// Name of an object, empty when it has none.
pub(crate) fn name<K: Metadata<Ty = ObjectMeta>>(object: &K) -> &str {
    object.metadata().name.as_deref().unwrap_or_default()
}

/// Namespace of an object, empty when it is cluster-scoped.
pub(crate) fn namespace<K: Metadata<Ty = ObjectMeta>>(object: &K) -> &str {
    object.metadata().namespace.as_deref().unwrap_or_default()
}

/// UID of an object.
pub(crate) fn uid<K: Metadata<Ty = ObjectMeta>>(object: &K) -> &str {
    object.metadata().uid.as_deref().unwrap_or_default()
}
