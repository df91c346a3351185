//! Strategies of the apiextensions.k8s.io group.

pub(crate) mod custom_resource_definition;
