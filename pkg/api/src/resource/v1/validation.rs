//! Validation of resource.k8s.io/v1 (pkg/apis/resource/validation/validation.go).
//!
//! The rules written in Go decide; the generated declarative ones are shadowed upstream (no strategy
//! of this group enforces them). CEL expressions are checked for their length only.

mod capacity;
mod claim;
mod class;
mod device;
mod names;
mod slice;
mod status;

pub use claim::{
    resource_claim_create, resource_claim_template_create, resource_claim_template_update, resource_claim_update,
};
pub use class::{device_class_create, device_class_update};
pub use slice::{resource_slice_create, resource_slice_update};
pub use status::{allocated_devices, device_id, resource_claim_status_update};

#[cfg(test)]
mod tests;
