//! The built-in API types and, per group and version, their rules: defaults and validation.
//!
//! It is not: a place for I/O, clocks or async; no rule here looks beyond the objects it is given.
//! Objects are `k8s_openapi` types (re-exported as [`k8s`]); the texts of errors are upstream's,
//! because tools and people match on them. Every rule cites the upstream symbol it follows.
//!
//! Where to start: [`meta`] (names, labels, immutability, what all kinds share), then
//! `core::v1::validation::pod`, the largest rule set. [`schema`] is the table of facts about every
//! type that drives codecs and patches.

#[cfg(test)]
pub(crate) mod cases;
pub(crate) mod check;
mod internal;

pub mod admissionregistration;
pub mod apiextensions;
pub mod apiregistration;
pub mod apps;
pub mod authorization;
pub mod autoscaling;
pub mod batch;
pub mod capabilities;
pub mod certificates;
pub mod coordination;
pub mod core;
pub mod discovery;
pub mod events;
pub mod flowcontrol;
pub mod gates;
pub mod meta;
pub mod networking;
pub mod node;
pub mod policy;
pub mod rbac;
pub mod resource;
pub mod scheduling;
pub mod schema;
pub mod storage;

pub use check::equal as semantic_equal;
pub use check::{warnings_for_cidr, warnings_for_ip};
pub use k8s_openapi as k8s;
pub use schema::schema;
