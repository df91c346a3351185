//! Validation of storage.k8s.io/v1 (pkg/apis/storage/validation/validation.go).
//!
//! Not checked: an attachment's inline volume, beyond that there is one.

mod attachment;
mod class;
mod csi;

pub use attachment::{volume_attachment_create, volume_attachment_update};
pub use class::{
    storage_class_create, storage_class_update, volume_attributes_class_create, volume_attributes_class_update,
};
pub use csi::{
    csi_driver_create, csi_driver_update, csi_node_create, csi_node_update, csi_storage_capacity_create,
    csi_storage_capacity_update,
};

#[cfg(test)]
mod tests;
