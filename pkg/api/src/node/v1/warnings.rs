//! Texts for `Warning` headers about labels of nodes that have newer names (pkg/api/node/util.go).

use apimachinery::field::Path;
use apimachinery::validation::is_valid_label_value;
use k8s_openapi::api::core::v1::NodeSelectorTerm;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::labels::deprecated_label;
use crate::check::list;

/// Of a RuntimeClass (`GetWarningsForRuntimeClass`).
pub fn runtime_class(class: &RuntimeClass) -> Vec<String> {
    let selector = class.scheduling.as_ref().and_then(|s| s.node_selector.as_ref());
    let labels = selector.into_iter().flat_map(|s| s.keys());
    let texts = labels.filter_map(|label| deprecated_label(label));
    texts.map(|text| format!("scheduling.nodeSelector: {text}")).collect()
}

/// Of a selector of nodes (`GetWarningsForNodeSelector`).
pub fn selector(selector: &LabelSelector, path: &Path) -> Vec<String> {
    let mut out = vec![];
    for (index, expression) in list(&selector.match_expressions).iter().enumerate() {
        key(&mut out, &path.child("matchExpressions").index(index), &expression.key);
    }
    for label in selector.match_labels.iter().flat_map(|l| l.keys()) {
        if let Some(text) = deprecated_label(label) {
            out.push(format!("{}: {text}", path.child("matchLabels").child(label)));
        }
    }
    out
}

/// Of a term of a node affinity; `values`: also of what no label can have
/// (`GetWarningsForNodeSelectorTerm`).
pub fn selector_term(out: &mut Vec<String>, term: &NodeSelectorTerm, values: bool, path: &Path) {
    for (index, expression) in list(&term.match_expressions).iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        key(out, &path, &expression.key);
        let checked = list(&expression.values).iter().enumerate().filter(|_| values);
        for (index, value) in checked {
            for rule in is_valid_label_value(value) {
                let path = path.child("values").index(index);
                out.push(format!("{path}: {value} is invalid, {rule}"));
            }
        }
    }
}

fn key(out: &mut Vec<String>, path: &Path, label: &str) {
    if let Some(text) = deprecated_label(label) {
        out.push(format!("{}: {label} is {text}", path.child("key")));
    }
}
