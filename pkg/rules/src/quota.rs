//! What objects use of a ResourceQuota, by the names that quotas have for it; which quotas look at an object.
//!
//! Admission charges one object by these rules and resourcequota-controller counts all of them by the same: a quota
//! on which the two disagreed would never come to rest. Upstream: pkg/quota/v1/evaluator/core and
//! staging/src/k8s.io/apiserver/pkg/quota/v1. One module per kind with a usage of its own; everything else is
//! only counted ([`count_name`], [`old_name`]).

pub mod amounts;
pub mod claims;
pub mod pods;
pub mod resource_claims;
pub mod scopes;
pub mod services;

use apimachinery::quantity::{Format, Quantity};

#[cfg(test)]
mod tests;

/// A number of objects.
pub fn number(count: usize) -> Quantity {
    Quantity::new(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// The name under which a quota limits the number of a resource's objects
/// (generic `ObjectCountQuotaResourceNameFor`).
pub fn count_name(group: &str, resource: &str) -> String {
    match group {
        "" => format!("count/{resource}"),
        group => format!("count/{resource}.{group}"),
    }
}

/// The name that some resources have had since before [`count_name`] (core `legacyObjectCountAliases`).
pub fn old_name(group: &str, resource: &str) -> Option<&'static str> {
    const OLD: [&str; 4] = ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];
    OLD.into_iter().find(|name| group.is_empty() && *name == resource)
}

/// Resources that no quota limits: what is not stored, and events (pkg/quota/v1/install `ignoredResources`).
pub fn is_ignored(group: &str, resource: &str) -> bool {
    matches!(
        (group, resource),
        ("", "bindings" | "componentstatuses")
            | ("", "events")
            | ("events.k8s.io", "events")
            | ("authentication.k8s.io", "tokenreviews" | "selfsubjectreviews")
            | (
                "authorization.k8s.io",
                "subjectaccessreviews"
                    | "selfsubjectaccessreviews"
                    | "localsubjectaccessreviews"
                    | "selfsubjectrulesreviews"
            )
    )
}
