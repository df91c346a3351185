//! Resources of the node that claims for devices take, as a pod's status says them.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{PodSpec, PodStatus};

use super::super::resources::is_native;
use crate::check::{list, quantity};

/// `validateNodeAllocatableResourceClaimStatus`.
pub(super) fn claims(errs: &mut ErrorList, status: &PodStatus, spec: &PodSpec, path: &Path) {
    let own = list(&spec.resource_claims).iter().map(|c| &c.resource_claim_name);
    let made = list(&status.resource_claim_statuses)
        .iter()
        .map(|c| &c.resource_claim_name);
    let known: Vec<&str> = own.chain(made).filter_map(|name| name.as_deref()).collect();
    for (index, claim) in list(&status.node_allocatable_resource_claim_statuses)
        .iter()
        .enumerate()
    {
        let path = path.index(index);
        let name = claim.resource_claim_name.as_str();
        let at = path.child("resourceClaimName");
        if name.is_empty() {
            errs.push(Error::required(&at, "must not be empty"));
        }
        if !known.contains(&name) {
            errs.push(Error::invalid(&at, name, "no mapping found in pod reference"));
        }
        if list(&claim.containers).is_empty() {
            errs.push(Error::required(&path.child("containers"), "must not be empty"));
        }
        let resources = path.child("resources");
        if claim.resources.is_empty() {
            errs.push(Error::required(&resources, "must not be empty"));
        }
        for (name, raw) in &claim.resources {
            let path = resources.key(name);
            if !is_native(name) {
                let rule = "must be a node allocatable resource name";
                errs.push(Error::invalid(&path, BadValue::named(name), rule));
            }
            let amount = quantity(raw);
            if amount.sign() < 0 {
                errs.push(Error::invalid(&path, amount.to_string(), "must be non-negative"));
            }
        }
    }
}
