//! The scheduling framework: what a plugin is, what it sees, and the profile that runs plugins.
//!
//! A plugin is a value with some extension points filled in ([`plugin::Plugin`]); per-cycle state is
//! typed, because `PreFilter` and `PreScore` *return* the object that filters or scores.

pub(crate) mod affinity;
pub(crate) mod event;
pub(crate) mod node_info;
pub(crate) mod plugin;
pub(crate) mod pod_info;
pub(crate) mod profile;
pub(crate) mod resource;
pub(crate) mod status;
