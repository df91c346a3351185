//! Node selectors and node affinity (component-helpers `scheduling/corev1/nodeaffinity`).
//!
//! A term with an unusable requirement matches nothing (upstream reports the parse error and moves
//! on to the next term); an empty term matches nothing; terms are ORed, requirements ANDed.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, PreferredSchedulingTerm,
};

/// The parts of a node that selectors look at.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.labels`; absent is the same as empty.
    pub labels: Option<&'a BTreeMap<String, String>>,
}

impl<'a> From<&'a Node> for NodeRef<'a> {
    fn from(node: &'a Node) -> Self {
        NodeRef {
            name: node.metadata.name.as_deref().unwrap_or(""),
            labels: node.metadata.labels.as_ref(),
        }
    }
}

/// Whether the node satisfies the pod's `nodeSelector` and required node affinity
/// (`GetRequiredNodeAffinity(pod).Match(node)`).
pub fn pod_matches_node(pod: &PodSpec, node: NodeRef<'_>) -> bool {
    matches_required(pod.node_selector.as_ref(), pod.affinity.as_ref(), node)
}

/// [`pod_matches_node`] for callers that hold the two fields only (`NewRequiredNodeAffinity`).
pub fn matches_required(
    node_selector: Option<&BTreeMap<String, String>>,
    affinity: Option<&Affinity>,
    node: NodeRef<'_>,
) -> bool {
    if let Some(wanted) = node_selector {
        let have = |key: &String| node.labels.and_then(|l| l.get(key));
        if wanted.iter().any(|(key, value)| have(key) != Some(value)) {
            return false;
        }
    }
    let required = affinity
        .and_then(|a| a.node_affinity.as_ref())
        .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|selector| matches_selector(selector, node))
}

/// Whether any term of the selector matches (`LazyErrorNodeSelector.Match`).
pub fn matches_selector(selector: &NodeSelector, node: NodeRef<'_>) -> bool {
    selector.node_selector_terms.iter().any(|term| matches_term(term, node))
}

/// Whether all requirements of one term hold; an empty term matches nothing.
pub fn matches_term(term: &NodeSelectorTerm, node: NodeRef<'_>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or(&[]);
    let fields = term.match_fields.as_deref().unwrap_or(&[]);
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    expressions.iter().all(|r| matches_expression(r, node.labels)) && fields.iter().all(|r| matches_field(r, node.name))
}

/// Whether one label requirement holds (`labels.Requirement.Matches` after
/// `nodeSelectorRequirementsAsSelector`).
pub fn matches_expression(requirement: &NodeSelectorRequirement, labels: Option<&BTreeMap<String, String>>) -> bool {
    let actual = labels.and_then(|l| l.get(&requirement.key));
    let values = requirement.values.as_deref().unwrap_or(&[]);
    match requirement.operator.as_str() {
        "In" => !values.is_empty() && actual.is_some_and(|a| values.contains(a)),
        "NotIn" => !values.is_empty() && actual.is_none_or(|a| !values.contains(a)),
        "Exists" => values.is_empty() && actual.is_some(),
        "DoesNotExist" => values.is_empty() && actual.is_none(),
        "Gt" => compare(actual, values, |a, w| a > w),
        "Lt" => compare(actual, values, |a, w| a < w),
        _ => false,
    }
}

fn compare(actual: Option<&String>, values: &[String], holds: fn(i64, i64) -> bool) -> bool {
    let ([wanted], Some(actual)) = (values, actual) else {
        return false;
    };
    match (actual.parse(), wanted.parse()) {
        (Ok(actual), Ok(wanted)) => holds(actual, wanted),
        _ => false,
    }
}

/// Whether one `matchFields` requirement holds; the only field is `metadata.name`, the only
/// operators `In` and `NotIn` with one value (`nodeSelectorRequirementsAsFieldSelector`). A node
/// without a name passes, as upstream skips the fields then.
pub fn matches_field(requirement: &NodeSelectorRequirement, node_name: &str) -> bool {
    let [wanted] = requirement.values.as_deref().unwrap_or(&[]) else {
        return false;
    };
    let actual = if requirement.key == "metadata.name" {
        node_name
    } else {
        ""
    };
    match requirement.operator.as_str() {
        "In" => node_name.is_empty() || actual == wanted,
        "NotIn" => node_name.is_empty() || actual != wanted,
        _ => false,
    }
}

/// Sum of the weights of the preferred terms that match the node (`PreferredSchedulingTerms.Score`).
pub fn preferred_score(terms: &[PreferredSchedulingTerm], node: NodeRef<'_>) -> i64 {
    terms
        .iter()
        .filter(|t| t.weight != 0 && matches_term(&t.preference, node))
        .map(|t| i64::from(t.weight))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    fn requirement(key: &str, operator: &str, values: &[&str]) -> NodeSelectorRequirement {
        NodeSelectorRequirement {
            key: key.into(),
            operator: operator.into(),
            values: (!values.is_empty()).then(|| values.iter().map(|v| v.to_string()).collect()),
        }
    }

    #[test]
    fn expressions_follow_their_operator() {
        let have = labels(&[("zone", "a"), ("gen", "7")]);
        let cases = [
            (requirement("zone", "In", &["a", "b"]), true),
            (requirement("zone", "In", &["b"]), false),
            (requirement("zone", "NotIn", &["b"]), true),
            (requirement("none", "NotIn", &["b"]), true),
            (requirement("zone", "Exists", &[]), true),
            (requirement("zone", "DoesNotExist", &[]), false),
            (requirement("gen", "Gt", &["6"]), true),
            (requirement("gen", "Lt", &["6"]), false),
            (requirement("zone", "Gt", &["6"]), false),
            (requirement("zone", "In", &[]), false),
            (requirement("zone", "Like", &["a"]), false),
        ];
        for (r, want) in cases {
            assert_eq!(matches_expression(&r, Some(&have)), want, "{r:?}");
        }
    }

    #[test]
    fn terms_are_ored_and_an_empty_term_matches_nothing() {
        let have = labels(&[("zone", "a")]);
        let node = NodeRef {
            name: "n1",
            labels: Some(&have),
        };
        let term = |e: Vec<NodeSelectorRequirement>, f: Vec<NodeSelectorRequirement>| NodeSelectorTerm {
            match_expressions: Some(e),
            match_fields: Some(f),
        };
        let cases = [
            (vec![term(vec![], vec![])], false),
            (
                vec![term(vec![], vec![requirement("metadata.name", "In", &["n1"])])],
                true,
            ),
            (
                vec![term(vec![], vec![requirement("metadata.name", "NotIn", &["n1"])])],
                false,
            ),
            (
                vec![
                    term(vec![requirement("zone", "In", &["b"])], vec![]),
                    term(vec![requirement("zone", "In", &["a"])], vec![]),
                ],
                true,
            ),
        ];
        for (node_selector_terms, want) in cases {
            let selector = NodeSelector { node_selector_terms };
            assert_eq!(matches_selector(&selector, node), want, "{selector:?}");
        }
    }

    #[test]
    fn node_selector_map_needs_every_label() {
        let have = labels(&[("zone", "a")]);
        let node = NodeRef {
            name: "n1",
            labels: Some(&have),
        };
        let spec = |pairs: &[(&str, &str)]| PodSpec {
            node_selector: Some(labels(pairs)),
            ..PodSpec::default()
        };
        assert!(pod_matches_node(&spec(&[("zone", "a")]), node));
        assert!(!pod_matches_node(&spec(&[("zone", "a"), ("x", "y")]), node));
        assert!(pod_matches_node(&PodSpec::default(), node));
    }

    #[test]
    fn preferred_terms_add_their_weights() {
        let have = labels(&[("zone", "a")]);
        let node = NodeRef {
            name: "n1",
            labels: Some(&have),
        };
        let preferred = |weight, value: &str| PreferredSchedulingTerm {
            weight,
            preference: NodeSelectorTerm {
                match_expressions: Some(vec![requirement("zone", "In", &[value])]),
                match_fields: None,
            },
        };
        assert_eq!(
            preferred_score(&[preferred(3, "a"), preferred(5, "b"), preferred(7, "a")], node),
            10
        );
    }
}
