//! NodeRestriction: a kubelet writes its own node, its own pods' status, and little else.
//!
//! Upstream: `plugin/pkg/admission/noderestriction/admission.go`.

mod nodes;
mod pods;
mod tokens;

use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::certificates;
use super::{Attributes, Operation, Plugin, World};
use crate::authz::Union;
use crate::authz::node::identify;
use crate::objects::{Objects, find, text};
use crate::resources;

/// Who signs for kubelets.
const KUBELET_SIGNERS: [&str; 2] = [
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/kube-apiserver-client-kubelet",
];

/// The plugin.
pub(crate) struct NodeRestriction {
    objects: Arc<dyn Objects>,
    authorizer: Union,
}

impl NodeRestriction {
    /// Looks pods and nodes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        NodeRestriction {
            objects: world.objects.clone(),
            authorizer: world.authorizer.clone(),
        }
    }
}

#[async_trait]
impl Plugin for NodeRestriction {
    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    async fn admit(&self, a: &Attributes<'_>, obj: &mut Value) -> Result<(), ApiError> {
        let Some(node) = identify(&a.ctx.user) else {
            return Ok(());
        };
        if node.is_empty() {
            return Err(a.forbidden(obj, format!("could not determine node from user {:?}", a.ctx.user.name)));
        }
        let (i, objects) = (&a.ctx.info, &*self.objects);
        match (i.api_group.as_str(), i.resource.as_str(), i.subresource.as_str()) {
            ("", "pods", "") => pods::pod(objects, node, a, obj).await,
            ("", "pods", "status") => pods::status(node, a, obj),
            ("", "pods", "eviction") => pods::eviction(objects, node, a, obj).await,
            ("", "pods", sub) => Err(a.forbidden(
                obj,
                format!("unexpected pod subresource {sub:?}, only 'status' and 'eviction' are allowed"),
            )),
            ("", "nodes", _) => nodes::node(node, a, obj),
            ("", "persistentvolumeclaims", "status") => claim_status(node, a, obj),
            ("", "persistentvolumeclaims", _) => Err(a.forbidden(obj, "may only update PVC status")),
            ("", "serviceaccounts", "token") if a.operation == Operation::Create => {
                tokens::token(self, node, a, obj).await
            }
            ("coordination.k8s.io", "leases", _) => lease(node, a, obj),
            ("storage.k8s.io", "csinodes", _) => own_name(node, a, obj, "CSINode"),
            ("resource.k8s.io", "resourceslices", _) => resource_slice(node, a, obj),
            ("certificates.k8s.io", "certificatesigningrequests", _) => certificate(node, a, obj),
            _ => Ok(()),
        }
    }
}

/// Of a claim a kubelet reports how far its expansion is, and nothing else.
fn claim_status(node: &str, a: &Attributes<'_>, claim: &Value) -> Result<(), ApiError> {
    let Some(old) = a.old else { return Ok(()) };
    let rest = |claim: &Value| {
        let mut claim = claim.clone();
        for field in ["resourceVersion", "managedFields"] {
            apimachinery::meta::remove(&mut claim, field);
        }
        if let Some(status) = claim.get_mut("status").and_then(Value::as_object_mut) {
            for field in [
                "capacity",
                "conditions",
                "allocatedResourceStatuses",
                "allocatedResources",
            ] {
                status.remove(field);
            }
        }
        if claim.get("status").and_then(Value::as_object).is_none_or(Map::is_empty) {
            claim["status"] = Value::Null;
        }
        claim
    };
    if rest(old) == rest(claim) {
        return Ok(());
    }
    let why = format!("node {node:?} is not allowed to update fields other than status.quantity and status.conditions");
    Err(a.forbidden(claim, why))
}

/// Slices of its own devices; the authorizer, which sees no object, lets all through.
fn resource_slice(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    let (slice, verb) = match a.operation {
        Operation::Create => (Some(obj), "create"),
        Operation::Delete => (a.old, "delete"),
        _ => return Ok(()),
    };
    if slice.is_some_and(|slice| text(slice, "/spec/nodeName") == node) {
        return Ok(());
    }
    let why = format!("can only {verb} ResourceSlice with the same NodeName as the requesting node");
    Err(a.forbidden(obj, why))
}

/// Certificates for kubelets: its own name only.
fn certificate(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    let signer = text(obj, "/spec/signerName");
    if a.operation != Operation::Create || !KUBELET_SIGNERS.contains(&signer) {
        return Ok(());
    }
    let name = certificates::common_name(text(obj, "/spec/request"))
        .map_err(|why| a.forbidden(obj, format!("unable to parse csr: {why}")))?;
    if name == format!("system:node:{node}") {
        return Ok(());
    }
    Err(a.forbidden(obj, format!("can only create a node CSR with CN=system:node:{node}")))
}

fn lease(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    if a.namespace() != "kube-node-lease" {
        return Err(a.forbidden(
            obj,
            "can only access leases in the \"kube-node-lease\" system namespace".to_owned(),
        ));
    }
    own_name(node, a, obj, "node lease")
}

fn own_name(node: &str, a: &Attributes<'_>, obj: &Value, what: &str) -> Result<(), ApiError> {
    if named(a, obj) == node {
        return Ok(());
    }
    Err(a.forbidden(
        obj,
        format!("can only access {what} with the same name as the requesting node"),
    ))
}

/// Whom a request names: in its path, or in the object.
fn named<'a>(a: &Attributes<'a>, obj: &'a Value) -> &'a str {
    match a.ctx.info.name.as_str() {
        "" => text(obj, "/metadata/name"),
        name => name,
    }
}

/// One object, with upstream's words when it is not there: its informers name kinds, not resources.
async fn listed(
    objects: &dyn Objects,
    (group, resource): (&str, &str),
    namespace: &str,
    name: &str,
) -> Result<Arc<Value>, ApiError> {
    // A claim that is not bound names no volume.
    let found = if name.is_empty() {
        None
    } else {
        find(objects, group, resource, namespace, name).await?
    };
    found.ok_or_else(|| {
        let mut rows = resources::resources().iter();
        let row = rows.find(|r| r.group == group && r.plural == resource);
        let kind = row.map_or(resource, |row| row.singular);
        ApiError::not_found(&GroupResource::new(group.to_owned(), kind.to_owned()), name)
    })
}

/// As [`listed`]; who cannot be asked about what is there may not write it either.
async fn needed(
    objects: &dyn Objects,
    resource: &str,
    a: &Attributes<'_>,
    obj: &Value,
    (namespace, name): (&str, &str),
) -> Result<Arc<Value>, ApiError> {
    let found = listed(objects, ("", resource), namespace, name).await;
    found.map_err(|e| {
        if e.is_not_found() {
            e
        } else {
            a.forbidden(obj, e.message)
        }
    })
}
