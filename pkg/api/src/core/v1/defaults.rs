//! Defaults of core/v1 (pkg/apis/core/v1/defaults.go, and the `+default` markers of core/v1 types.go).
//!
//! They run on client bodies and on objects read from storage, so each is idempotent, and sets only
//! what upstream sets.

mod pod;
mod pod_level;
mod service;
mod volume;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    Endpoints, Event, LimitRange, LimitRangeItem, Namespace, Node, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimSpec, ReplicationController, ResourceQuota, Secret,
};

use crate::check::{canonical_list, list};

pub use pod::{pod, pod_spec, pod_template_spec};
pub use service::{externally_accessible, service};

/// Sets a text that is absent or empty.
pub(crate) fn or(field: &mut Option<String>, default: &str) {
    if field.as_deref().is_none_or(str::is_empty) {
        *field = Some(default.to_string());
    }
}

/// Sets a number that is absent or zero.
pub(crate) fn or_number(field: &mut Option<i32>, default: i32) {
    if field.is_none_or(|v| v == 0) {
        *field = Some(default);
    }
}

/// The name label and the Active phase (`SetDefaults_Namespace`, `SetDefaults_NamespaceStatus`).
pub fn namespace(obj: &mut Namespace) {
    if let Some(name) = obj.metadata.name.clone().filter(|n| !n.is_empty()) {
        let labels = obj.metadata.labels.get_or_insert_default();
        labels.insert("kubernetes.io/metadata.name".to_string(), name);
    }
    obj.spec.get_or_insert_default();
    or(&mut obj.status.get_or_insert_default().phase, "Active");
}

/// Type Opaque; `stringData` moves into `data` (`SetDefaults_Secret`,
/// `Convert_v1_Secret_To_core_Secret`).
pub fn secret(obj: &mut Secret) {
    or(&mut obj.type_, "Opaque");
    if let Some(texts) = obj.string_data.take() {
        let data = obj.data.get_or_insert_default();
        data.extend(texts.into_iter().map(|(k, v)| (k, ByteString(v.into_bytes()))));
    }
}

/// Allocatable follows capacity; the two CIDR fields agree (`SetDefaults_NodeStatus`,
/// `Convert_v1_NodeSpec_To_core_NodeSpec`).
pub fn node(obj: &mut Node) {
    let spec = obj.spec.get_or_insert_default();
    match spec.pod_cidr.as_deref().filter(|c| !c.is_empty()) {
        Some(first) if list(&spec.pod_cidrs).first().map(String::as_str) != Some(first) => {
            spec.pod_cidrs = Some(vec![first.to_string()]);
        }
        Some(_) => {}
        None => spec.pod_cidr = list(&spec.pod_cidrs).first().cloned(),
    }
    let status = obj.status.get_or_insert_default();
    if status.allocatable.is_none() {
        status.allocatable = status.capacity.clone();
    }
    canonical_list(&mut status.capacity);
    canonical_list(&mut status.allocatable);
    // Go always writes these.
    let endpoints = status.daemon_endpoints.get_or_insert_default();
    endpoints.kubelet_endpoint.get_or_insert_default();
    status.node_info.get_or_insert_default();
}

/// Protocol TCP of every port (`SetDefaults_Endpoints`).
pub fn endpoints(obj: &mut Endpoints) {
    for subset in obj.subsets.iter_mut().flatten() {
        for port in subset.ports.iter_mut().flatten() {
            or(&mut port.protocol, "TCP");
        }
    }
}

/// Go always writes source and reporter; events have no defaults of their own.
pub fn event(obj: &mut Event) {
    obj.source.get_or_insert_default();
    obj.reporting_component.get_or_insert_default();
    obj.reporting_instance.get_or_insert_default();
}

/// One replica; selector and labels follow the template (`SetDefaults_ReplicationController`).
pub fn replication_controller(obj: &mut ReplicationController) {
    obj.status.get_or_insert_default();
    let spec = obj.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    let Some(template) = &mut spec.template else { return };
    pod_template_spec(template);
    let labels = template.metadata.as_ref().and_then(|m| m.labels.clone());
    let Some(labels) = labels.filter(|l| !l.is_empty()) else {
        return;
    };
    if spec.selector.as_ref().is_none_or(BTreeMap::is_empty) {
        spec.selector = Some(labels.clone());
    }
    if obj.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty) {
        obj.metadata.labels = Some(labels);
    }
}

/// Retain, Filesystem, Pending (`SetDefaults_PersistentVolume`).
pub fn persistent_volume(obj: &mut PersistentVolume) {
    let spec = obj.spec.get_or_insert_default();
    or(&mut spec.persistent_volume_reclaim_policy, "Retain");
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_string());
    canonical_list(&mut spec.capacity);
    volume::persistent(spec);
    or(&mut obj.status.get_or_insert_default().phase, "Pending");
}

/// Filesystem, Pending (`SetDefaults_PersistentVolumeClaim`).
pub fn persistent_volume_claim(obj: &mut PersistentVolumeClaim) {
    persistent_volume_claim_spec(obj.spec.get_or_insert_default());
    or(&mut obj.status.get_or_insert_default().phase, "Pending");
}

/// Filesystem (`SetDefaults_PersistentVolumeClaimSpec`).
pub fn persistent_volume_claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_string());
    let resources = spec.resources.get_or_insert_default();
    canonical_list(&mut resources.requests);
    canonical_list(&mut resources.limits);
}

/// Container limits: default from max, default request from default, then from min
/// (`SetDefaults_LimitRangeItem`).
pub fn limit_range(obj: &mut LimitRange) {
    for item in obj.spec.iter_mut().flat_map(|s| &mut s.limits) {
        for amounts in [
            &mut item.max,
            &mut item.min,
            &mut item.default,
            &mut item.default_request,
            &mut item.max_limit_request_ratio,
        ] {
            canonical_list(amounts);
        }
        if item.type_ == "Container" {
            container_limits(item);
        }
    }
}

fn container_limits(item: &mut LimitRangeItem) {
    let default = item.default.get_or_insert_default();
    for (name, amount) in item.max.iter().flatten() {
        default.entry(name.clone()).or_insert_with(|| amount.clone());
    }
    let request = item.default_request.get_or_insert_default();
    for (name, amount) in default.iter().chain(item.min.iter().flatten()) {
        request.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}

/// Canonical amounts (`SetDefaults_ResourceList`).
pub fn resource_quota(obj: &mut ResourceQuota) {
    canonical_list(&mut obj.spec.get_or_insert_default().hard);
    let status = obj.status.get_or_insert_default();
    canonical_list(&mut status.hard);
    canonical_list(&mut status.used);
}

#[cfg(test)]
mod tests;
