//! Feature gates, and the fields that are not there while their gate is off.
//!
//! A field whose gate is off is dropped from what is written, unless the stored object uses it
//! already (upstream: `dropDisabledFields` of pkg/api/pod/util.go and of each strategy). The table
//! has a row per gate and kind; gates that decide more are asked by the rules ([`decide`]).

mod decided;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use decided::{Gate, on};
pub use decided::{decide, defaults};

/// Which gates of the table are off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates(BTreeSet<&'static str>);

/// The gates of the table that are off by default in v1.36 (pkg/features/kube_features.go).
const OFF: [&str; 11] = [
    "ClusterTrustBundleProjection",
    "ContainerStopSignals",
    "CoordinatedLeaderElection",
    "CrossNamespaceVolumeDataSource",
    "DRAListTypeAttributes",
    "DRANodeAllocatableResources",
    "GenericWorkload",
    "ImageVolumeWithDigest",
    "MaxUnavailableStatefulSet",
    "PodCertificateRequest",
    "VolumeLimitScaling",
];

/// The gate of a feature that is no more: nothing brings its fields back.
const REMOVED: &str = "DynamicKubeletConfig";

impl Default for Gates {
    /// The defaults of v1.36.
    fn default() -> Self {
        Gates::new(|gate| !OFF.contains(&gate))
    }
}

impl Gates {
    /// Asks of every gate of the table whether it is on.
    pub fn new(enabled: impl Fn(&str) -> bool) -> Self {
        let gates = FIELDS.iter().map(|(gate, ..)| *gate);
        Gates(gates.filter(|gate| *gate == REMOVED || !enabled(gate)).collect())
    }

    /// The fields that objects of a resource do not have with these gates.
    pub fn dropped(&self, group: &str, resource: &str) -> Dropped {
        let pods = POD_SPECS.iter().find(|(g, r, _)| (*g, *r) == (group, resource));
        let pods = pods.map(|(.., prefix)| *prefix);
        let mut out = vec![];
        for (gate, place, paths) in &FIELDS {
            let prefix = match place {
                Place::PodSpec => pods,
                Place::Object(g, resources) => {
                    let here = *g == group && resources.split('|').any(|r| r == resource);
                    here.then_some("")
                }
            };
            let Some(prefix) = prefix.filter(|_| self.0.contains(gate)) else {
                continue;
            };
            let full = |path: &&'static str| {
                prefix
                    .split('.')
                    .filter(|p| !p.is_empty())
                    .chain(path.split('.'))
                    .collect()
            };
            out.push(paths.iter().map(full).collect());
        }
        Dropped(out)
    }
}

/// Where the paths of a row begin.
enum Place {
    /// At every spec of pods.
    PodSpec,
    /// At the object: group, and resources with a `|` between them.
    Object(&'static str, &'static str),
}
use Place::{Object, PodSpec};

/// Where the specs of pods are.
const POD_SPECS: [(&str, &str, &str); 9] = [
    ("", "pods", "spec"),
    ("", "podtemplates", "template.spec"),
    ("", "replicationcontrollers", "spec.template.spec"),
    ("apps", "daemonsets", "spec.template.spec"),
    ("apps", "deployments", "spec.template.spec"),
    ("apps", "replicasets", "spec.template.spec"),
    ("apps", "statefulsets", "spec.template.spec"),
    ("batch", "cronjobs", "spec.jobTemplate.spec.template.spec"),
    ("batch", "jobs", "spec.template.spec"),
];

/// Gate, place, paths; all paths of a row are in use as soon as one is. In a path `*` is every element
/// or entry, `a|b` either, `a?` goes when nothing is left in it, and `a=b` is `a` when it has a `b`.
const FIELDS: [(&str, Place, &[&str]); 28] = [
    (
        "ClusterTrustBundleProjection",
        PodSpec,
        &["volumes.*.projected.sources.*.clusterTrustBundle"],
    ),
    (
        "ContainerStopSignals",
        PodSpec,
        &["containers|initContainers|ephemeralContainers.*.lifecycle?.stopSignal"],
    ),
    (
        "EnvFiles",
        PodSpec,
        &["containers|initContainers|ephemeralContainers.*.env.*.valueFrom.fileKeyRef"],
    ),
    ("GenericWorkload", PodSpec, &["schedulingGroup"]),
    ("HostnameOverride", PodSpec, &["hostnameOverride"]),
    (
        "MatchLabelKeysInPodTopologySpread",
        PodSpec,
        &["topologySpreadConstraints.*.matchLabelKeys"],
    ),
    (
        "PodCertificateRequest",
        PodSpec,
        &["volumes.*.projected.sources.*.podCertificate"],
    ),
    ("PodLevelResources", PodSpec, &["resources"]),
    (
        "DRAExtendedResource",
        Object("", "pods"),
        &["status.extendedResourceClaimStatus"],
    ),
    (
        "DRANodeAllocatableResources",
        Object("", "pods"),
        &["status.nodeAllocatableResourceClaimStatuses"],
    ),
    (
        "ImageVolumeWithDigest",
        Object("", "pods"),
        &["status.containerStatuses|initContainerStatuses|ephemeralContainerStatuses.*.volumeMounts.*.volumeStatus"],
    ),
    (
        "InPlacePodLevelResourcesVerticalScaling",
        Object("", "pods"),
        &["status.resources", "status.allocatedResources"],
    ),
    (
        "CrossNamespaceVolumeDataSource",
        Object("", "persistentvolumeclaims"),
        &["spec.dataSourceRef=namespace"],
    ),
    (
        "CoordinatedLeaderElection",
        Object("coordination.k8s.io", "leases"),
        &["spec.strategy"],
    ),
    (
        "CoordinatedLeaderElection",
        Object("coordination.k8s.io", "leases"),
        &["spec.preferredHolder"],
    ),
    ("DynamicKubeletConfig", Object("", "nodes"), &["spec.configSource"]),
    ("DynamicKubeletConfig", Object("", "nodes"), &["status.config"]),
    (
        "NodeDeclaredFeatures",
        Object("", "nodes"),
        &["status.declaredFeatures"],
    ),
    (
        "DeploymentReplicaSetTerminatingReplicas",
        Object("apps", "deployments|replicasets"),
        &["status.terminatingReplicas"],
    ),
    (
        "MaxUnavailableStatefulSet",
        Object("apps", "statefulsets"),
        &["spec.updateStrategy.rollingUpdate.maxUnavailable"],
    ),
    (
        "HPAConfigurableTolerance",
        Object("autoscaling", "horizontalpodautoscalers"),
        &["spec.behavior.scaleUp|scaleDown.tolerance"],
    ),
    (
        "VolumeLimitScaling",
        Object("storage.k8s.io", "csidrivers"),
        &["spec.preventPodSchedulingIfMissing"],
    ),
    (
        "DRAExtendedResource",
        Object("resource.k8s.io", "deviceclasses"),
        &["spec.extendedResourceName"],
    ),
    (
        "DRADeviceBindingConditions",
        Object("resource.k8s.io", "resourceclaims"),
        &["status.allocation.devices.results.*.bindingConditions|bindingFailureConditions"],
    ),
    (
        "DRAResourceClaimDeviceStatus",
        Object("resource.k8s.io", "resourceclaims"),
        &["status.devices"],
    ),
    (
        "DRADeviceTaints",
        Object("resource.k8s.io", "resourceslices"),
        &["spec.devices.*.taints"],
    ),
    (
        "DRAListTypeAttributes",
        Object("resource.k8s.io", "resourceslices"),
        &["spec.devices.*.attributes.*.bools|ints|strings|versions"],
    ),
    (
        "DRANodeAllocatableResources",
        Object("resource.k8s.io", "resourceslices"),
        &["spec.devices.*.nodeAllocatableResourceMappings"],
    ),
];

/// Fields that a kind does not have: per row its paths, in segments.
#[derive(Debug, Clone, Default)]
pub struct Dropped(Vec<Vec<Vec<&'static str>>>);

impl Dropped {
    /// Drops the fields from what is about to be written; on an update those stay that the old object uses.
    pub fn apply(&self, obj: &mut Value, old: Option<&Value>) {
        for paths in &self.0 {
            let used = |value: &Value| paths.iter().any(|path| in_use(value, path));
            if used(obj) && !old.is_some_and(used_before(paths)) {
                paths.iter().for_each(|path| remove(obj, path));
            }
        }
    }
}

/// Whether the stored object uses one of the paths, whatever is in the field.
fn used_before<'a>(paths: &'a [Vec<&'static str>]) -> impl Fn(&Value) -> bool + 'a {
    let plain = |segment: &&'static str| segment.split('=').next().unwrap_or(segment);
    move |value| {
        let mut plainly = paths.iter().map(|path| path.iter().map(plain).collect::<Vec<_>>());
        plainly.any(|path| in_use(value, &path))
    }
}

fn names(segment: &str) -> impl Iterator<Item = &str> {
    segment.trim_end_matches('?').split('|')
}

/// Whether something is at the path. An empty list is nothing.
fn in_use(value: &Value, path: &[&str]) -> bool {
    let Some((segment, rest)) = path.split_first() else {
        return !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
    };
    match value {
        Value::Array(items) if *segment == "*" => items.iter().any(|item| in_use(item, rest)),
        Value::Object(fields) if *segment == "*" => fields.values().any(|field| in_use(field, rest)),
        Value::Object(fields) => match segment.split_once('=') {
            Some((name, inner)) => {
                let inner = fields.get(name).and_then(|field| field.get(inner));
                inner.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
            }
            None => names(segment).any(|name| fields.get(name).is_some_and(|field| in_use(field, rest))),
        },
        _ => false,
    }
}

fn remove(value: &mut Value, path: &[&str]) {
    let Some((segment, rest)) = path.split_first() else {
        return;
    };
    match value {
        Value::Array(items) if *segment == "*" => items.iter_mut().for_each(|item| remove(item, rest)),
        Value::Object(fields) if *segment == "*" => fields.values_mut().for_each(|field| remove(field, rest)),
        Value::Object(fields) => {
            let segment = segment.split('=').next().unwrap_or(segment);
            for name in names(segment) {
                let Some(field) = fields.get_mut(name) else { continue };
                remove(field, rest);
                let emptied = segment.ends_with('?') && field.as_object().is_some_and(|f| f.is_empty());
                if rest.is_empty() || emptied {
                    fields.remove(name);
                }
            }
        }
        _ => {}
    }
}
