//! Defaults of volumes.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Volume, VolumeProjection};
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
    if let Some(claim) = volume.ephemeral.as_mut().and_then(|e| e.volume_claim_template.as_mut()) {
        persistent_volume_claim_spec(&mut claim.spec);
    }
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
