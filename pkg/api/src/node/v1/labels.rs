//! Labels of nodes that have newer names (pkg/api/node/util.go).

use apimachinery::field::Path;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::check::list;

/// Labels and what to say of them (`deprecatedNodeLabels`).
const DEPRECATED: [(&str, &str); 8] = [
    (
        "beta.kubernetes.io/arch",
        "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
    ),
    (
        "beta.kubernetes.io/os",
        "deprecated since v1.14; use \"kubernetes.io/os\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    (
        "node-role.kubernetes.io/master",
        "use \"node-role.kubernetes.io/control-plane\" instead",
    ),
];

/// What to say of a label that is deprecated (`GetNodeLabelDeprecatedMessage`).
pub fn deprecated_label(label: &str) -> Option<&'static str> {
    DEPRECATED.iter().find(|(l, _)| *l == label).map(|(_, text)| *text)
}

/// Warnings about the labels of a selector of nodes (`GetWarningsForNodeSelector`).
pub fn selector_warnings(selector: &LabelSelector, path: &Path) -> Vec<String> {
    let mut out = vec![];
    for (index, expression) in list(&selector.match_expressions).iter().enumerate() {
        if let Some(text) = deprecated_label(&expression.key) {
            let path = path.child("matchExpressions").index(index).child("key");
            out.push(format!("{path}: {} is {text}", expression.key));
        }
    }
    for label in selector.match_labels.iter().flat_map(|l| l.keys()) {
        if let Some(text) = deprecated_label(label) {
            out.push(format!("{}: {text}", path.child("matchLabels").child(label)));
        }
    }
    out
}
