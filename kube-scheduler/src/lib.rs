//! kube-scheduler: finds a node for every pod that has none, and binds it.
//!
//! It is not a controller of anything else, and it is not the kubelet's admission: it believes its
//! cache and the API server corrects it. All state comes from watches; a restart loses nothing.
//!
//! Start reading at [`scheduler`] (the driver), then [`schedule_one`] (one pod, one snapshot, pure),
//! `plugins.rs` (the table of rules), `queue.rs` (who is next), `cache.rs` (assume, forget, snapshot),
//! `event_handlers.rs` (watches in). `framework/plugin.rs` has the contract of every extension point.

mod cache;
mod configuration;
mod event_handlers;
mod framework;
mod metrics;
pub mod options;
mod plugins;
mod pod_status;
mod queue;
mod run;
mod schedule_one;
mod scheduler;
#[cfg(test)]
mod testing;

pub use options::{Config, Options};
pub use run::run;
