//! What one object uses, by the names that quotas have for it. Pure.
//!
//! Upstream: pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims}.go.

use apimachinery::quantity::{Format, Quantity};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::jiff::Timestamp;
use rules::pods::is_pod_terminal;
use rules::resources::{self, Options, ResourceList};

/// Names of resources that pods use, other than by prefix.
const OF_PODS: [&str; 11] = [
    "count/pods",
    "pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
const OF_SERVICES: [&str; 4] = [
    "count/services",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
const OF_CLAIMS: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const COUNT_CLAIMS: &str = "count/persistentvolumeclaims";
const BY_CLASS: &str = ".storageclass.storage.k8s.io/";

/// The resource is one that pods use. Upstream: `podEvaluator.MatchingResources`.
pub(super) fn is_of_pods(name: &str) -> bool {
    let requested = name.strip_prefix("requests.");
    OF_PODS.contains(&name)
        || name.starts_with("hugepages-")
        || requested.is_some_and(|name| name.starts_with("hugepages-") || resources::is_extended_resource(name))
}

/// The resource is one that services use.
pub(super) fn is_of_services(name: &str) -> bool {
    OF_SERVICES.contains(&name)
}

/// The resource is one that claims use, of one class of storage or of all.
pub(super) fn is_of_claims(name: &str) -> bool {
    let of_class = name.split_once(BY_CLASS).map(|(_, resource)| resource);
    name == COUNT_CLAIMS || OF_CLAIMS.contains(&of_class.unwrap_or(name))
}

/// A number of objects.
pub(super) fn number(count: usize) -> Quantity {
    Quantity::new(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// Upstream: `PodUsageFunc`.
pub(super) fn of_pod(pod: &Pod, now: Timestamp) -> ResourceList {
    let mut used = ResourceList::from([("count/pods".to_owned(), number(1))]);
    if is_pod_terminal(pod) || is_overdue(pod, now) {
        return used;
    }
    let options = Options {
        use_status: true,
        ..Options::default()
    };
    used.insert("pods".to_owned(), number(1));
    for (name, amount) in resources::pod_requests(pod, options) {
        let huge = name.starts_with("hugepages-");
        let compute = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if huge || compute || resources::is_extended_resource(&name) {
            used.insert(format!("requests.{name}"), amount);
        }
        if huge || compute {
            used.insert(name, amount);
        }
    }
    for (name, amount) in resources::pod_limits(pod, options) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), amount);
        }
    }
    used
}

/// A pod whose node is lost must not keep its owner from making another one. Upstream: `QuotaV1Pod`.
fn is_overdue(pod: &Pod, now: Timestamp) -> bool {
    let (Some(deleted), Some(grace)) = (
        &pod.metadata.deletion_timestamp,
        pod.metadata.deletion_grace_period_seconds,
    ) else {
        return false;
    };
    now.as_second() > deleted.0.as_second().saturating_add(grace)
}

pub(super) fn of_service(service: &Service) -> ResourceList {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let (balancers, node_ports) = match spec.type_.as_deref() {
        Some("NodePort") => (0, ports.len()),
        // Not yet allocated node ports count too, unless the Service wants none but those it names.
        Some("LoadBalancer") if spec.allocate_load_balancer_node_ports == Some(false) => {
            (1, ports.iter().filter(|port| port.node_port.unwrap_or(0) != 0).count())
        }
        Some("LoadBalancer") => (1, ports.len()),
        _ => (0, 0),
    };
    OF_SERVICES
        .into_iter()
        .zip([1, 1, balancers, node_ports])
        .map(|(name, count)| (name.to_owned(), number(count)))
        .collect()
}

pub(super) fn of_claim(claim: &PersistentVolumeClaim) -> ResourceList {
    let mut used = ResourceList::from([(COUNT_CLAIMS.to_owned(), number(1))]);
    let annotations = claim.metadata.annotations.as_ref();
    let class = annotations
        .and_then(|notes| notes.get("volume.beta.kubernetes.io/storage-class"))
        .or_else(|| claim.spec.as_ref()?.storage_class_name.as_ref())
        .filter(|class| !class.is_empty());
    let mut charge = |resource: &str, amount: Quantity| {
        used.insert(resource.to_owned(), amount);
        if let Some(class) = class {
            used.insert(format!("{class}{BY_CLASS}{resource}"), amount);
        }
    };
    charge("persistentvolumeclaims", number(1));
    let storage = |list: Option<&resources::RawResourceList>| list?.get("storage").map(resources::parse_quantity);
    let requests = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    if let Some(wanted) = storage(requests) {
        // A volume that grew further than is asked for now still has its size.
        let allocated = storage(
            claim
                .status
                .as_ref()
                .and_then(|status| status.allocated_resources.as_ref()),
        );
        let amount = allocated.filter(|allocated| *allocated > wanted).unwrap_or(wanted);
        charge("requests.storage", amount);
    }
    used
}
