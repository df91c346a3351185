//! Resource names and amounts (`validateResourceRequirements` and the name rules around it).

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::options::Options;
use crate::check::{NEGATIVE, dns_label, list, qualified_name, quantity};
use crate::gates::{Gate, on};

/// Requests and limits of one container (`ValidateContainerResourceRequirements`).
pub(super) fn container(errs: &mut ErrorList, resources: &ResourceRequirements, path: &Path, options: Options) {
    requirements(errs, resources, container_name, path, options);
}

/// What a pod costs beyond its containers (`validateOverhead`): limits of a container.
pub(crate) fn overhead(errs: &mut ErrorList, amounts: &Amounts, path: &Path, options: Options) {
    let limits = ResourceRequirements {
        limits: amounts.clone(),
        ..ResourceRequirements::default()
    };
    container(errs, &limits, path, options);
}

/// [`overhead`] of a RuntimeClass (`ValidateOverhead` of node.k8s.io).
pub(crate) fn overhead_amounts(errs: &mut ErrorList, amounts: &Amounts, path: &Path) {
    overhead(errs, amounts, path, Options::default());
}

/// Requests and limits of a whole pod (`validatePodResources`).
pub(super) fn pod_level(errs: &mut ErrorList, spec: &PodSpec, path: &Path, options: Options) {
    let Some(resources) = spec.resources.as_ref().filter(|_| on(Gate::PodLevelResources)) else {
        return;
    };
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        errs.push(Error::forbidden(path, "may not be set for a windows pod"));
        return;
    }
    if resources.claims.is_some() {
        let rule = "claims may not be set for Resources at pod-level";
        errs.push(Error::forbidden(&path.child("claims"), rule));
    }
    requirements(errs, resources, pod_level_name, path, options);
    let named = list(&spec.resource_claims).iter().map(|c| c.name.as_str()).collect();
    claims(errs, list(&resources.claims), &named, &path.child("claims"));
    consistency(errs, spec, resources, path);
}

type Amounts = Option<BTreeMap<String, RawQuantity>>;

fn given(list: &Amounts, name: &str) -> Option<Quantity> {
    list.as_ref().and_then(|l| l.get(name)).map(quantity)
}

/// What all containers of a pod need at once: the main ones and the sidecars together, or the largest
/// of the init steps (`AggregateContainerRequests`, `AggregateContainerLimits`).
fn aggregate(spec: &PodSpec, of: impl Fn(&ResourceRequirements) -> &Amounts) -> BTreeMap<String, Quantity> {
    let amounts = |c: &Container| c.resources.as_ref().map(|r| of(r).clone().unwrap_or_default());
    let mut total: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut steps: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut sidecars: BTreeMap<String, Quantity> = BTreeMap::new();
    for (name, raw) in spec.containers.iter().filter_map(amounts).flatten() {
        *total.entry(name).or_default() += quantity(&raw);
    }
    for c in list(&spec.init_containers) {
        let own = amounts(c).unwrap_or_default();
        let stays = c.restart_policy.as_deref() == Some("Always");
        if stays {
            for (name, raw) in &own {
                *total.entry(name.clone()).or_default() += quantity(raw);
                *sidecars.entry(name.clone()).or_default() += quantity(raw);
            }
        }
        let mut step = sidecars.clone();
        if !stays {
            for (name, raw) in &own {
                *step.entry(name.clone()).or_default() += quantity(raw);
            }
        }
        for (name, amount) in step {
            let most = steps.entry(name).or_default();
            *most = (*most).max(amount);
        }
    }
    for (name, amount) in steps {
        let all = total.entry(name).or_default();
        *all = (*all).max(amount);
    }
    total
}

/// Containers fit into the pod's requests and limits (`validatePodResourceConsistency`).
fn consistency(errs: &mut ErrorList, spec: &PodSpec, pod: &ResourceRequirements, path: &Path) {
    for (name, sum) in aggregate(spec, |r| &r.requests) {
        let Some(own) = given(&pod.requests, &name).filter(|own| sum > *own) else {
            continue;
        };
        let rule = format!("must be greater than or equal to aggregate container requests of {sum}");
        errs.push(Error::invalid(
            &path.child("requests").key(&name),
            own.to_string(),
            rule,
        ));
    }
    for (name, sum) in aggregate(spec, |r| &r.limits) {
        let Some(own) = given(&pod.limits, &name).filter(|own| sum > *own && is_huge_page(&name)) else {
            continue;
        };
        let rule = format!("must be greater than or equal to aggregate container limits of {sum}");
        errs.push(Error::invalid(&path.child("limits").key(&name), own.to_string(), rule));
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.iter().flat_map(|r| r.limits.iter().flatten());
        for (name, raw) in limits {
            let limit = quantity(raw);
            let Some(own) = given(&pod.limits, name).filter(|own| limit > *own) else {
                continue;
            };
            let path = path.child("containers").index(index).key(name).child("limits");
            let rule = format!("must be less than or equal to pod limits of {own}");
            errs.push(Error::invalid(&path, limit.to_string(), rule));
        }
    }
}

/// `validateResourceRequirements`, without the claims.
fn requirements(
    errs: &mut ErrorList,
    resources: &ResourceRequirements,
    name_rule: fn(&mut ErrorList, &str, &Path),
    path: &Path,
    options: Options,
) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let (mut compute, mut huge) = (false, false);
    let mut note = |errs: &mut ErrorList, name: &str, raw: &RawQuantity, path: &Path| {
        if is_huge_page(name) {
            huge = true;
            if !options.any_huge_pages {
                huge_page_multiple(errs, name, raw, path);
            }
        }
        compute |= name == "cpu" || name == "memory";
    };
    for (name, raw) in resources.limits.iter().flatten() {
        let path = limits_path.key(name);
        name_rule(errs, name, &path);
        amount(errs, name, raw, &path);
        note(errs, name, raw, &path);
    }
    for (name, raw) in resources.requests.iter().flatten() {
        let path = requests_path.key(name);
        name_rule(errs, name, &path);
        amount(errs, name, raw, &path);
        let request = quantity(raw);
        match given(&resources.limits, name) {
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
        note(errs, name, raw, &path);
    }
    if huge && !compute {
        errs.push(Error::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// Whether an amount of huge pages is no multiple of their size (`usesIndivisibleHugePagesValues`).
pub(super) fn has_odd_huge_pages(resources: &ResourceRequirements) -> bool {
    let lists = resources.limits.iter().chain(&resources.requests).flatten();
    let mut errs = ErrorList::new();
    for (name, raw) in lists.filter(|(n, _)| is_huge_page(n)) {
        huge_page_multiple(&mut errs, name, raw, &Path::root());
    }
    !errs.is_empty()
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
        if seen.contains(&claim.name) {
            errs.push(Error::duplicate(&path, &claim.name));
        } else {
            let mut key = claim.name.clone();
            if !request.is_empty() {
                dns_label(errs, &path.child("request"), request);
                key = format!("{key}/{request}");
            }
            let parts = format!("{}/", claim.name);
            let whole = request.is_empty();
            if seen.contains(&key) {
                errs.push(Error::duplicate(&path, &key));
            } else if whole {
                let others = seen.iter().filter(|s: &&String| s.starts_with(&parts));
                errs.extend(others.map(|_| Error::duplicate(&path, &claim.name)));
            }
            seen.insert(key);
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
pub(crate) fn container_name(errs: &mut ErrorList, name: &str, path: &Path) {
    resource_name(errs, name, path);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !is_huge_page(name) {
            errs.push(Error::invalid(
                path,
                BadValue::named(name),
                "must be a standard resource for containers",
            ));
        }
    } else if !is_native(name) && !is_extended(name) {
        errs.push(Error::invalid(
            path,
            BadValue::named(name),
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
    if !name.contains('/') && !is_quota_name(name) {
        errs.push(Error::invalid(path, name, "must be a standard resource for quota"));
    }
}

/// `IsStandardQuotaResourceName`.
pub(super) fn is_quota_name(name: &str) -> bool {
    STANDARD.contains(&name)
        || (STANDARD_MORE.contains(&name) && name != "storage")
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}
