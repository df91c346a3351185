//! Resource names and amounts (`validateResourceRequirements` and the name rules around it).

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{PodSpec, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use crate::check::{NEGATIVE, dns_label, qualified_name, quantity};

/// Requests and limits of one container (`ValidateContainerResourceRequirements`).
pub(super) fn container(errs: &mut ErrorList, resources: &ResourceRequirements, path: &Path) {
    requirements(errs, resources, container_name, path);
}

/// Requests and limits of a whole pod (`validatePodResources`).
pub(super) fn pod_level(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let Some(resources) = &spec.resources else { return };
    if resources.claims.is_some() {
        let rule = "claims cannot be set for Resources at pod-level";
        errs.push(Error::forbidden(&path.child("claims"), rule));
    }
    requirements(errs, resources, pod_level_name, path);
    consistency(errs, spec, resources, path);
}

/// Containers fit into the pod's requests and limits (`validatePodResourceConsistency`).
fn consistency(errs: &mut ErrorList, spec: &PodSpec, pod: &ResourceRequirements, path: &Path) {
    let mut sums: BTreeMap<&str, Quantity> = BTreeMap::new();
    for (name, raw) in spec
        .containers
        .iter()
        .flat_map(|c| c.resources.iter())
        .flat_map(|r| r.requests.iter().flatten())
    {
        *sums.entry(name).or_default() += quantity(raw);
    }
    let amount = |list: &Option<BTreeMap<String, RawQuantity>>, name: &str| {
        list.as_ref().and_then(|l| l.get(name)).map(quantity)
    };
    for (name, sum) in sums {
        let own = amount(&pod.requests, name).unwrap_or_default();
        if sum > own {
            let rule = format!("must be greater than or equal to aggregate container requests of {sum}");
            errs.push(Error::invalid(&path.child("requests").key(name), own.to_string(), rule));
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.iter().flat_map(|r| r.limits.iter().flatten());
        for (name, raw) in limits {
            let Some(own) = amount(&pod.limits, name) else { continue };
            let limit = quantity(raw);
            if limit > own {
                let path = path.child("containers").index(index).key(name).child("limits");
                let rule = format!("must be less than or equal to pod limits of {own}");
                errs.push(Error::invalid(&path, limit.to_string(), rule));
            }
        }
    }
}

/// `validateResourceRequirements`.
fn requirements(
    errs: &mut ErrorList,
    resources: &ResourceRequirements,
    name_rule: fn(&mut ErrorList, &str, &Path),
    path: &Path,
) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let (mut compute, mut huge) = (false, false);
    let mut both = |errs: &mut ErrorList, name: &str, raw: &RawQuantity, path: &Path| {
        name_rule(errs, name, path);
        amount(errs, name, raw, path);
        if is_huge_page(name) {
            huge = true;
            huge_page_multiple(errs, name, raw, path);
        }
        compute |= name == "cpu" || name == "memory";
    };
    for (name, raw) in resources.limits.iter().flatten() {
        both(errs, name, raw, &limits_path.key(name));
    }
    for (name, raw) in resources.requests.iter().flatten() {
        name_rule(errs, name, &requests_path.key(name));
        amount(errs, name, raw, &requests_path.key(name));
        let request = quantity(raw);
        match resources.limits.as_ref().and_then(|l| l.get(name)).map(quantity) {
            Some(limit) if request != limit && !overcommit_allowed(name) => {
                let rule = format!("must be equal to {name} limit of {limit}");
                errs.push(Error::invalid(&requests_path, request.to_string(), rule));
            }
            Some(limit) if request > limit => {
                let rule = format!("must be less than or equal to {name} limit of {limit}");
                errs.push(Error::invalid(&requests_path, request.to_string(), rule));
            }
            None if !overcommit_allowed(name) => {
                let rule = "Limit must be set for non overcommitable resources";
                errs.push(Error::required(&limits_path, rule));
            }
            _ => {}
        }
    }
    for name in resources.requests.iter().flatten().map(|(n, _)| n) {
        huge |= is_huge_page(name);
        compute |= name == "cpu" || name == "memory";
    }
    if huge && !compute {
        errs.push(Error::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// `validateResourceQuantityHugePageValue`.
fn huge_page_multiple(errs: &mut ErrorList, name: &str, raw: &RawQuantity, path: &Path) {
    let size = name.strip_prefix(HUGE_PAGES).and_then(|s| s.parse::<Quantity>().ok());
    let (Some(size), value) = (size.map(|s| s.value()).filter(|s| *s > 0), quantity(raw)) else {
        return;
    };
    if value.value() % size != 0 {
        let rule = format!("{value} is not positive integer multiple of {name}");
        errs.push(Error::invalid(path, value.to_string(), rule));
    }
}

/// Container claims name claims of the pod (`validateResourceClaimNames`).
pub(super) fn claims(errs: &mut ErrorList, claims: &[ResourceClaim], pod: &BTreeSet<&str>, path: &Path) {
    let mut seen = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let path = path.index(index);
        if claim.name.is_empty() {
            errs.push(Error::required(&path, ""));
            continue;
        }
        let request = claim.request.as_deref().unwrap_or("");
        let key = if request.is_empty() {
            claim.name.clone()
        } else {
            dns_label(errs, &path.child("request"), request);
            format!("{}/{request}", claim.name)
        };
        if seen.contains(&claim.name) || !seen.insert(key.clone()) {
            errs.push(Error::duplicate(&path, key));
        }
        if !pod.contains(claim.name.as_str()) {
            let mut error = Error::not_found(&path, &claim.name);
            error.detail = "must be one of the names in pod.spec.resourceClaims".to_string();
            if pod.is_empty() {
                error.detail += " which is empty";
            } else {
                let names: Vec<_> = pod.iter().copied().collect();
                error.detail += &format!(": {}", names.join(", "));
            }
            errs.push(error);
        }
    }
}

/// Not negative, whole where only whole makes sense (`ValidateResourceQuantityValue`).
pub(super) fn amount(errs: &mut ErrorList, name: &str, raw: &RawQuantity, path: &Path) {
    let value = match Quantity::from_api(raw) {
        Ok(value) => value,
        Err(e) => {
            errs.push(Error::invalid(path, &raw.0, e.to_string()));
            return;
        }
    };
    if value.sign() < 0 {
        errs.push(Error::invalid(path, value.to_string(), NEGATIVE));
    }
    if is_integer_resource(name) && value.milli_value() % 1000 != 0 {
        errs.push(Error::invalid(path, value.to_string(), "must be an integer"));
    }
}

const HUGE_PAGES: &str = "hugepages-";

fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// Unprefixed or under `kubernetes.io` (`IsNativeResource`).
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// `IsExtendedResourceName`.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && apimachinery::validation::is_qualified_name(&format!("requests.{name}")).is_empty()
}

/// `IsOvercommitAllowed`.
pub(super) fn overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

const STANDARD: [&str; 16] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];
const STANDARD_MORE: [&str; 4] = [
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// `IsStandardResourceName`.
fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name)
        || STANDARD_MORE.contains(&name)
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

/// `IsIntegerResourceName`.
fn is_integer_resource(name: &str) -> bool {
    const COUNTS: [&str; 9] = [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    COUNTS.contains(&name) || is_extended(name)
}

/// `validateResourceName`.
pub(super) fn resource_name(errs: &mut ErrorList, name: &str, path: &Path) {
    let before = errs.len();
    qualified_name(errs, path, name);
    if errs.len() == before && !name.contains('/') && !is_standard(name) {
        let rule = "must be a standard resource type or fully qualified";
        errs.push(Error::invalid(path, name, rule));
    }
}

/// `validateContainerResourceName`.
pub(super) fn container_name(errs: &mut ErrorList, name: &str, path: &Path) {
    resource_name(errs, name, path);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
            errs.push(Error::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errs.push(Error::invalid(
            path,
            name,
            "doesn't follow extended resource name standard",
        ));
    }
}

/// `validatePodResourceName`.
fn pod_level_name(errs: &mut ErrorList, name: &str, path: &Path) {
    let before = errs.len();
    resource_name(errs, name, path);
    if errs.len() == before && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
        errs.push(Error::not_supported(path, name, &["cpu", HUGE_PAGES, "memory"]));
    }
}

/// `ValidateResourceQuotaResourceName`.
pub(super) fn quota_name(errs: &mut ErrorList, name: &str, path: &Path) {
    resource_name(errs, name, path);
    let quota = STANDARD.contains(&name)
        || (STANDARD_MORE.contains(&name) && name != "storage")
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
        || name.starts_with("count/");
    if !name.contains('/') && !quota {
        errs.push(Error::invalid(path, name, "must be a standard resource for quota"));
    }
}
