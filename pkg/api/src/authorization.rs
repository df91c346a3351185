//! The authorization.k8s.io group.

pub mod v1;
