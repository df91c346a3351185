//! Validation of scheduling.k8s.io/v1 (pkg/apis/scheduling/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::check::{immutable, required_one_of, text};
use crate::meta;

/// Highest value a user may define (`HighestUserDefinablePriority`).
pub const HIGHEST_USER_PRIORITY: i32 = 1_000_000_000;
/// The system's own classes and their values (`SystemPriorityClasses`).
pub const SYSTEM_CLASSES: [(&str, i32); 2] = [
    ("system-node-critical", 2_000_001_000),
    ("system-cluster-critical", 2_000_000_000),
];

/// A new PriorityClass (`ValidatePriorityClass`).
pub fn priority_class_create(obj: &PriorityClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let name = text(&obj.metadata.name);
    let value = obj.value.unwrap_or(0);
    if name.starts_with("system-") {
        let own = SYSTEM_CLASSES.iter().any(|(n, v)| *n == name && *v == value);
        if !own {
            let why = if SYSTEM_CLASSES.iter().any(|(n, _)| *n == name) {
                format!("value of {name} PriorityClass must be {}", system_value(name))
            } else {
                format!("{name} is not a known system priority class")
            };
            let rule =
                format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
            errs.push(Error::forbidden(&Path::new("metadata").child("name"), rule));
        }
    } else if value > HIGHEST_USER_PRIORITY {
        let rule = format!("maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}");
        errs.push(Error::forbidden(&Path::new("value"), rule));
    }
    if let Some(policy) = &obj.preemption_policy {
        let path = Path::new("preemptionPolicy");
        required_one_of(&mut errs, &path, policy, &["PreemptLowerPriority", "Never"]);
    }
    errs
}

fn system_value(name: &str) -> i32 {
    SYSTEM_CLASSES.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v)
}

/// A changed PriorityClass (`ValidatePriorityClassUpdate`).
pub fn priority_class_update(new: &PriorityClass, old: &PriorityClass) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    if new.value.unwrap_or(0) != old.value.unwrap_or(0) {
        errs.push(Error::forbidden(
            &Path::new("value"),
            "may not be changed in an update.",
        ));
    }
    let (policy, old_policy) = (&new.preemption_policy, &old.preemption_policy);
    immutable(&mut errs, &Path::new("preemptionPolicy"), policy, old_policy);
    errs
}
