//! PersistentVolumeClaims (pkg/quota/v1/evaluator/core/persistent_volume_claims.go).

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::number;
use crate::resources::{RawResourceList, ResourceList, parse_quantity};
use crate::volumes::storage_class_of_claim;

const NAMES: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];
const COUNT: &str = "count/persistentvolumeclaims";
const BY_CLASS: &str = ".storageclass.storage.k8s.io/";

/// Whether a quota's resource is one that claims use, of one class of storage or of all.
pub fn uses(name: &str) -> bool {
    let of_class = name.rsplit_once(BY_CLASS).map(|(_, resource)| resource);
    name == COUNT || NAMES.contains(&of_class.unwrap_or(name))
}

/// What a claim uses: itself and its storage, in all and of its class.
pub fn usage(claim: &PersistentVolumeClaim) -> ResourceList {
    let mut used = ResourceList::from([(COUNT.to_owned(), number(1))]);
    let class = storage_class_of_claim(claim);
    let mut charge = |resource: &str, amount: Quantity| {
        used.insert(resource.to_owned(), amount);
        if !class.is_empty() {
            used.insert(format!("{class}{BY_CLASS}{resource}"), amount);
        }
    };
    charge("persistentvolumeclaims", number(1));
    let storage = |list: Option<&RawResourceList>| list?.get("storage").map(parse_quantity).map(whole);
    let spec = claim.spec.as_ref();
    if let Some(wanted) = storage(spec.and_then(|spec| spec.resources.as_ref()?.requests.as_ref())) {
        // A volume that grew further than is asked for now still has its size.
        let status = claim.status.as_ref();
        let allocated = storage(status.and_then(|status| status.allocated_resources.as_ref()));
        charge("requests.storage", allocated.map_or(wanted, |size| size.max(wanted)));
    }
    used
}

/// Validation of quotas wants whole bytes (issue 94313 of upstream).
fn whole(amount: Quantity) -> Quantity {
    match amount.as_i64() {
        Some(_) => amount,
        None => Quantity::new(amount.value(), amount.format()),
    }
}
