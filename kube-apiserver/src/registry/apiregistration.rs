//! Strategies of the apiregistration.k8s.io group.

pub(crate) mod api_service;
