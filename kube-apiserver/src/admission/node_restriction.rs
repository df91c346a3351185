//! NodeRestriction: a kubelet writes its own node, its own pods' status, and little else.
//!
//! Upstream: `plugin/pkg/admission/noderestriction/admission.go`.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Map, Value};

use super::certificates;
use super::references::references;
use super::service_account::is_mirror;
use super::{Attributes, Operation, Plugin, World};
use crate::authz::Union;
use crate::authz::node::identify;
use crate::objects::{Objects, find, items, text};
use crate::request::RequestInfo;

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
        let why =
            format!("node {node:?} is not allowed to update fields other than status.quantity and status.conditions");
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
        if uid != text(&pod, "/metadata/uid") {
            return no(&format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            ));
        }
        if text(&pod, "/spec/nodeName") != node {
            return no("node requested token bound to a pod scheduled on a different node");
        }
        let audience = match items(obj, "/spec/audiences") {
            [] => "",
            [one] => one.as_str().unwrap_or_default(),
            _ => return no("node may only request 0 or 1 audiences"),
        };
        if self.pod_uses_audience(&pod, audience).await || self.may_ask_for(a, audience).await {
            return Ok(());
        }
        let user = &a.ctx.user.name;
        let why = format!(
            "audience {audience:?} not found in pod spec volume, {user} is not authorized to request tokens for this audience"
        );
        Err(a.forbidden(obj, why))
    }

    /// Whether a projected token of the pod has this audience, or the driver of one of its CSI volumes asks for it.
    async fn pod_uses_audience(&self, pod: &Value, audience: &str) -> bool {
        for volume in items(pod, "/spec/volumes") {
            let projected = items(volume, "/projected/sources").iter();
            let mut tokens = projected.filter_map(|source| source.get("serviceAccountToken"));
            if tokens.any(|token| text(token, "/audience") == audience) {
                return true;
            }
            let driver = self.driver(pod, volume).await.unwrap_or_default();
            if driver.is_empty() {
                continue;
            }
            let driver = find(&*self.objects, "storage.k8s.io", "csidrivers", "", &driver).await;
            if let Ok(Some(driver)) = driver
                && items(&driver, "/spec/tokenRequests")
                    .iter()
                    .any(|request| text(request, "/audience") == audience)
            {
                return true;
            }
        }
        false
    }

    /// The CSI driver behind a volume. (Upstream also translates volumes of drivers that were once in its tree.)
    async fn driver(&self, pod: &Value, volume: &Value) -> Option<String> {
        let ns = text(pod, "/metadata/namespace");
        let claim = if volume.get("ephemeral").is_some() {
            format!("{}-{}", text(pod, "/metadata/name"), text(volume, "/name"))
        } else if volume.get("persistentVolumeClaim").is_some() {
            text(volume, "/persistentVolumeClaim/claimName").to_owned()
        } else {
            return Some(text(volume, "/csi/driver").to_owned());
        };
        let claim = self.objects.get("", "persistentvolumeclaims", ns, &claim).await.ok()?;
        let name = text(&claim, "/spec/volumeName");
        let volume = self.objects.get("", "persistentvolumes", "", name).await.ok()?;
        Some(text(&volume, "/spec/csi/driver").to_owned())
    }

    /// Permission for an audience that no volume names.
    async fn may_ask_for(&self, a: &Attributes<'_>, audience: &str) -> bool {
        let info = RequestInfo {
            verb: "request-serviceaccounts-token-audience".to_owned(),
            api_version: "v1".to_owned(),
            namespace: a.namespace().to_owned(),
            resource: audience.to_owned(),
            name: a.ctx.info.name.clone(),
            is_resource: true,
            ..Default::default()
        };
        self.authorizer.allows(&a.ctx.user, &info).await
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
            ("", "persistentvolumeclaims", "status") => Self::claim_status(node, a, obj),
            ("", "persistentvolumeclaims", _) => Err(a.forbidden(obj, "may only update PVC status")),
            ("", "serviceaccounts", "token") if a.operation == Operation::Create => self.token(node, a, obj).await,
            ("coordination.k8s.io", "leases", _) => Self::lease(node, a, obj),
            ("storage.k8s.io", "csinodes", _) => Self::own_name(node, a, obj, "CSINode"),
            ("resource.k8s.io", "resourceslices", _) => Self::resource_slice(node, a, obj),
            ("certificates.k8s.io", "certificatesigningrequests", _) => Self::certificate(node, a, obj),
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
