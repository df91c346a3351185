//! Validation of node.k8s.io/v1 (pkg/apis/node/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::node::v1::RuntimeClass;

use crate::check::{dns_label, immutable, list};
use crate::core::v1::validation::{overhead_amounts, tolerations};
use crate::internal::shown;
use crate::meta;

/// A new RuntimeClass (`ValidateRuntimeClass`).
pub fn runtime_class_create(obj: &RuntimeClass) -> ErrorList {
    let mut errs = meta::create_generic(&obj.metadata, false, meta::name_subdomain);
    let handler = Path::new("handler");
    if obj.handler.is_empty() {
        errs.push(Error::required(&handler, ""));
    } else {
        dns_label(&mut errs, &handler, &obj.handler);
    }
    if let Some(overhead) = &obj.overhead {
        overhead_amounts(&mut errs, &overhead.pod_fixed, &Path::new("overhead"));
    }
    if let Some(scheduling) = &obj.scheduling {
        let path = Path::new("scheduling");
        meta::labels(
            &mut errs,
            scheduling.node_selector.as_ref(),
            &path.child("nodeSelector"),
        );
        let (all, path) = (list(&scheduling.tolerations), path.child("tolerations"));
        tolerations(&mut errs, all, &path);
        let key = |index: usize| {
            let t = &all[index];
            (&t.key, &t.operator, &t.value, &t.effect)
        };
        for index in (0..all.len()).filter(|i| (0..*i).any(|before| key(before) == key(*i))) {
            let toleration = &all[index];
            errs.push(Error::duplicate(
                &path.index(index),
                shown("core.Toleration", toleration),
            ));
        }
    }
    errs
}

/// A changed RuntimeClass: the rules of a new one, then `ValidateRuntimeClassUpdate` (the strategy's `ValidateUpdate`).
pub fn runtime_class_update(new: &RuntimeClass, old: &RuntimeClass) -> ErrorList {
    let mut errs = runtime_class_create(new);
    errs.extend(meta::update_generic(&new.metadata, &old.metadata));
    immutable(&mut errs, &Path::new("handler"), &new.handler, &old.handler);
    errs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cases::{creates, updates};

    #[test]
    fn runtime_classes_are_checked() {
        let base = json!({"metadata": {"name": "r", "resourceVersion": "1"}, "handler": "h"});
        let toleration = json!({"key": "k", "operator": "Exists"});
        creates(
            &base,
            |_| {},
            runtime_class_create,
            &[
                ("a good class", json!({}), &[]),
                ("no handler", json!({"/handler": ""}), &["handler: Required value"]),
                (
                    "the same toleration twice",
                    json!({"/scheduling": {"tolerations": [toleration, toleration]}}),
                    &[
                        "scheduling.tolerations[1]: Duplicate value: {\"Key\":\"k\",\"Operator\":\"Exists\",\"Value\":\"\",\"Effect\":\"\",\"TolerationSeconds\":null}",
                    ],
                ),
            ],
        );
        updates(
            &base,
            |_| {},
            runtime_class_update,
            &[(
                "another handler",
                json!({"/handler": "i"}),
                &["handler: Invalid value: \"i\": field is immutable"],
            )],
        );
    }
}
