//! The gates that rules ask: one word for the process, as `--feature-gates` says it.
//!
//! Upstream: `utilfeature.DefaultFeatureGate`, which is process-wide, too: defaults and validation are asked from
//! everywhere. A gate stands here when it decides more than whether a field is kept; those are the parent's table.

use std::sync::atomic::{AtomicU32, Ordering};

/// A gate that a rule asks; its variants are in the order of [`GATES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nominated nodes of bound pods stay empty.
    ClearingNominatedNodeName,
    /// Devices have capacity that claims share.
    ConsumableCapacity,
    /// Autoscalers may scale to no replica.
    ScaleToZero,
    /// Init containers may be resized, not only sidecars.
    ResizeOfInitContainers,
    /// StatefulSets say how many pods may be away.
    MaxUnavailable,
    /// Resources of a suspended job's pods may change.
    ResourcesOfSuspendedJobs,
    /// Node affinity of volumes may change.
    VolumeNodeAffinity,
    /// Scheduling directives of a suspended job may change also when it has run.
    DirectivesOfSuspendedJobs,
    /// The annotation about a pod's cost of deletion is checked.
    DeletionCost,
    /// Pods have resources as a whole.
    PodLevelResources,
    /// Services are named as other objects.
    RelaxedServiceNames,
    /// Volumes of every access mode are labelled when they are mounted.
    SELinuxMount,
    /// Addresses that parsers disagree on are refused.
    StrictAddresses,
    /// Tolerations compare numbers.
    ComparingTolerations,
    /// Pods with users of their own may be on the node's network.
    UsersOnHostNetwork,
    /// Drivers say whether pods wait for them.
    VolumeLimitScaling,
}

/// Names of the gates, and whether they are on by default in v1.36 (pkg/features/kube_features.go).
const GATES: [(Gate, &str, bool); 16] = [
    (
        Gate::ClearingNominatedNodeName,
        "ClearingNominatedNodeNameAfterBinding",
        true,
    ),
    (Gate::ConsumableCapacity, "DRAConsumableCapacity", true),
    (Gate::ScaleToZero, "HPAScaleToZero", false),
    (
        Gate::ResizeOfInitContainers,
        "InPlacePodVerticalScalingInitContainers",
        true,
    ),
    (Gate::MaxUnavailable, "MaxUnavailableStatefulSet", false),
    (
        Gate::ResourcesOfSuspendedJobs,
        "MutablePodResourcesForSuspendedJobs",
        true,
    ),
    (Gate::VolumeNodeAffinity, "MutablePVNodeAffinity", false),
    (
        Gate::DirectivesOfSuspendedJobs,
        "MutableSchedulingDirectivesForSuspendedJobs",
        true,
    ),
    (Gate::DeletionCost, "PodDeletionCost", true),
    (Gate::PodLevelResources, "PodLevelResources", true),
    (Gate::RelaxedServiceNames, "RelaxedServiceNameValidation", true),
    (Gate::SELinuxMount, "SELinuxMount", false),
    (Gate::StrictAddresses, "StrictIPCIDRValidation", true),
    (Gate::ComparingTolerations, "TaintTolerationComparisonOperators", false),
    (Gate::UsersOnHostNetwork, "UserNamespacesHostNetworkSupport", false),
    (Gate::VolumeLimitScaling, "VolumeLimitScaling", false),
];

/// A bit per gate, by its place among the variants; set are those that are not as by default.
static FLIPPED: AtomicU32 = AtomicU32::new(0);

/// Sets which gates are on; by default those that are in v1.36.
pub fn decide(enabled: impl Fn(&str) -> bool) {
    let flipped = GATES.iter().filter(|(_, name, default)| enabled(name) != *default);
    let bits = flipped.fold(0, |bits, (gate, ..)| bits | bit(*gate));
    FLIPPED.store(bits, Ordering::Relaxed);
}

/// The gates that rules ask, and whether each is on by default.
pub fn defaults() -> impl Iterator<Item = (&'static str, bool)> {
    GATES.iter().map(|(_, name, default)| (*name, *default))
}

/// Whether a gate is on.
pub(crate) fn on(gate: Gate) -> bool {
    let default = GATES.iter().any(|(g, _, default)| *g == gate && *default);
    let flipped = FLIPPED.load(Ordering::Relaxed) & bit(gate) != 0;
    default != flipped
}

fn bit(gate: Gate) -> u32 {
    1 << gate as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_on_as_by_default_and_each_has_a_bit_of_its_own() {
        for (index, (gate, name, default)) in GATES.iter().enumerate() {
            assert_eq!(*gate as usize, index, "{name}");
            assert_eq!(on(*gate), *default, "{name}");
        }
    }
}
