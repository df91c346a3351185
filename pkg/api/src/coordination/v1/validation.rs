//! Validation of coordination.k8s.io/v1 (pkg/apis/coordination/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::coordination::v1::Lease;

use crate::check::non_negative;
use crate::meta;

/// A new Lease (`ValidateLease`).
pub fn lease_create(obj: &Lease) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, obj);
    errs
}

/// A changed Lease (`ValidateLeaseUpdate`).
pub fn lease_update(new: &Lease, old: &Lease) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, new);
    errs
}

fn spec(errs: &mut ErrorList, obj: &Lease) {
    let Some(spec) = &obj.spec else { return };
    let path = Path::new("spec");
    if let Some(seconds) = spec.lease_duration_seconds.filter(|s| *s <= 0) {
        let path = path.child("leaseDurationSeconds");
        errs.push(Error::invalid(&path, seconds, "must be greater than 0"));
    }
    let transitions = spec.lease_transitions.map(i64::from);
    non_negative(errs, &path.child("leaseTransitions"), transitions);
}
