//! Defaults of volumes.

use k8s_openapi::api::core::v1::{
    AzureDiskVolumeSource, EmptyDirVolumeSource, PersistentVolumeSpec, Volume, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::pod::default_pull_policy;
use super::{or, persistent_volume_claim_spec};
use crate::check::{canonical, text};

/// Upstream's mode of projected files, 0644.
const FILE_MODE: i32 = 0o644;

/// An empty directory when nothing is named; modes, host path type, token lifetime
/// (`SetDefaults_Volume` and its sources).
pub(super) fn volume(volume: &mut Volume) {
    if !crate::core::v1::validation::has_volume_source(volume) {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(limit) = volume.empty_dir.as_mut().and_then(|e| e.size_limit.as_mut()) {
        canonical(limit);
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(config_map) = &mut volume.config_map {
        config_map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        for file in downward.items.iter_mut().flatten() {
            field_ref(&mut file.field_ref);
            divisor(&mut file.resource_field_ref);
        }
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        projected.sources.iter_mut().flatten().for_each(projection);
    }
    if let Some(host_path) = &mut volume.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(image) = &mut volume.image {
        let policy = default_pull_policy(text(&image.reference));
        or(&mut image.pull_policy, policy);
    }
    if let Some(iscsi) = &mut volume.iscsi {
        or(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        ceph(&mut rbd.pool, &mut rbd.user, &mut rbd.keyring);
    }
    if let Some(io) = &mut volume.scale_io {
        scale_io(&mut io.storage_mode, &mut io.fs_type);
    }
    volume.azure_disk.iter_mut().for_each(azure_disk);
    if let Some(claim) = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut()) {
        claim.metadata.get_or_insert_default();
        persistent_volume_claim_spec(&mut claim.spec);
    }
}

/// The sources of a PersistentVolume: as in a pod (`SetDefaults_PersistentVolume` and its sources).
pub(super) fn persistent(spec: &mut PersistentVolumeSpec) {
    if let Some(host_path) = &mut spec.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(iscsi) = &mut spec.iscsi {
        or(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut spec.rbd {
        ceph(&mut rbd.pool, &mut rbd.user, &mut rbd.keyring);
    }
    if let Some(io) = &mut spec.scale_io {
        scale_io(&mut io.storage_mode, &mut io.fs_type);
    }
    spec.azure_disk.iter_mut().for_each(azure_disk);
}

fn ceph(pool: &mut Option<String>, user: &mut Option<String>, keyring: &mut Option<String>) {
    or(pool, "rbd");
    or(user, "admin");
    or(keyring, "/etc/ceph/keyring");
}

fn scale_io(mode: &mut Option<String>, fs_type: &mut Option<String>) {
    or(mode, "ThinProvisioned");
    or(fs_type, "xfs");
}

fn azure_disk(disk: &mut AzureDiskVolumeSource) {
    disk.caching_mode.get_or_insert_with(|| "ReadWrite".to_string());
    disk.fs_type.get_or_insert_with(|| "ext4".to_string());
    disk.read_only.get_or_insert(false);
    disk.kind.get_or_insert_with(|| "Shared".to_string());
}

fn projection(source: &mut VolumeProjection) {
    if let Some(token) = &mut source.service_account_token {
        token.expiration_seconds.get_or_insert(3600);
    }
    for file in source
        .downward_api
        .iter_mut()
        .flat_map(|d| d.items.iter_mut().flatten())
    {
        field_ref(&mut file.field_ref);
        divisor(&mut file.resource_field_ref);
    }
}

fn field_ref(field: &mut Option<k8s_openapi::api::core::v1::ObjectFieldSelector>) {
    if let Some(field) = field {
        or(&mut field.api_version, "v1");
    }
}

fn divisor(resource: &mut Option<k8s_openapi::api::core::v1::ResourceFieldSelector>) {
    if let Some(resource) = resource {
        resource.divisor.get_or_insert_with(|| RawQuantity("0".to_string()));
    }
}
