//! Objects that are as they are (apiserver `pkg/apis/flowcontrol/bootstrap/default.go`).

use serde_json::{Value, json};

/// The spec a mandatory FlowSchema has.
pub(super) fn flow_schema(name: &str) -> Option<Value> {
    let (precedence, groups) = match name {
        "exempt" => (1, vec!["system:masters"]),
        "catch-all" => (10000, vec!["system:unauthenticated", "system:authenticated"]),
        _ => return None,
    };
    let group = |name: &str| json!({"kind": "Group", "group": {"name": name}});
    let subjects: Vec<Value> = groups.into_iter().map(group).collect();
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": name},
        "matchingPrecedence": precedence,
        "rules": [{
            "subjects": subjects,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    });
    if name == "catch-all" {
        spec["distinguisherMethod"] = json!({"type": "ByUser"});
    }
    Some(spec)
}

/// The spec a mandatory PriorityLevelConfiguration has; of `exempt` the part `exempt` is free.
pub(super) fn priority_level(name: &str) -> Option<Value> {
    match name {
        "exempt" => Some(json!({"type": "Exempt"})),
        "catch-all" => Some(json!({"type": "Limited", "limited": {
            "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}})),
        _ => None,
    }
}
