//! Validation of storage.k8s.io/v1 (pkg/apis/storage/validation/validation.go), the classes.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::check::{immutable, one_of, qualified_name, required, required_one_of, text};
use crate::meta;

/// A new StorageClass (`ValidateStorageClass`).
pub fn storage_class_create(obj: &StorageClass) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let path = Path::new("provisioner");
    if obj.provisioner.is_empty() {
        required(&mut errs, &path, "");
    } else {
        qualified_name(&mut errs, &path, &obj.provisioner.to_lowercase());
    }
    for key in obj.parameters.iter().flatten().map(|(k, _)| k) {
        required(&mut errs, &Path::new("parameters"), key);
    }
    let reclaim = text(&obj.reclaim_policy);
    if !reclaim.is_empty() {
        one_of(&mut errs, &Path::new("reclaimPolicy"), reclaim, &["Delete", "Retain"]);
    }
    let mode = text(&obj.volume_binding_mode);
    let known = ["Immediate", "WaitForFirstConsumer"];
    required_one_of(&mut errs, &Path::new("volumeBindingMode"), mode, &known);
    errs
}

/// A changed StorageClass (`ValidateStorageClassUpdate`).
pub fn storage_class_update(new: &StorageClass, old: &StorageClass) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let parameters = |c: &StorageClass| c.parameters.clone().unwrap_or_default();
    for (field, changed) in [
        ("parameters", parameters(new) != parameters(old)),
        ("provisioner", new.provisioner != old.provisioner),
        ("reclaimPolicy", new.reclaim_policy != old.reclaim_policy),
    ] {
        if changed {
            let rule = format!("updates to {field} are forbidden.");
            errs.push(Error::forbidden(&Path::new(field), rule));
        }
    }
    let (mode, old_mode) = (&new.volume_binding_mode, &old.volume_binding_mode);
    immutable(&mut errs, &Path::new("volumeBindingMode"), mode, old_mode);
    errs
}
