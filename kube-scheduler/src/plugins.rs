//! The plugins, one file each, and the table of them.

mod default_binder;
mod default_preemption;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_balanced_allocation;
mod node_resources_fit;
mod node_unschedulable;
mod pod_topology_spread;
mod resource_scores;
mod scheduling_gates;
mod taint_toleration;

use serde_json::Value;

use crate::framework::plugin::{Bind, Plugin};
use std::sync::Arc;

/// What plugins may use besides their arguments.
#[derive(Clone)]
pub(crate) struct Handle {
    /// How a pod is bound; tests record.
    pub(crate) binder: Arc<dyn Bind>,
}

/// Makes a plugin from its `pluginConfig` arguments (null when there are none).
type Factory = fn(&Handle, &Value) -> Result<Plugin, String>;

/// One row: name, default weight, default-on, and how to make it. A row without a factory is a name
/// of upstream's that configuration files may use and that does nothing here yet.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) weight: i64,
    pub(crate) factory: Option<Factory>,
}

const fn row(name: &'static str, weight: i64, factory: Factory) -> Row {
    Row {
        name,
        weight,
        factory: Some(factory),
    }
}

const fn absent(name: &'static str, weight: i64) -> Row {
    Row {
        name,
        weight,
        factory: None,
    }
}

/// All plugins in upstream's default order (`apis/config/v1` `getDefaultPlugins`).
pub(crate) const REGISTRY: &[Row] = &[
    row(scheduling_gates::NAME, 0, scheduling_gates::new),
    absent("PrioritySort", 0), // the queue's order; the only queue sort there is
    row(node_unschedulable::NAME, 0, node_unschedulable::new),
    row(node_name::NAME, 0, node_name::new),
    row(taint_toleration::NAME, 3, taint_toleration::new),
    row(node_affinity::NAME, 2, node_affinity::new),
    row(node_ports::NAME, 0, node_ports::new),
    row(node_resources_fit::NAME, 1, node_resources_fit::new),
    absent("VolumeRestrictions", 0),
    absent("NodeVolumeLimits", 0),
    absent("VolumeBinding", 0),
    absent("VolumeZone", 0),
    row(pod_topology_spread::NAME, 2, pod_topology_spread::new),
    row(inter_pod_affinity::NAME, 2, inter_pod_affinity::new),
    absent("DynamicResources", 2),
    row(default_preemption::NAME, 0, default_preemption::new),
    row(
        node_resources_balanced_allocation::NAME,
        1,
        node_resources_balanced_allocation::new,
    ),
    row(image_locality::NAME, 1, image_locality::new),
    row(default_binder::NAME, 0, default_binder::new),
    absent("NodeDeclaredFeatures", 0),
    absent("GangScheduling", 0),
];

/// The row of a name.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    REGISTRY.iter().find(|row| row.name == name)
}

pub(crate) use default_binder::ApiBinder;

#[cfg(test)]
pub(crate) mod tests;
