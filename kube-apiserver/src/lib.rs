//! kube-apiserver: the HTTP API of the cluster over etcd.
//!
//! It is the only component that talks to etcd; everything else lists, watches and writes here.
//! Start at `chain.rs` (the order of the filters), then `endpoints/` (one file per verb),
//! `registry/store.rs` (what every kind has in common), `registry/strategy.rs` (what one kind may
//! say) and `storage.rs` (bytes and revisions). `resources.rs` is the table of kinds.

pub(crate) mod admission;
pub(crate) mod authn;
pub(crate) mod authz;
pub(crate) mod bootstrap;
pub(crate) mod chain;
pub(crate) mod config_file;
pub(crate) mod documents;
pub(crate) mod draining;
pub(crate) mod endpoints;
pub(crate) mod metrics;
pub(crate) mod objects;
pub mod options;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod resources;
pub mod server;
pub(crate) mod services;
pub(crate) mod storage;
pub(crate) mod watchcache;
