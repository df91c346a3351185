//! The status of a claim: which devices it got, who uses them, and how the devices are.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::{
    AllocatedDeviceStatus, AllocationResult, DeviceClaim, DeviceRequestAllocationResult, NetworkDeviceData,
    ResourceClaim, ResourceClaimConsumerReference, ResourceClaimStatus,
};

use super::claim::{CONFIG_MAX, RequestNames, configuration, raw, request_ref, request_refs};
use super::device::binding_conditions;
use super::names::{DeviceId, pool, uid};
use crate::check::{
    conditions, dns_label, immutable_part, invalid_each, limited, limited_set, list, required, required_one_of,
};
use crate::core::v1::validation::{csi_driver_name, node_selector};
use crate::meta;

/// `ResourceClaimReservedForMaxSize`.
const RESERVED_MAX: usize = 256;
/// `AllocationResultsMaxSize`.
const RESULTS_MAX: usize = 32;
/// `AllocatedDeviceStatusMaxConditions`.
const CONDITIONS_MAX: usize = 8;
/// Longest data of a device, in bytes (`AllocatedDeviceStatusDataMaxLength`).
const DATA_MAX: usize = 10 * 1024;
/// `NetworkDeviceDataMaxIPs`.
const IPS_MAX: usize = 16;
/// Longest interface name, in bytes (`NetworkDeviceDataInterfaceNameMaxLength`).
const INTERFACE_MAX: usize = 256;
/// Longest hardware address, in bytes (`NetworkDeviceDataHardwareAddressMaxLength`).
const HARDWARE_MAX: usize = 128;

/// A changed status (`ValidateResourceClaimStatusUpdate`).
pub fn resource_claim_status_update(new: &ResourceClaim, old: &ResourceClaim) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let no_devices = DeviceClaim::default();
    let names = RequestNames::of(new.spec.devices.as_ref().unwrap_or(&no_devices));
    let none = ResourceClaimStatus::default();
    let (status, before) = (
        new.status.as_ref().unwrap_or(&none),
        old.status.as_ref().unwrap_or(&none),
    );
    let path = Path::new("status");
    let reserved = list(&status.reserved_for);
    let reserved_path = path.child("reservedFor");
    limited_set(&mut errs, &reserved_path, reserved, RESERVED_MAX, consumer, |c| {
        c.uid.clone()
    });
    let allocated = allocated_devices(status);
    limited_set(
        &mut errs,
        &path.child("devices"),
        list(&status.devices),
        usize::MAX,
        |errs, device, path| device_status(errs, device, &allocated, path),
        device_id,
    );
    if !reserved.is_empty() {
        if status.allocation.is_none() {
            let rule = "may not be specified when `allocated` is not set";
            errs.push(Error::forbidden(&reserved_path, rule));
        } else if new.metadata.deletion_timestamp.is_some()
            && reserved.iter().any(|r| !list(&before.reserved_for).contains(r))
        {
            let rule = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errs.push(Error::forbidden(&reserved_path, rule));
        }
    }
    let path = path.child("allocation");
    match (&status.allocation, &before.allocation) {
        (Some(new), Some(old)) => immutable_part(&mut errs, &path, "resource.AllocationResult", new, old),
        (Some(allocation), None) => allocation_result(&mut errs, allocation, &names, &path),
        (None, _) => {}
    }
    errs
}

/// The devices of an allocation (`gatherAllocatedDevices`).
pub fn allocated_devices(status: &ResourceClaimStatus) -> BTreeSet<DeviceId> {
    let devices = status.allocation.as_ref().and_then(|a| a.devices.as_ref());
    let results = devices.map(|d| list(&d.results)).unwrap_or_default();
    let id = |r: &DeviceRequestAllocationResult| DeviceId::new(&r.driver, &r.pool, &r.device, r.share_id.as_ref());
    results.iter().map(id).collect()
}

/// The device a status is about.
pub fn device_id(status: &AllocatedDeviceStatus) -> DeviceId {
    DeviceId::new(&status.driver, &status.pool, &status.device, status.share_id.as_ref())
}

/// `validateResourceClaimUserReference`.
fn consumer(errs: &mut ErrorList, consumer: &ResourceClaimConsumerReference, path: &Path) {
    required(errs, &path.child("resource"), &consumer.resource);
    required(errs, &path.child("name"), &consumer.name);
    required(errs, &path.child("uid"), &consumer.uid);
}

/// `validateAllocationResult`, for results that are new.
fn allocation_result(errs: &mut ErrorList, allocation: &AllocationResult, names: &RequestNames<'_>, path: &Path) {
    let at = path.child("devices");
    if let Some(devices) = &allocation.devices {
        limited(
            errs,
            &at.child("results"),
            list(&devices.results),
            RESULTS_MAX,
            |errs, result, path| self::result(errs, result, names, path),
        );
        limited(
            errs,
            &at.child("config"),
            list(&devices.config),
            // Those of the class and those of the claim.
            2 * CONFIG_MAX,
            |errs, config, path| {
                let known = ["FromClaim", "FromClass"];
                required_one_of(errs, &path.child("source"), &config.source, &known);
                request_refs(errs, list(&config.requests), names, &path.child("requests"));
                configuration(errs, config.opaque.as_ref(), false, path);
            },
        );
    }
    if let Some(selector) = &allocation.node_selector {
        node_selector(errs, selector, &path.child("nodeSelector"));
    }
}

/// `validateDeviceRequestAllocationResult`.
fn result(errs: &mut ErrorList, result: &DeviceRequestAllocationResult, names: &RequestNames<'_>, path: &Path) {
    request_ref(errs, &result.request, names, &path.child("request"));
    csi_driver_name(errs, &result.driver, &path.child("driver"));
    pool(errs, &result.pool, &path.child("pool"));
    dns_label(errs, &path.child("device"), &result.device);
    binding_conditions(
        errs,
        &result.binding_conditions,
        &result.binding_failure_conditions,
        path,
    );
    if let Some(share) = &result.share_id {
        uid(errs, share, &path.child("shareID"));
    }
}

/// `validateDeviceStatus`.
fn device_status(errs: &mut ErrorList, device: &AllocatedDeviceStatus, allocated: &BTreeSet<DeviceId>, path: &Path) {
    csi_driver_name(errs, &device.driver, &path.child("driver"));
    pool(errs, &device.pool, &path.child("pool"));
    dns_label(errs, &path.child("device"), &device.device);
    if let Some(share) = &device.share_id {
        uid(errs, share, &path.child("shareID"));
    }
    let id = device_id(device);
    if !allocated.contains(&id) {
        errs.push(Error::invalid(path, id, "must be an allocated device in the claim"));
    }
    let all = list(&device.conditions);
    if all.len() > CONDITIONS_MAX {
        errs.push(Error::too_many(&path.child("conditions"), all.len(), CONDITIONS_MAX));
    }
    conditions(errs, all, &path.child("conditions"));
    if let Some(data) = &device.data {
        raw(errs, data, DATA_MAX, &path.child("data"));
    }
    if let Some(network) = &device.network_data {
        network_data(errs, network, &path.child("networkData"));
    }
}

/// `validateNetworkDeviceData`.
fn network_data(errs: &mut ErrorList, data: &NetworkDeviceData, path: &Path) {
    for (field, value, max) in [
        ("interfaceName", &data.interface_name, INTERFACE_MAX),
        ("hardwareAddress", &data.hardware_address, HARDWARE_MAX),
    ] {
        if value.as_ref().is_some_and(|v| v.len() > max) {
            errs.push(Error::too_long(&path.child(field), max));
        }
    }
    limited_set(
        errs,
        &path.child("ips"),
        list(&data.ips),
        IPS_MAX,
        |errs, address, path| {
            let messages = apimachinery::validation::is_valid_interface_address(address);
            invalid_each(errs, path, address, messages);
        },
        String::clone,
    );
}
