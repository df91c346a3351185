//! Nodes: a kubelet writes its own, but neither taints nor labels by which others are kept away from it.

use apimachinery::status::ApiError;
use serde_json::{Map, Value};

use super::named;
use crate::admission::{Attributes, Operation};

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
pub(super) fn node(node: &str, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
    let name = named(a, obj);
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
