//! Defaults of storage.k8s.io/v1 (pkg/apis/storage/v1/defaults.go).

use k8s_openapi::api::storage::v1::{CSIDriver, CSIStorageCapacity, StorageClass, VolumeAttachment};

use crate::check::{canonical, list};
use crate::gates::{Gate, on};

/// Delete, Immediate (`SetDefaults_StorageClass`).
pub fn storage_class(obj: &mut StorageClass) {
    obj.reclaim_policy.get_or_insert_with(|| "Delete".to_string());
    obj.volume_binding_mode.get_or_insert_with(|| "Immediate".to_string());
}

/// Attachable, persistent, group ownership by access mode (`SetDefaults_CSIDriver`).
pub fn csi_driver(obj: &mut CSIDriver) {
    let spec = &mut obj.spec;
    spec.attach_required.get_or_insert(true);
    spec.pod_info_on_mount.get_or_insert(false);
    spec.storage_capacity.get_or_insert(false);
    spec.fs_group_policy
        .get_or_insert_with(|| "ReadWriteOnceWithFSType".to_string());
    spec.requires_republish.get_or_insert(false);
    spec.se_linux_mount.get_or_insert(false);
    if on(Gate::VolumeLimitScaling) {
        spec.prevent_pod_scheduling_if_missing.get_or_insert(false);
    }
    if list(&spec.volume_lifecycle_modes).is_empty() {
        spec.volume_lifecycle_modes = Some(vec!["Persistent".to_string()]);
    }
}

/// Go always writes the status and the source.
pub fn volume_attachment(obj: &mut VolumeAttachment) {
    obj.status.get_or_insert_default();
}

/// `CSIStorageCapacity` amounts in canonical form.
pub fn csi_storage_capacity(obj: &mut CSIStorageCapacity) {
    for amount in [&mut obj.capacity, &mut obj.maximum_volume_size].into_iter().flatten() {
        canonical(amount);
    }
}
