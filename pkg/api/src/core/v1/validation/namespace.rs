//! Namespaces.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::Namespace;

use crate::check::{list, qualified_name, text};
use crate::meta;

/// A new namespace (`ValidateNamespace`).
pub fn namespace_create(obj: &Namespace) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_label);
    let path = Path::new("spec").child("finalizers");
    for name in obj.spec.iter().flat_map(|s| list(&s.finalizers)) {
        finalizer(&mut errs, name, &path);
    }
    errs
}

fn finalizer(errs: &mut ErrorList, name: &str, path: &Path) {
    qualified_name(errs, path, name);
    meta::kube_finalizer(errs, name, path);
}

/// A changed namespace: the rules of a new one, then `ValidateNamespaceUpdate` (the strategy's `ValidateUpdate`).
pub fn namespace_update(new: &Namespace, old: &Namespace) -> ErrorList {
    let mut errs = namespace_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    errs
}

/// A changed namespace status (`ValidateNamespaceStatusUpdate`).
pub fn namespace_status_update(new: &Namespace, old: &Namespace) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let phase = new.status.as_ref().map_or("", |s| text(&s.phase));
    let (wanted, rule) = if new.metadata.deletion_timestamp.is_none() {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    } else {
        (
            "Terminating",
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        )
    };
    if phase != wanted {
        errs.push(Error::invalid(
            &Path::new("status").child("Phase"),
            BadValue::named(phase),
            rule,
        ));
    }
    errs
}

/// Changed finalizers, through the `finalize` subresource (`ValidateNamespaceFinalizeUpdate`).
pub fn namespace_finalize_update(new: &Namespace, old: &Namespace) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let path = Path::new("spec").child("finalizers");
    for (index, name) in new.spec.iter().flat_map(|s| list(&s.finalizers)).enumerate() {
        finalizer(&mut errs, name, &path.index(index));
    }
    errs
}
