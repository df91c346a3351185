//! What every cluster has from its first minute: system namespaces, RBAC policy, priority classes,
//! flow control objects, the service network, the `default/kubernetes` Service, APIServices and the
//! server's own lease.
//!
//! Written by the server itself at start and then kept as they are by reconcilers; objects marked
//! as not auto-updated are left alone. Upstream: `pkg/controlplane`, `pkg/registry/rbac/rest`.

pub(crate) mod api_services;
pub(crate) mod authentication_config;
pub(crate) mod flow_control;
pub(crate) mod identity_lease;
pub(crate) mod kubernetes_service;
pub(crate) mod legacy_token_tracking;
pub(crate) mod master_leases;
pub(crate) mod namespaces;
pub(crate) mod policy;
pub(crate) mod priority_classes;
pub(crate) mod rbac;
pub(crate) mod run;
pub(crate) mod service_cidr;

#[cfg(test)]
mod tests;
