//! Pods: mirrors of its own are all a kubelet creates; it deletes, evicts and reports on those that run on it.

use api::core::v1::MIRROR_ANNOTATION;
use apimachinery::status::ApiError;
use serde_json::Value;

use super::nodes::labels;
use super::{named, needed};
use crate::admission::references::references;
use crate::admission::service_account::is_mirror;
use crate::admission::{Attributes, Operation};
use crate::objects::{Objects, items, text};

pub(super) async fn pod(objects: &dyn Objects, node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    match a.operation {
        Operation::Create => create(objects, node, a, obj).await,
        Operation::Delete => {
            let pod = needed(objects, "pods", a, obj, (a.namespace(), &a.ctx.info.name)).await?;
            if text(&pod, "/spec/nodeName") == node {
                return Ok(());
            }
            Err(a.forbidden(
                obj,
                format!("node {node:?} can only delete pods with spec.nodeName set to itself"),
            ))
        }
        _ => Err(a.forbidden(
            obj,
            format!("unexpected operation \"UPDATE\", node {node:?} can only create and delete mirror pods"),
        )),
    }
}

async fn create(objects: &dyn Objects, node: &str, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
    let no = |why: String| Err(a.forbidden(pod, why));
    if !is_mirror(pod) {
        return no(format!(
            "pod does not have {MIRROR_ANNOTATION:?} annotation, node {node:?} can only create mirror pods"
        ));
    }
    if text(pod, "/spec/nodeName") != node {
        return no(format!(
            "node {node:?} can only create pods with spec.nodeName set to itself"
        ));
    }
    match items(pod, "/metadata/ownerReferences") {
        [] => {
            return no(format!(
                "node {node:?} can only create pods with an owner reference set to itself"
            ));
        }
        [o] => {
            if (text(o, "/apiVersion"), text(o, "/kind"), text(o, "/name")) != ("v1", "Node", node) {
                return no(format!(
                    "node {node:?} can only create pods with an owner reference set to itself"
                ));
            }
            if o["controller"].as_bool() != Some(true) {
                return no(format!(
                    "node {node:?} can only create pods with a controller owner reference set to itself"
                ));
            }
            if o["blockOwnerDeletion"].as_bool() == Some(true) {
                return no(format!(
                    "node {node:?} must not set blockOwnerDeletion on an owner reference"
                ));
            }
            let stored = needed(objects, "nodes", a, pod, ("", node)).await?;
            let (want, have) = (text(o, "/uid"), text(&stored, "/metadata/uid"));
            if want != have {
                return no(format!("node {node} UID mismatch: expected {want} got {have}"));
            }
        }
        _ => {
            return no(format!(
                "node {node:?} can only create pods with a single owner reference set to itself"
            ));
        }
    }
    match references(pod) {
        Some(what) => no(format!("node {node:?} can not create pods that reference {what}")),
        None => Ok(()),
    }
}

pub(super) fn status(node: &str, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
    let Some(old) = a.old else { return Ok(()) };
    if text(old, "/spec/nodeName") != node {
        return Err(a.forbidden(
            pod,
            format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"),
        ));
    }
    if labels(old) != labels(pod) {
        return Err(a.forbidden(pod, format!("node {node:?} cannot update labels through pod status")));
    }
    // The claims that a pod's status names are what its node may read.
    let claims = |pod: &Value| items(pod, "/status/resourceClaimStatuses").to_vec();
    if claims(old) != claims(pod) {
        return Err(a.forbidden(pod, format!("node {node:?} cannot update resource claim statues")));
    }
    let extended = |pod: &Value| {
        pod.pointer("/status/extendedResourceClaimStatus")
            .cloned()
            .unwrap_or_default()
    };
    if extended(old) != extended(pod) {
        let why = format!("node {node:?} cannot update extended resource claim status");
        return Err(a.forbidden(pod, why));
    }
    Ok(())
}

pub(super) async fn eviction(
    objects: &dyn Objects,
    node: &str,
    a: &Attributes<'_>,
    obj: &Value,
) -> Result<(), ApiError> {
    let pod = needed(objects, "pods", a, obj, (a.namespace(), named(a, obj))).await?;
    if text(&pod, "/spec/nodeName") == node {
        return Ok(());
    }
    Err(a.forbidden(
        obj,
        format!("node {node} can only evict pods with spec.nodeName set to itself"),
    ))
}
