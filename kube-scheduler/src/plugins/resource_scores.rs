//! What the two resource scorers share: which resources count, and how much of each a node has and
//! would have requested (upstream `noderesources/resource_allocation.go`).

use serde::Deserialize;
use serde_json::Value;

use crate::framework::node_info::NodeInfo;
use crate::framework::pod_info::PodInfo;
use crate::framework::resource::Resources;

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

/// The weighted resources of one pod, names resolved once per cycle.
pub(super) struct Amounts(Vec<Amount>);

struct Amount {
    resource: Kind,
    weight: i64,
    /// What the pod asks for.
    wanted: i64,
    /// What is requested on the node counts containers without a request at a default.
    defaulted: bool,
}

enum Kind {
    Cpu,
    Memory,
    EphemeralStorage,
    Scalar(String),
}

impl Kind {
    fn of(&self, resources: &Resources) -> i64 {
        match self {
            Self::Cpu => resources.milli_cpu,
            Self::Memory => resources.memory,
            Self::EphemeralStorage => resources.ephemeral_storage,
            Self::Scalar(name) => resources.get(name),
        }
    }
}

impl Amounts {
    /// `defaulted` counts containers without a cpu or memory request at the default amounts.
    pub(super) fn new(pod: &PodInfo, resources: &[Weighted], defaulted: bool) -> Self {
        let amounts = resources.iter().filter_map(|weighted| {
            let resource = match weighted.name.as_str() {
                "cpu" => Kind::Cpu,
                "memory" => Kind::Memory,
                "ephemeral-storage" => Kind::EphemeralStorage,
                name => Kind::Scalar(name.to_owned()),
            };
            let defaulted = defaulted && matches!(resource, Kind::Cpu | Kind::Memory);
            let wanted = resource.of(if defaulted { &pod.non_zero } else { &pod.requests });
            // A resource the pod does not ask for, other than the basic ones, is no reason to like a node.
            let counts = wanted != 0 || !matches!(resource, Kind::Scalar(_));
            counts.then_some(Amount {
                resource,
                weight: weighted.weight,
                wanted,
                defaulted,
            })
        });
        Self(amounts.collect())
    }

    /// `(allocatable, requested with the pod, weight)` of each resource the node has.
    pub(super) fn on<'a>(&'a self, node: &'a NodeInfo) -> impl Iterator<Item = (i64, i64, i64)> + 'a {
        self.0.iter().filter_map(|amount| {
            let have = amount.resource.of(&node.allocatable);
            let requested = if amount.defaulted {
                &node.non_zero_requested
            } else {
                &node.requested
            };
            (have != 0).then(|| (have, amount.resource.of(requested) + amount.wanted, amount.weight))
        })
    }
}
