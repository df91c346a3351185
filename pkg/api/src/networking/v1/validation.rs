//! Validation of networking.k8s.io/v1 (pkg/apis/networking/validation/validation.go).

mod address;
mod class;
mod ingress;
mod policy;

pub use address::{
    ip_address_create, ip_address_update, service_cidr_create, service_cidr_status_update, service_cidr_update,
};
pub use class::{ingress_class_create, ingress_class_update};
pub use ingress::{ingress_create, ingress_status_update, ingress_update};
pub use policy::{network_policy_create, network_policy_update};

#[cfg(test)]
mod tests;
