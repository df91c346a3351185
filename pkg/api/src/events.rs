//! The events.k8s.io group. Its Event is core's Event under other names; the rules are on core's type.

pub mod v1;
