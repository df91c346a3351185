//! Validation of coordination.k8s.io/v1 (pkg/apis/coordination/validation/validation.go).

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::coordination::v1::Lease;

use crate::check::{non_negative, qualified_name, text};
use crate::meta;

/// A new Lease (`ValidateLease`).
pub fn lease_create(obj: &Lease) -> ErrorList {
    let mut errs = meta::create_generic(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, obj);
    errs
}

/// A changed Lease (`ValidateLeaseUpdate`).
pub fn lease_update(new: &Lease, old: &Lease) -> ErrorList {
    let mut errs = meta::update_generic(&new.metadata, &old.metadata);
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
    if let Some(strategy) = &spec.strategy {
        // Upstream names the field twice.
        let path = path.child("strategy").child("strategy");
        if strategy.contains('/') {
            qualified_name(errs, &path, strategy);
        } else if strategy != "OldestEmulationVersion" {
            errs.push(Error::not_supported(
                &path,
                BadValue::named(strategy),
                &["OldestEmulationVersion"],
            ));
        }
    }
    if !text(&spec.preferred_holder).is_empty() && text(&spec.strategy).is_empty() {
        let rule = "may only be specified if `strategy` is defined";
        errs.push(Error::forbidden(&path.child("preferredHolder"), rule));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cases::creates;

    #[test]
    fn leases_are_checked() {
        creates(
            &json!({"metadata": {"name": "l", "namespace": "n"}, "spec": {"leaseDurationSeconds": 15}}),
            |_| {},
            lease_create,
            &[
                ("a good lease", json!({}), &[]),
                (
                    "no time, fewer than no transitions",
                    json!({"/spec/leaseDurationSeconds": 0, "/spec/leaseTransitions": -1}),
                    &[
                        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
                    ],
                ),
                (
                    "an unknown strategy",
                    json!({"/spec/strategy": "Youngest"}),
                    &[
                        "spec.strategy.strategy: Unsupported value: \"Youngest\": supported values: \"OldestEmulationVersion\"",
                    ],
                ),
                (
                    "a holder without a strategy",
                    json!({"/spec/preferredHolder": "h"}),
                    &["spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"],
                ),
            ],
        );
    }
}
