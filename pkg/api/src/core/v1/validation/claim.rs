//! Claims to volumes.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::quantity::Quantity;
use apimachinery::validation::is_dns1123_subdomain;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};

use super::resources;
use crate::check::{
    IMMUTABLE, equal, immutable_named, invalid_each, list, one_of, qualified_name, quantity, required, text,
};
use crate::internal::difference;
use crate::meta;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// The annotation that named a class before the field did.
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// What a stored claim breaks already (`ValidationOptionsForPersistentVolumeClaim`).
#[derive(Clone, Copy, Default)]
struct Stored {
    selector: bool,
    api_group: bool,
}

/// Modes of volumes and claims; `missing` is said when there is none.
pub(super) fn access_modes(errs: &mut ErrorList, modes: &Option<Vec<String>>, missing: &str, path: &Path) {
    let path = path.child("accessModes");
    let modes = list(modes);
    if modes.is_empty() {
        errs.push(Error::required(&path, missing));
    }
    known_modes(errs, modes, &path);
}

fn known_modes(errs: &mut ErrorList, modes: &[String], path: &Path) {
    for mode in modes {
        one_of(errs, path, mode, &ACCESS_MODES);
    }
    let other = |m: &String| m != "ReadWriteOncePod" && ACCESS_MODES.contains(&m.as_str());
    if modes.iter().any(|m| m == "ReadWriteOncePod") && modes.iter().any(other) {
        let rule = "may not use ReadWriteOncePod with other access modes";
        errs.push(Error::forbidden(path, rule));
    }
}

pub(super) fn class_and_mode(errs: &mut ErrorList, class: &Option<String>, mode: &Option<String>, path: &Path) {
    let class = text(class);
    if !class.is_empty() {
        let path = path.child("storageClassName");
        invalid_each(errs, &path, class, meta::name_subdomain(class, false));
    }
    if let Some(mode) = mode {
        one_of(errs, &path.child("volumeMode"), mode, &VOLUME_MODES);
    }
}

/// A new claim (`ValidatePersistentVolumeClaim`).
pub fn persistent_volume_claim_create(obj: &PersistentVolumeClaim) -> ErrorList {
    whole(obj, Stored::default())
}

fn whole(obj: &PersistentVolumeClaim, stored: Stored) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = PersistentVolumeClaimSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    claim_spec(&mut errs, spec, &Path::new("spec"), stored);
    errs
}

/// A claim's spec at `path` (`ValidatePersistentVolumeClaimSpec`).
pub fn persistent_volume_claim_spec(errs: &mut ErrorList, spec: &PersistentVolumeClaimSpec, path: &Path) {
    claim_spec(errs, spec, path, Stored::default());
}

fn claim_spec(errs: &mut ErrorList, spec: &PersistentVolumeClaimSpec, path: &Path, stored: Stored) {
    let modes = list(&spec.access_modes);
    if modes.is_empty() {
        let rule = "at least 1 access mode is required";
        errs.push(Error::required(&path.child("accessModes"), rule));
    }
    meta::stored_label_selector(errs, spec.selector.as_ref(), &path.child("selector"), stored.selector);
    known_modes(errs, modes, &path.child("accessModes"));
    let storage = path.child("resources").key("storage");
    let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    match requests.and_then(|r| r.get("storage")) {
        None => errs.push(Error::required(&storage, "")),
        Some(raw) if quantity(raw).sign() <= 0 => {
            errs.push(Error::invalid(
                &storage,
                quantity(raw).to_string(),
                "must be greater than zero",
            ));
        }
        Some(raw) => resources::amount(errs, "storage", raw, &storage),
    }
    class_and_mode(errs, &spec.storage_class_name, &spec.volume_mode, path);
    let source = spec.data_source.as_ref();
    let reference = spec.data_source_ref.as_ref();
    if let Some(s) = source {
        let at = path.child("dataSource");
        data_source(errs, &s.name, &s.kind, s.api_group.as_deref(), stored, &at);
    }
    let namespace = reference.map_or("", |r| text(&r.namespace));
    if let Some(r) = reference {
        let at = path.child("dataSourceRef");
        data_source(errs, &r.name, &r.kind, r.api_group.as_deref(), stored, &at);
        if !namespace.is_empty() {
            invalid_each(
                errs,
                &at.child("namespace"),
                namespace,
                meta::name_label(namespace, false),
            );
        }
    }
    if let (Some(s), Some(r)) = (source, reference) {
        // Upstream shows a field path here, which prints as an empty object.
        let mut refuse = |rule: &str| errs.push(Error::invalid(path, BadValue::Raw("{}".to_string()), rule));
        if !namespace.is_empty() {
            refuse("may not be specified when dataSourceRef.namespace is specified");
        } else if s.api_group != r.api_group || s.kind != r.kind || s.name != r.name {
            refuse("must match dataSourceRef");
        }
    }
    let class = text(&spec.volume_attributes_class_name);
    if !class.is_empty() {
        let path = path.child("volumeAttributesClassName");
        invalid_each(errs, &path, class, meta::name_subdomain(class, false));
    }
}

/// `validateDataSource`, `validateDataSourceRef`.
fn data_source(errs: &mut ErrorList, name: &str, kind: &str, group: Option<&str>, stored: Stored, path: &Path) {
    required(errs, &path.child("name"), name);
    required(errs, &path.child("kind"), kind);
    let group = group.unwrap_or("");
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let rule = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errs.push(Error::invalid(path, kind, rule));
    }
    if !group.is_empty() && !stored.api_group {
        invalid_each(errs, &path.child("apiGroup"), group, is_dns1123_subdomain(group));
    }
}

fn annotation(obj: &PersistentVolumeClaim) -> Option<&str> {
    let annotations = obj.metadata.annotations.as_ref();
    annotations.and_then(|a| a.get(BETA_CLASS)).map(String::as_str)
}

fn storage(spec: &PersistentVolumeClaimSpec) -> Quantity {
    let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    requests
        .and_then(|r| r.get("storage"))
        .map(quantity)
        .unwrap_or_default()
}

/// A changed claim (`ValidatePersistentVolumeClaimUpdate`).
pub fn persistent_volume_claim_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> ErrorList {
    let empty = PersistentVolumeClaimSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut selector = ErrorList::new();
    meta::label_selector(&mut selector, before.selector.as_ref(), &Path::root());
    let group = before.data_source.as_ref().is_some_and(|s| s.api_group.is_some())
        || before.data_source_ref.as_ref().is_some_and(|s| s.api_group.is_some());
    let stored = Stored {
        selector: !selector.is_empty(),
        api_group: group,
    };
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(whole(new, stored));
    let (mut kept, mut stored) = (after.clone(), before.clone());
    if text(&stored.volume_name).is_empty() {
        stored.volume_name.clone_from(&kept.volume_name);
    }
    classes(&mut errs, new, old, &mut kept, before);
    if new.status.as_ref().is_some_and(|s| text(&s.phase) == "Bound") {
        let size = before
            .resources
            .as_ref()
            .and_then(|r| r.requests.as_ref()?.get("storage").cloned());
        if let Some(requests) = kept.resources.as_mut().and_then(|r| r.requests.as_mut()) {
            requests.insert("storage".to_string(), size.unwrap_or_default());
        }
        kept.volume_attributes_class_name
            .clone_from(&before.volume_attributes_class_name);
    }
    let path = Path::new("spec");
    if !equal(&kept, &stored) {
        let diff = difference("core.PersistentVolumeClaimSpec", &stored, &kept);
        let rule = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{diff}"
        );
        errs.push(Error::forbidden(&path, rule));
    }
    let capacity = old
        .status
        .as_ref()
        .and_then(|s| s.capacity.as_ref()?.get("storage").map(quantity));
    let size = storage(after);
    if size < storage(before) && size <= capacity.unwrap_or_default() {
        let path = path.child("resources").child("requests").child("storage");
        errs.push(Error::forbidden(&path, "field can not be less than status.capacity"));
    }
    let mode = Path::new("volumeMode");
    immutable_named(&mut errs, &mode, &after.volume_mode, &before.volume_mode);
    let has_class = old
        .status
        .as_ref()
        .is_some_and(|s| s.current_volume_attributes_class_name.is_some());
    let (class, old_class) = (
        &after.volume_attributes_class_name,
        &before.volume_attributes_class_name,
    );
    let what = match class.as_deref() {
        None => "nil",
        Some("") => "empty string",
        Some(_) => "",
    };
    if has_class && class != old_class && !what.is_empty() {
        let rule = format!("update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil");
        errs.push(Error::forbidden(&path.child("volumeAttributesClassName"), rule));
    }
    errs
}

/// A class may move from the annotation to the field, or be given to a claim that has none
/// (`validateStorageClassUpgradeFromAnnotation`, `validateStorageClassUpgradeFromNil`).
fn classes(
    errs: &mut ErrorList,
    new: &PersistentVolumeClaim,
    old: &PersistentVolumeClaim,
    kept: &mut PersistentVolumeClaimSpec,
    before: &PersistentVolumeClaimSpec,
) {
    let (was, is) = (annotation(old), annotation(new));
    let given = kept.storage_class_name.as_deref();
    let unset = before.storage_class_name.is_none();
    if unset && was.is_some() && given == was && (is.is_none() || is == was) {
        kept.storage_class_name = None;
        return;
    }
    if is.unwrap_or("") != was.unwrap_or("") {
        let path = Path::new("metadata").child("annotations").child(BETA_CLASS);
        errs.push(Error::invalid(&path, is.unwrap_or(""), IMMUTABLE));
    }
    if unset && given.is_some() && (was.is_none() || given == was) {
        kept.storage_class_name = None;
    }
}

const RESIZE_STATES: [&str; 5] = [
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// `validatePersistentVolumeClaimResourceKey`.
fn resource_key(errs: &mut ErrorList, name: &str, path: &Path) -> bool {
    let before = errs.len();
    qualified_name(errs, path, name);
    if errs.len() == before && resources::is_native(name) && name != "storage" {
        errs.push(Error::not_supported(path, name, &["storage"]));
    }
    errs.len() == before
}

/// A changed claim status (`ValidatePersistentVolumeClaimStatusUpdate`).
pub fn persistent_volume_claim_status_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    required(
        &mut errs,
        &Path::new("resourceVersion"),
        text(&new.metadata.resource_version),
    );
    if new.spec.as_ref().is_none_or(|s| list(&s.access_modes).is_empty()) {
        errs.push(Error::required(&Path::new("Spec").child("accessModes"), ""));
    }
    let none = PersistentVolumeClaimStatus::default();
    let status = new.status.as_ref().unwrap_or(&none);
    let path = Path::new("status");
    let basic = |errs: &mut ErrorList, amount: Quantity, path: &Path| {
        let bad = amount.value() < 0;
        if bad {
            let rule = "must be a valid resource quantity";
            errs.push(Error::invalid(path, amount.value(), rule));
        }
        !bad
    };
    for (name, raw) in status.capacity.iter().flatten() {
        basic(&mut errs, quantity(raw), &path.child("capacity").key(name));
    }
    let at = path.child("allocatedResourceStatuses");
    for (name, state) in status.allocated_resource_statuses.iter().flatten() {
        resource_key(&mut errs, name, &at);
        if !RESIZE_STATES.contains(&state.as_str()) {
            errs.push(Error::not_supported(&at, name, &RESIZE_STATES));
        }
    }
    let at = path.child("allocatedResources");
    for (name, raw) in status.allocated_resources.iter().flatten() {
        if resource_key(&mut errs, name, &at) && basic(&mut errs, quantity(raw), &at.key(name)) {
            resources::amount(&mut errs, "storage", raw, &at.key(name));
        }
    }
    errs
}
