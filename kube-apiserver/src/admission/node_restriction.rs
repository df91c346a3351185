//! NodeRestriction: a kubelet writes its own node, its own pods' status, and little else.
//!
//! Upstream: `plugin/pkg/admission/noderestriction/admission.go`.

use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::service_account::is_mirror;
use super::{Attributes, Operation, Plugin, World};
use crate::authz::node::identify;
use crate::objects::{Objects, items, text};

/// Labels of the kubernetes.io and k8s.io domains a kubelet may set on its node
/// (upstream `k8s.io/kubelet/pkg/apis/well_known_labels.go`).
const KUBELET_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];
const KUBELET_LABEL_DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// The plugin.
pub(crate) struct NodeRestriction {
    objects: Arc<dyn Objects>,
    api_audiences: Vec<String>,
}

impl NodeRestriction {
    /// Looks pods and nodes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        NodeRestriction {
            objects: world.objects.clone(),
            api_audiences: world.api_audiences.clone(),
        }
    }

    async fn pod(&self, node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        match a.operation {
            Operation::Create => self.create_pod(node, a, obj).await,
            Operation::Delete => {
                let pod = self.objects.get("", "pods", a.namespace(), &a.ctx.info.name).await?;
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

    async fn create_pod(&self, node: &str, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
        let no = |why: String| Err(a.forbidden(pod, why));
        if !is_mirror(pod) {
            return no(format!(
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node {node:?} can only create mirror pods"
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
                let stored = self.objects.get("", "nodes", "", node).await?;
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
        if !text(pod, "/spec/serviceAccountName").is_empty() {
            return no(format!(
                "node {node:?} can not create pods that reference a service account"
            ));
        }
        match references(pod) {
            Some(what) => no(format!("node {node:?} can not create pods that reference {what}")),
            None => Ok(()),
        }
    }

    fn pod_status(node: &str, a: &Attributes<'_>, pod: &Value) -> Result<(), ApiError> {
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
        Ok(())
    }

    async fn eviction(&self, node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let name = if a.ctx.info.name.is_empty() {
            text(obj, "/metadata/name")
        } else {
            &a.ctx.info.name
        };
        let pod = self.objects.get("", "pods", a.namespace(), name).await?;
        if text(&pod, "/spec/nodeName") == node {
            return Ok(());
        }
        Err(a.forbidden(
            obj,
            format!("node {node} can only evict pods with spec.nodeName set to itself"),
        ))
    }

    fn node(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let name = if a.ctx.info.name.is_empty() {
            text(obj, "/metadata/name")
        } else {
            &a.ctx.info.name
        };
        if name != node {
            return Err(a.forbidden(obj, format!("node {node:?} is not allowed to modify node {name:?}")));
        }
        let empty = Map::new();
        let old_labels = a.old.map(labels).unwrap_or(&empty);
        match a.operation {
            Operation::Create => {
                let bad = forbidden_labels(labels(obj), &empty);
                if !bad.is_empty() {
                    return Err(a.forbidden(
                        obj,
                        format!(
                            "node {node:?} is not allowed to set the following labels: {}",
                            bad.join(", ")
                        ),
                    ));
                }
            }
            Operation::Update => {
                let Some(old) = a.old else { return Ok(()) };
                if old.pointer("/spec/taints").unwrap_or(&Value::Null)
                    != obj.pointer("/spec/taints").unwrap_or(&Value::Null)
                {
                    return Err(a.forbidden(obj, format!("node {node:?} is not allowed to modify taints")));
                }
                let bad = forbidden_labels(labels(obj), old_labels);
                if !bad.is_empty() {
                    return Err(a.forbidden(obj, format!("is not allowed to modify labels: {}", bad.join(", "))));
                }
                if old.pointer("/metadata/ownerReferences") != obj.pointer("/metadata/ownerReferences") {
                    return Err(a.forbidden(obj, format!("node {node:?} is not allowed to modify ownerReferences")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn token(&self, node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let no = |why: &str| Err(a.forbidden(obj, why));
        let bound = obj.pointer("/spec/boundObjectRef").unwrap_or(&Value::Null);
        if text(bound, "/kind") != "Pod" || text(bound, "/apiVersion") != "v1" || text(bound, "/name").is_empty() {
            return no("node requested token not bound to a pod");
        }
        let uid = text(bound, "/uid");
        if uid.is_empty() {
            return no("node requested token with a pod binding without a uid");
        }
        let name = text(bound, "/name");
        let pod = self.objects.get("", "pods", a.namespace(), name).await?;
        let have = text(&pod, "/metadata/uid");
        if uid != have {
            return Err(ApiError::conflict(
                &GroupResource::new("", "pods"),
                name,
                format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record ({have}). The object might have been deleted and then recreated"
                ),
            ));
        }
        if text(&pod, "/spec/nodeName") != node {
            return no("node requested token bound to a pod scheduled on a different node");
        }
        for audience in items(obj, "/spec/audiences").iter().filter_map(Value::as_str) {
            if !self.pod_uses_audience(&pod, audience) {
                return Err(a.forbidden(
                    obj,
                    format!("audience {audience:?} not found in pod spec volume, {node:?} is not authorized to request tokens for this audience"),
                ));
            }
        }
        Ok(())
    }

    /// Whether a projected token of the pod has this audience. A CSI volume's driver may ask for any.
    fn pod_uses_audience(&self, pod: &Value, audience: &str) -> bool {
        let default = self.api_audiences.iter().any(|a| a == audience);
        items(pod, "/spec/volumes").iter().any(|v| {
            v.get("csi").is_some()
                || v.get("persistentVolumeClaim").is_some()
                || v.get("ephemeral").is_some()
                || items(v, "/projected/sources")
                    .iter()
                    .filter_map(|s| s.get("serviceAccountToken"))
                    .any(|t| {
                        let wanted = text(t, "/audience");
                        wanted == audience || (wanted.is_empty() && default)
                    })
        })
    }

    fn lease(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        if a.namespace() != "kube-node-lease" {
            return Err(a.forbidden(
                obj,
                "can only access leases in the \"kube-node-lease\" system namespace".to_owned(),
            ));
        }
        Self::own_name(node, a, obj, "node lease")
    }

    fn own_name(node: &str, a: &Attributes<'_>, obj: &Value, what: &str) -> Result<(), ApiError> {
        let name = if a.ctx.info.name.is_empty() {
            text(obj, "/metadata/name")
        } else {
            &a.ctx.info.name
        };
        if name == node {
            return Ok(());
        }
        Err(a.forbidden(
            obj,
            format!("can only access {what} with the same name as the requesting node"),
        ))
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
        let i = &a.ctx.info;
        match (i.api_group.as_str(), i.resource.as_str(), i.subresource.as_str()) {
            ("", "pods", "") => self.pod(node, a, obj).await,
            ("", "pods", "status") => Self::pod_status(node, a, obj),
            ("", "pods", "eviction") => self.eviction(node, a, obj).await,
            ("", "pods", sub) => Err(a.forbidden(
                obj,
                format!("unexpected pod subresource {sub:?}, only 'status' and 'eviction' are allowed"),
            )),
            ("", "nodes", _) => Self::node(node, a, obj),
            ("", "persistentvolumeclaims", "status") => Ok(()),
            ("", "persistentvolumeclaims", _) => Err(a.forbidden(obj, "may only update PVC status")),
            ("", "serviceaccounts", "token") if a.operation == Operation::Create => self.token(node, a, obj).await,
            ("coordination.k8s.io", "leases", _) => Self::lease(node, a, obj),
            ("storage.k8s.io", "csinodes", _) => Self::own_name(node, a, obj, "CSINode"),
            _ => Ok(()),
        }
    }
}

fn labels(obj: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    obj.pointer("/metadata/labels")
        .and_then(Value::as_object)
        .unwrap_or(&EMPTY)
}

/// Labels that changed and that kubelets may not touch, sorted.
fn forbidden_labels(new: &Map<String, Value>, old: &Map<String, Value>) -> Vec<String> {
    let mut bad: Vec<String> = new
        .keys()
        .chain(old.keys())
        .filter(|k| new.get(*k) != old.get(*k) && !allowed(k))
        .cloned()
        .collect();
    bad.sort();
    bad.dedup();
    bad
}

fn allowed(label: &str) -> bool {
    let Some((domain, _)) = label.split_once('/') else {
        return true;
    };
    let under = |d: &str| domain == d || domain.ends_with(&format!(".{d}"));
    if under("node-restriction.kubernetes.io") {
        return false;
    }
    if !under("kubernetes.io") && !under("k8s.io") {
        return true;
    }
    KUBELET_LABELS.contains(&label) || KUBELET_LABEL_DOMAINS.iter().any(|d| under(d))
}

/// The first kind of API object a pod refers to besides its service account.
fn references(pod: &Value) -> Option<&'static str> {
    let containers = ["/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"];
    let of_containers = |from: &str, value: &str| {
        containers.iter().flat_map(|l| items(pod, l)).any(|c| {
            items(c, "/envFrom").iter().any(|e| e.get(from).is_some())
                || items(c, "/env").iter().any(|e| e.pointer(value).is_some())
        })
    };
    let volumes = items(pod, "/spec/volumes");
    let source = |key: &str| {
        volumes.iter().any(|v| v.get(key).is_some())
            || volumes
                .iter()
                .flat_map(|v| items(v, "/projected/sources"))
                .any(|s| s.get(key).is_some())
    };
    if !items(pod, "/spec/imagePullSecrets").is_empty()
        || source("secret")
        || of_containers("secretRef", "/valueFrom/secretKeyRef")
    {
        return Some("secrets");
    }
    if source("configMap") || of_containers("configMapRef", "/valueFrom/configMapKeyRef") {
        return Some("configmaps");
    }
    if source("clusterTrustBundle") {
        return Some("clustertrustbundles");
    }
    if source("persistentVolumeClaim") {
        return Some("persistentvolumeclaims");
    }
    None
}
