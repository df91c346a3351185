//! Validation of scheduling.k8s.io/v1 (pkg/apis/scheduling/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::check::{immutable_named, required_one_of, text};
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
        if let Some(why) = unlike_system_class(name, value, obj.global_default == Some(true)) {
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

/// How a class of a reserved name differs from the system's (`IsKnownSystemPriorityClass`).
fn unlike_system_class(name: &str, value: i32, global_default: bool) -> Option<String> {
    match SYSTEM_CLASSES.iter().find(|(n, _)| *n == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, own)) if *own != value => Some(format!("value of {name} PriorityClass must be {own}")),
        Some(_) if global_default => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
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
    immutable_named(&mut errs, &Path::new("preemptionPolicy"), policy, old_policy);
    errs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cases::{creates, updates};
    use crate::scheduling::v1::defaults::priority_class as default;

    #[test]
    fn priority_classes_are_checked() {
        let base = json!({"metadata": {"name": "p", "resourceVersion": "1"}, "value": 10});
        creates(
            &base,
            default,
            priority_class_create,
            &[
                ("a good class", json!({}), &[]),
                (
                    "a value of the system",
                    json!({"/value": 1_000_000_001}),
                    &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
                ),
                (
                    "a name of the system",
                    json!({"/metadata/name": "system-x"}),
                    &[
                        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class",
                    ],
                ),
                (
                    "a class of the system with another value",
                    json!({"/metadata/name": "system-node-critical"}),
                    &[
                        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000",
                    ],
                ),
                (
                    "a class of the system for all",
                    json!({"/metadata/name": "system-node-critical", "/value": 2_000_001_000, "/globalDefault": true}),
                    &[
                        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: globalDefault of system-node-critical PriorityClass must be false",
                    ],
                ),
                (
                    "an unknown policy",
                    json!({"/preemptionPolicy": "Sometimes"}),
                    &[
                        "preemptionPolicy: Unsupported value: \"Sometimes\": supported values: \"PreemptLowerPriority\", \"Never\"",
                    ],
                ),
            ],
        );
        updates(
            &base,
            default,
            priority_class_update,
            &[(
                "value and policy",
                json!({"/value": 11, "/preemptionPolicy": "Never"}),
                &[
                    "value: Forbidden: may not be changed in an update.",
                    "preemptionPolicy: Invalid value: \"Never\": field is immutable",
                ],
            )],
        );
    }
}
