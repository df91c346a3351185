//! Strategies of the flowcontrol.apiserver.k8s.io group.

pub(crate) mod flow_schema;
pub(crate) mod priority_level_configuration;
