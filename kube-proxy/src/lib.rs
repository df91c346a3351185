//! kube-proxy: makes Service addresses work on this node.
//!
//! It is: a watch on Services, EndpointSlices and the own Node; the kernel rules they ask for, as plain
//! data; a thin hand that gives the differences to `nft`.
//! It is not: a data path (the kernel's connection tracking is), an iptables or ipvs backend (those modes
//! are served by nftables, with a warning), or a reader of its own rules: at start they are replaced whole.
//!
//! The shape of the rules is what makes it fast: a few flat maps keyed by address, protocol and port, and
//! one chain per *number of endpoints*, not per Service. A change of a Service is a few map elements.
//! Start reading in `backend/nftables/render.rs` (what the kernel gets), then `model.rs`, `runner.rs`.

mod backend;
mod changes;
mod config;
mod config_file;
mod conntrack;
mod health;
mod leftovers;
mod metrics;
mod model;
mod options;
mod runner;
mod system;
mod topology;

pub use config::{Action, Config};
pub use options::{flags, options};
pub use runner::{clean_up, run};
