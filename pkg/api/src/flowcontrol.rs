//! The flowcontrol.apiserver.k8s.io group.

pub mod v1;
