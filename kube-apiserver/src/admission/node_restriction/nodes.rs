//! Nodes: a kubelet writes its own, but neither taints nor labels by which others are kept away from it.

use apimachinery::status::ApiError;
use serde_json::{Map, Value};

use super::named;
use crate::admission::{Attributes, Operation};
use crate::objects::items;

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

/// A write of a node by the kubelet of `node`.
pub(super) fn node(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    let name = named(a, obj);
    if name != node {
        return Err(a.forbidden(obj, format!("node {node:?} is not allowed to modify node {name:?}")));
    }
    match a.operation {
        Operation::Create => created(node, a, obj),
        Operation::Update => a.old.map_or(Ok(()), |old| updated(node, a, old, obj)),
        _ => Ok(()),
    }
}

fn created(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    if config_source(obj).is_some() {
        let why = format!("node {node:?} is not allowed to create pods with a non-nil configSource");
        return Err(a.forbidden(obj, why));
    }
    let bad = forbidden_labels(labels(obj), &Map::new());
    if bad.is_empty() {
        return Ok(());
    }
    let bad = bad.join(", ");
    let why = format!("node {node:?} is not allowed to set the following labels: {bad}");
    Err(a.forbidden(obj, why))
}

fn updated(node: &str, a: &Attributes<'_>, old: &Value, obj: &Value) -> Result<(), ApiError> {
    let no = |why: String| Err(a.forbidden(obj, why));
    // A kubelet that does not know the field may drop it.
    if config_source(obj).is_some() && config_source(obj) != config_source(old) {
        return no(format!(
            "node {node:?} is not allowed to update configSource to a new non-nil configSource"
        ));
    }
    if items(old, "/spec/taints") != items(obj, "/spec/taints") {
        return no(format!("node {node:?} is not allowed to modify taints"));
    }
    if items(old, "/metadata/ownerReferences") != items(obj, "/metadata/ownerReferences") {
        return no(format!("node {node:?} is not allowed to modify ownerReferences"));
    }
    let bad = forbidden_labels(labels(obj), labels(old));
    if bad.is_empty() {
        return Ok(());
    }
    no(format!("is not allowed to modify labels: {}", bad.join(", ")))
}

/// What the node authorizer would let the kubelet read.
fn config_source(node: &Value) -> Option<&Value> {
    node.pointer("/spec/configSource").filter(|source| !source.is_null())
}

pub(super) fn labels(obj: &Value) -> &Map<String, Value> {
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
