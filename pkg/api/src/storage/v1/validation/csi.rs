//! CSI drivers, the nodes they run on, and the capacity they report.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::storage::v1::{
    CSIDriver, CSIDriverSpec, CSINode, CSINodeDriver, CSIStorageCapacity, TokenRequest,
};

use crate::check::{
    IMMUTABLE, NEGATIVE, equal, immutable, invalid_each, list, non_negative, one_of, qualified_name, quantity, required,
};
use crate::core::v1::validation::csi_driver_name;
use crate::internal;
use crate::meta;

/// Longest id of a node, in bytes (`csiNodeIDMaxLength`).
const NODE_ID_MAX: usize = 256;
/// Shortest life of a token, in seconds.
const TOKEN_MIN: i64 = 600;
/// Longest life of a token, in seconds.
const TOKEN_MAX: i64 = 1 << 32;
/// Shortest period between updates of what a node can hold, in seconds.
const PERIOD_MIN: i64 = 10;

/// A new CSIDriver (`ValidateCSIDriver`).
pub fn csi_driver_create(obj: &CSIDriver) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    driver_spec(&mut errs, &obj.spec);
    errs
}

/// A changed CSIDriver (`ValidateCSIDriverUpdate`).
pub fn csi_driver_update(new: &CSIDriver, old: &CSIDriver) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    driver_spec(&mut errs, &new.spec);
    let path = Path::new("spec");
    let (attach, before) = (&new.spec.attach_required, &old.spec.attach_required);
    immutable(&mut errs, &path.child("attachedRequired"), attach, before);
    let (modes, before) = (&new.spec.volume_lifecycle_modes, &old.spec.volume_lifecycle_modes);
    immutable(&mut errs, &path.child("volumeLifecycleModes"), modes, before);
    errs
}

/// `validateCSIDriverSpec`.
fn driver_spec(errs: &mut ErrorList, spec: &CSIDriverSpec) {
    let path = Path::new("spec");
    let mut flag = |field: &str, value: Option<bool>| {
        if value.is_none() {
            errs.push(Error::required(&path.child(field), ""));
        }
    };
    flag("attachedRequired", spec.attach_required);
    flag("podInfoOnMount", spec.pod_info_on_mount);
    flag("storageCapacity", spec.storage_capacity);
    if let Some(policy) = &spec.fs_group_policy {
        let known = ["File", "None", "ReadWriteOnceWithFSType"];
        one_of(errs, &path.child("fsGroupPolicy"), policy, &known);
    }
    let requests = list(&spec.token_requests);
    token_requests(errs, requests, &path.child("tokenRequests"));
    for mode in list(&spec.volume_lifecycle_modes) {
        let path = path.child("volumeLifecycleModes");
        one_of(errs, &path, mode, &["Persistent", "Ephemeral"]);
    }
    if spec.se_linux_mount.is_none() {
        errs.push(Error::required(&path.child("seLinuxMount"), ""));
    }
    if let Some(period) = spec.node_allocatable_update_period_seconds.filter(|p| *p < PERIOD_MIN) {
        let path = path.child("nodeAllocatableUpdatePeriodSeconds");
        errs.push(Error::invalid(
            &path,
            period,
            "must be greater than or equal to 10 seconds",
        ));
    }
    if let Some(flag) = spec.service_account_token_in_secrets.filter(|_| requests.is_empty()) {
        let rule = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errs.push(Error::invalid(&path.child("serviceAccountTokenInSecrets"), flag, rule));
    }
}

/// `validateTokenRequests`: each audience once.
fn token_requests(errs: &mut ErrorList, requests: &[TokenRequest], path: &Path) {
    for (index, request) in requests.iter().enumerate() {
        let path = path.index(index);
        if requests[..index].iter().any(|r| r.audience == request.audience) {
            errs.push(Error::duplicate(&path.child("audience"), &request.audience));
            continue;
        }
        let path = path.child("expirationSeconds");
        match request.expiration_seconds {
            Some(seconds) if seconds < TOKEN_MIN => {
                let rule = "may not specify a duration less than 10 minutes";
                errs.push(Error::invalid(&path, seconds, rule));
            }
            Some(seconds) if seconds > TOKEN_MAX => {
                let rule = "may not specify a duration larger than 2^32 seconds";
                errs.push(Error::invalid(&path, seconds, rule));
            }
            _ => {}
        }
    }
}

/// A new CSINode (`ValidateCSINode`).
pub fn csi_node_create(obj: &CSINode) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, false, meta::name_subdomain);
    let drivers = &obj.spec.drivers;
    for (index, driver) in drivers.iter().enumerate() {
        let path = Path::new("spec").child("drivers").index(index);
        csi_driver_name(&mut errs, &driver.name, &path.child("name"));
        let id = path.child("nodeID");
        required(&mut errs, &id, &driver.node_id);
        if driver.node_id.len() > NODE_ID_MAX {
            errs.push(Error::invalid(&id, &driver.node_id, "must be 256 characters or less"));
        }
        let count = driver.allocatable.as_ref().and_then(|a| a.count).map(i64::from);
        non_negative(&mut errs, &path.child("allocatable").child("count"), count);
        if drivers[..index].iter().any(|d| d.name == driver.name) {
            errs.push(Error::duplicate(&path.child("name"), &driver.name));
        }
        let mut keys = BTreeSet::new();
        for key in list(&driver.topology_keys) {
            required(&mut errs, &path, key);
            if !keys.insert(key) {
                errs.push(Error::duplicate(&path, key));
            }
            qualified_name(&mut errs, &path, key);
        }
    }
    errs
}

/// A changed CSINode (`ValidateCSINodeUpdate`): of a driver only what it can hold may change.
pub fn csi_node_update(new: &CSINode, old: &CSINode) -> ErrorList {
    let mut errs = csi_node_create(new);
    let fixed = |driver: &CSINodeDriver| CSINodeDriver {
        allocatable: None,
        ..driver.clone()
    };
    for before in &old.spec.drivers {
        for driver in new.spec.drivers.iter().filter(|d| d.name == before.name) {
            if equal(&fixed(driver), &fixed(before)) {
                continue;
            }
            let value = internal::shown("storage.CSINodeDriver", &fixed(driver));
            let path = Path::new("spec").child("drivers");
            errs.push(Error::invalid(&path, value, IMMUTABLE));
        }
    }
    errs
}

/// A new CSIStorageCapacity (`ValidateCSIStorageCapacity`).
pub fn csi_storage_capacity_create(obj: &CSIStorageCapacity) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    capacity(&mut errs, obj);
    errs
}

fn capacity(errs: &mut ErrorList, obj: &CSIStorageCapacity) {
    meta::label_selector(errs, obj.node_topology.as_ref(), &Path::new("nodeTopology"));
    let class = obj.storage_class_name.as_str();
    let messages = meta::name_subdomain(class, false);
    invalid_each(errs, &Path::new("storageClassName"), class, messages);
    if let Some(amount) = obj.capacity.as_ref().map(quantity).filter(|a| a.sign() < 0) {
        errs.push(Error::invalid(&Path::new("capacity"), amount.to_string(), NEGATIVE));
    }
}

/// A changed CSIStorageCapacity (`ValidateCSIStorageCapacityUpdate`): what it is about stays.
pub fn csi_storage_capacity_update(new: &CSIStorageCapacity, old: &CSIStorageCapacity) -> ErrorList {
    let mut errs = csi_storage_capacity_create(new);
    errs.extend(meta::update(&new.metadata, &old.metadata));
    if !equal(&new.node_topology, &old.node_topology) {
        let value = internal::shown("*meta.LabelSelector", &new.node_topology);
        errs.push(Error::invalid(&Path::new("nodeTopology"), value, IMMUTABLE));
    }
    let (class, before) = (&new.storage_class_name, &old.storage_class_name);
    immutable(&mut errs, &Path::new("storageClassName"), class, before);
    errs
}
