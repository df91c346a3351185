//! Validation of node.k8s.io/v1 (pkg/apis/node/validation/validation.go).

use apimachinery::field::{ErrorList, Path};
use k8s_openapi::api::node::v1::RuntimeClass;

use crate::check::{dns_label, immutable, list};
use crate::core::v1::validation::tolerations;
use crate::meta;

/// A new RuntimeClass (`ValidateRuntimeClass`).
pub fn runtime_class_create(obj: &RuntimeClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    dns_label(&mut errs, &Path::new("handler"), &obj.handler);
    if let Some(scheduling) = &obj.scheduling {
        let path = Path::new("scheduling");
        meta::labels(
            &mut errs,
            scheduling.node_selector.as_ref(),
            &path.child("nodeSelector"),
        );
        tolerations(&mut errs, list(&scheduling.tolerations), &path.child("tolerations"));
    }
    errs
}

/// A changed RuntimeClass (`ValidateRuntimeClassUpdate`).
pub fn runtime_class_update(new: &RuntimeClass, old: &RuntimeClass) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    immutable(&mut errs, &Path::new("handler"), &new.handler, &old.handler);
    errs
}
