//! ResourceClaims: devices by class (pkg/quota/v1/evaluator/core/resource_claims.go).

use std::collections::BTreeMap;

use apimachinery::quantity::{Format, Quantity};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim};
use k8s_openapi::jiff::Timestamp;

use super::number;
use super::pods::{self, DEVICE_CLASS};
use crate::owners::controller_of;
use crate::resources::ResourceList;

const COUNT: &str = "count/resourceclaims.resource.k8s.io";
const BY_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// On claims that the scheduler makes for pods whose containers ask for devices as for an extended resource.
const MADE_FOR_POD: &str = "resource.kubernetes.io/extended-resource-claim";
/// `AllocationResultsMaxSize`: the most devices that a request for all may get.
const ALL: i64 = 32;

/// The device classes, and the extended resources some of them give (dynamic-resource-allocation
/// `ExtendedResourceCache`).
#[derive(Debug, Default)]
pub struct Classes(BTreeMap<String, Option<String>>);

impl Classes {
    /// Of these classes.
    pub fn new<'a>(classes: impl Iterator<Item = &'a DeviceClass>) -> Self {
        let one = |class: &DeviceClass| {
            let name = class.metadata.name.clone().unwrap_or_default();
            (name, class.spec.extended_resource_name.clone())
        };
        Classes(classes.map(one).collect())
    }

    fn gives(&self, extended: &str) -> bool {
        let implicit = extended.strip_prefix(DEVICE_CLASS);
        implicit.is_some_and(|class| self.0.contains_key(class))
            || self.0.values().flatten().any(|name| name == extended)
    }
}

/// Whether a quota's resource is one that claims use (`claimEvaluator.MatchingResources`).
pub fn uses(name: &str, classes: &Classes) -> bool {
    name == COUNT
        || name.ends_with(BY_CLASS)
        || (pods::is_extended(name) && name.strip_prefix("requests.").is_some_and(|name| classes.gives(name)))
}

/// What a claim may be given at most, less what its pod was charged for already (`claimEvaluator.Usage`).
pub fn usage(claim: &ResourceClaim, classes: &Classes, charged: &ResourceList) -> ResourceList {
    // Nothing bounds how many devices a request may ask for: amounts do not overflow.
    let mut devices: BTreeMap<&str, Quantity> = BTreeMap::new();
    for request in claim
        .spec
        .devices
        .iter()
        .flat_map(|devices| devices.requests.iter().flatten())
    {
        let alternatives = request.first_available.as_deref().unwrap_or_default();
        if !alternatives.is_empty() {
            let mut most: BTreeMap<&str, i64> = BTreeMap::new();
            for one in alternatives {
                let number = most.entry(&one.device_class_name).or_default();
                *number = (*number).max(many(one.allocation_mode.as_deref(), one.count));
            }
            for (class, number) in most {
                // An alternative that may give nothing is not listed at all.
                if number > 0 {
                    add(&mut devices, class, number);
                }
            }
        } else if let Some(exactly) = &request.exactly {
            let number = many(exactly.allocation_mode.as_deref(), exactly.count);
            add(&mut devices, &exactly.device_class_name, number);
        }
    }
    let mut used = ResourceList::from([(COUNT.to_owned(), number(1))]);
    for (class, amount) in devices {
        used.insert(format!("{class}{BY_CLASS}"), amount);
        if class.is_empty() {
            continue;
        }
        let explicit = classes.0.get(class).and_then(Option::as_deref);
        for name in [Some(format!("{DEVICE_CLASS}{class}")), explicit.map(str::to_owned)] {
            let Some(name) = name.map(|name| format!("requests.{name}")) else {
                continue;
            };
            let rest = charged.get(&name).map_or(amount, |charged| amount - *charged);
            if rest.sign() > 0 {
                used.insert(name, rest);
            }
        }
    }
    used
}

fn add<'a>(devices: &mut BTreeMap<&'a str, Quantity>, class: &'a str, more: i64) {
    *devices.entry(class).or_insert(Quantity::ZERO) += Quantity::new(more, Format::DecimalSi);
}

/// The worst case; modes that came after this text count for nothing.
fn many(mode: Option<&str>, count: Option<i64>) -> i64 {
    match mode {
        Some("ExactCount") => count.unwrap_or(0),
        Some("All") => ALL,
        _ => 0,
    }
}

/// The pod for whose extended resources the scheduler made this claim: its name and uid.
pub fn pod_of(claim: &ResourceClaim) -> Option<(&str, &str)> {
    let notes = claim.metadata.annotations.as_ref()?;
    let owner = controller_of(&claim.metadata).filter(|owner| owner.kind == "Pod" && owner.api_version == "v1")?;
    (notes.get(MADE_FOR_POD)? == "true").then_some((owner.name.as_str(), owner.uid.as_str()))
}

/// What the pod that [`pod_of`] names was charged for. Nothing unless the pod knows the claim or, as long as it knows
/// of none, this is the first of the claims made for it (`getVerifiedPodUsage`).
pub fn charged<'a>(
    claim: &ResourceClaim,
    pod: &Pod,
    mut claims: impl Iterator<Item = &'a ResourceClaim>,
    now: Timestamp,
) -> ResourceList {
    let Some((_, uid)) = pod_of(claim).filter(|(_, uid)| pod.metadata.uid.as_deref() == Some(*uid)) else {
        return ResourceList::new();
    };
    let age = |claim: &ResourceClaim| {
        let created = claim.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, claim.metadata.name.clone())
    };
    let known = pod
        .status
        .as_ref()
        .and_then(|status| status.extended_resource_claim_status.as_ref());
    let is_the_one = match known {
        Some(known) => Some(&known.resource_claim_name) == claim.metadata.name.as_ref(),
        None => !claims.any(|other| pod_of(other).is_some_and(|(_, owner)| owner == uid) && age(other) < age(claim)),
    };
    if is_the_one {
        pods::usage(pod, now)
    } else {
        ResourceList::new()
    }
}
