//! Validation of core/v1 (pkg/apis/core/validation/validation.go). Functions append to an error
//! list below, and return one at the door (`<kind>_create`, `<kind>_update`, `<kind>_status_update`).

mod claim;
mod config;
mod container;
mod endpoints;
mod env;
mod namespace;
mod node;
mod node_config;
mod options;
mod pod;
mod pod_resize;
mod pod_spec;
mod pod_status;
mod pod_update;
mod probe;
mod quota;
mod replication;
mod resources;
mod scheduling;
mod security;
mod service;
mod storage;
mod volume;
mod windows;

pub use claim::{
    persistent_volume_claim_create, persistent_volume_claim_spec, persistent_volume_claim_status_update,
    persistent_volume_claim_update,
};
pub use config::{
    config_map_create, config_map_update, secret_create, secret_update, service_account_create, service_account_update,
};
pub use endpoints::{endpoints_create, endpoints_update, non_special_ip};
pub use namespace::{namespace_create, namespace_finalize_update, namespace_status_update, namespace_update};
pub use node::{node_create, node_status_update, node_update};
pub use options::Options;
pub use pod::{binding, pod_create, pod_template_create, pod_template_spec, pod_template_update};
pub(crate) use pod::{restart_policy_among, template_metadata};
pub use pod_resize::pod_resize;
pub use pod_spec::pod_spec;
pub use pod_status::pod_status_update;
pub use pod_update::{pod_ephemeral_containers_update, pod_update};
pub use quota::{limit_range, resource_quota_create, resource_quota_status_update, resource_quota_update};
pub use replication::{
    replica_counts, replication_controller_create, replication_controller_status_update, replication_controller_update,
};
pub(crate) use resources::{container_name as container_resource_name, is_extended, is_native, overhead_amounts};
pub use scheduling::{node_selector, tolerations};
pub(crate) use security::app_armor;
pub use service::{service_create, service_status_update, service_update};
pub use storage::{persistent_volume_create, persistent_volume_status_update, persistent_volume_update};
pub(crate) use volume::csi_driver_name;
pub use volume::has_volume_source;

#[cfg(test)]
mod tests;
