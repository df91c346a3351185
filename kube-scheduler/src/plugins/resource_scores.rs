//! What the two resource scorers share: which resources count, and how much of each a node has and
//! would have requested (upstream `noderesources/resource_allocation.go`).

use serde::Deserialize;
use serde_json::Value;

use crate::framework::node_info::NodeInfo;
use crate::framework::pod_info::PodInfo;

/// A resource and its weight in the score.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct Weighted {
    pub(super) name: String,
    #[serde(default = "one")]
    pub(super) weight: i64,
}

fn one() -> i64 {
    1
}

/// cpu and memory, equally.
pub(super) fn default_resources() -> Vec<Weighted> {
    ["cpu", "memory"]
        .map(|name| Weighted {
            name: name.to_owned(),
            weight: 1,
        })
        .to_vec()
}

/// Reads a `resources` list; an absent or empty one is the default.
pub(super) fn read_resources(value: Option<&Value>) -> Result<Vec<Weighted>, String> {
    let Some(value) = value.filter(|value| value.as_array().is_some_and(|list| !list.is_empty())) else {
        return Ok(default_resources());
    };
    let list: Vec<Weighted> = serde_json::from_value(value.clone()).map_err(|error| format!("resources: {error}"))?;
    for (index, resource) in list.iter().enumerate() {
        if !(1..=100).contains(&resource.weight) {
            return Err(format!(
                "resources[{index}].weight: Invalid value: {}: resource weight of {} not in valid range [1, 100]",
                resource.weight, resource.name
            ));
        }
    }
    Ok(list)
}

/// `(allocatable, requested with the pod)` of one resource. `defaulted` counts containers without a
/// cpu or memory request at the default amounts.
pub(super) fn usage(pod: &PodInfo, node: &NodeInfo, resource: &str, defaulted: bool) -> (i64, i64) {
    let defaulted = defaulted && matches!(resource, "cpu" | "memory");
    let (on_node, of_pod) = if defaulted {
        (&node.non_zero_requested, &pod.non_zero)
    } else {
        (&node.requested, &pod.requests)
    };
    let wanted = of_pod.get(resource);
    // A resource the pod does not ask for, other than the basic ones, is no reason to like a node.
    if wanted == 0 && !matches!(resource, "cpu" | "memory" | "ephemeral-storage") {
        return (0, 0);
    }
    (node.allocatable.get(resource), on_node.get(resource) + wanted)
}
