//! PersistentVolumes and claims. Sources other than hostPath, local, NFS and CSI are not looked into.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec,
};
use serde_json::Value;

use super::{resources, scheduling, volume};
use crate::check::{equal, immutable, invalid_each, list, one_of, quantity, required, text, to_value};
use crate::meta;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];

/// A new PersistentVolume (`ValidatePersistentVolume`).
pub fn persistent_volume_create(obj: &PersistentVolume) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let empty = PersistentVolumeSpec::default();
    volume_spec(&mut errs, obj.spec.as_ref().unwrap_or(&empty));
    errs
}

fn access_modes(errs: &mut ErrorList, modes: &[String], path: &Path) {
    let path = path.child("accessModes");
    if modes.is_empty() {
        errs.push(Error::required(&path, "at least 1 access mode is required"));
    }
    for mode in modes {
        one_of(errs, &path, mode, &ACCESS_MODES);
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        let rule = "may not use ReadWriteOncePod with other access modes";
        errs.push(Error::forbidden(&path, rule));
    }
}

fn class_and_mode(errs: &mut ErrorList, class: &Option<String>, mode: &Option<String>, path: &Path) {
    let class = text(class);
    if !class.is_empty() {
        let path = path.child("storageClassName");
        invalid_each(errs, &path, class, meta::name_subdomain(class, false));
    }
    if let Some(mode) = mode {
        one_of(errs, &path.child("volumeMode"), mode, &VOLUME_MODES);
    }
}

/// Names of the source fields in a PersistentVolume spec.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

fn volume_sources(spec: &PersistentVolumeSpec) -> Vec<(&'static str, Value)> {
    let value = to_value(spec);
    let set = |name: &&'static str| value.get(*name).map(|v| (*name, v.clone()));
    SOURCES.iter().filter_map(set).collect()
}

/// `ValidatePersistentVolumeSpec`.
fn volume_spec(errs: &mut ErrorList, spec: &PersistentVolumeSpec) {
    let path = Path::new("spec");
    access_modes(errs, list(&spec.access_modes), &path);
    let capacity = path.child("capacity");
    match spec.capacity.as_ref().filter(|c| !c.is_empty()) {
        None => errs.push(Error::required(&capacity, "")),
        Some(amounts) if amounts.len() > 1 || !amounts.contains_key("storage") => {
            errs.push(Error::not_supported(&capacity, &to_value(amounts), &["storage"]));
        }
        Some(amounts) => {
            for (name, raw) in amounts {
                let path = capacity.key(name);
                resources::amount(errs, name, raw, &path);
                if quantity(raw).sign() <= 0 {
                    errs.push(Error::invalid(&path, &raw.0, "must be greater than zero"));
                }
            }
        }
    }
    let reclaim = text(&spec.persistent_volume_reclaim_policy);
    if !reclaim.is_empty() {
        let path = path.child("persistentVolumeReclaimPolicy");
        one_of(errs, &path, reclaim, &["Delete", "Recycle", "Retain"]);
    }
    let affinity = spec.node_affinity.as_ref();
    let affinity_path = path.child("nodeAffinity");
    match affinity.map(|a| &a.required) {
        Some(Some(selector)) => {
            scheduling::node_selector(errs, selector, &affinity_path.child("required"));
        }
        Some(None) => errs.push(Error::required(
            &affinity_path.child("required"),
            "must specify required node constraints",
        )),
        None => {}
    }
    let sources = volume_sources(spec);
    if sources.is_empty() {
        errs.push(Error::required(&path, "must specify a volume type"));
    }
    for (name, _) in sources.iter().skip(1) {
        errs.push(Error::forbidden(
            &path.child(name),
            "may not specify more than 1 volume type",
        ));
    }
    if let Some(host_path) = &spec.host_path {
        volume::sources::host_path(errs, host_path, &path.child("hostPath"));
        if host_path.path == "/" && reclaim == "Recycle" {
            let path = path.child("persistentVolumeReclaimPolicy");
            let rule = "may not be 'recycle' for a hostPath mount of '/'";
            errs.push(Error::forbidden(&path, rule));
        }
    }
    if let Some(nfs) = &spec.nfs {
        required(errs, &path.child("nfs").child("server"), &nfs.server);
        required(errs, &path.child("nfs").child("path"), &nfs.path);
    }
    if let Some(local) = &spec.local {
        required(errs, &path.child("local").child("path"), &local.path);
        if affinity.is_none() {
            errs.push(Error::required(&affinity_path, "Local volume requires node affinity"));
        }
    }
    if let Some(csi) = &spec.csi {
        volume::csi_driver_name(errs, &csi.driver, &path.child("csi").child("driver"));
        required(errs, &path.child("csi").child("volumeHandle"), &csi.volume_handle);
    }
    class_and_mode(errs, &spec.storage_class_name, &spec.volume_mode, &path);
}

/// A changed PersistentVolume (`ValidatePersistentVolumeUpdate`): the source stays.
pub fn persistent_volume_update(new: &PersistentVolume, old: &PersistentVolume) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(persistent_volume_create(new));
    let empty = PersistentVolumeSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    if !equal(&volume_sources(after), &volume_sources(before)) {
        let path = Path::new("spec").child("persistentvolumesource");
        let rule = "spec.persistentvolumesource is immutable after creation\n";
        errs.push(Error::forbidden(&path, rule));
    }
    immutable(
        &mut errs,
        &Path::new("volumeMode"),
        &after.volume_mode,
        &before.volume_mode,
    );
    if before.node_affinity.is_some() && !equal(&after.node_affinity, &before.node_affinity) {
        let value = to_value(&after.node_affinity);
        let rule = "field is immutable, except for updating from beta label to GA";
        errs.push(Error::invalid(&Path::new("nodeAffinity"), &value, rule));
    }
    errs
}

/// A new claim (`ValidatePersistentVolumeClaim`).
pub fn persistent_volume_claim_create(obj: &PersistentVolumeClaim) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = PersistentVolumeClaimSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    persistent_volume_claim_spec(&mut errs, spec, &Path::new("spec"));
    errs
}

/// A claim's spec at `path` (`ValidatePersistentVolumeClaimSpec`).
pub fn persistent_volume_claim_spec(errs: &mut ErrorList, spec: &PersistentVolumeClaimSpec, path: &Path) {
    access_modes(errs, list(&spec.access_modes), path);
    meta::label_selector(errs, spec.selector.as_ref(), &path.child("selector"));
    let storage = path.child("resources").key("storage");
    let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    match requests.and_then(|r| r.get("storage")) {
        None => errs.push(Error::required(&storage, "")),
        Some(raw) if quantity(raw).sign() <= 0 => {
            errs.push(Error::invalid(&storage, &raw.0, "must be greater than zero"));
        }
        Some(raw) => resources::amount(errs, "storage", raw, &storage),
    }
    class_and_mode(errs, &spec.storage_class_name, &spec.volume_mode, path);
    if let Some(source) = &spec.data_source {
        let path = path.child("dataSource");
        required(errs, &path.child("name"), &source.name);
        required(errs, &path.child("kind"), &source.kind);
        if text(&source.api_group).is_empty() && source.kind != "PersistentVolumeClaim" {
            let rule = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errs.push(Error::invalid(&path, &source.kind, rule));
        }
    }
}

/// A changed claim (`ValidatePersistentVolumeClaimUpdate`).
pub fn persistent_volume_claim_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    errs.extend(persistent_volume_claim_create(new));
    let empty = PersistentVolumeClaimSpec::default();
    let mut after = new.spec.clone().unwrap_or_default();
    let mut before = old.spec.clone().unwrap_or_default();
    if text(&before.volume_name).is_empty() {
        before.volume_name.clone_from(&after.volume_name);
    }
    if before.storage_class_name.is_none() {
        before.storage_class_name.clone_from(&after.storage_class_name);
    }
    let storage = |spec: &PersistentVolumeClaimSpec| {
        let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
        requests.and_then(|r| r.get("storage")).cloned()
    };
    let (new_size, old_size) = (storage(&after), storage(&before));
    let phase = new.status.as_ref().map_or("", |s| text(&s.phase));
    if phase == "Bound" {
        if let (Some(old_size), Some(requests)) =
            (&old_size, after.resources.as_mut().and_then(|r| r.requests.as_mut()))
        {
            requests.insert("storage".to_string(), old_size.clone());
        }
        after
            .volume_attributes_class_name
            .clone_from(&before.volume_attributes_class_name);
    }
    if !equal(&after, &before) {
        let rule = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n";
        errs.push(Error::forbidden(&Path::new("spec"), rule));
    }
    let amount = |raw: &Option<_>| raw.as_ref().map(quantity).unwrap_or_default();
    let capacity = old
        .status
        .as_ref()
        .and_then(|s| s.capacity.as_ref()?.get("storage").cloned());
    if amount(&new_size) < amount(&old_size) && amount(&new_size) <= amount(&capacity) {
        let path = Path::new("spec").child("resources").child("requests").child("storage");
        errs.push(Error::forbidden(&path, "field can not be less than status.capacity"));
    }
    let mode = |o: &PersistentVolumeClaim| o.spec.as_ref().unwrap_or(&empty).volume_mode.clone();
    immutable(&mut errs, &Path::new("volumeMode"), &mode(new), &mode(old));
    errs
}

/// A changed claim status (`ValidatePersistentVolumeClaimStatusUpdate`).
pub fn persistent_volume_claim_status_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    if new.spec.as_ref().is_none_or(|s| list(&s.access_modes).is_empty()) {
        errs.push(Error::required(&Path::new("Spec").child("accessModes"), ""));
    }
    for (name, raw) in new.status.iter().flat_map(|s| s.capacity.iter().flatten()) {
        if quantity(raw).sign() < 0 {
            let path = Path::new("status").child("capacity").key(name);
            errs.push(Error::invalid(&path, &raw.0, "must be a valid resource quantity"));
        }
    }
    errs
}
