//! etcd's v3 API over one local file: the store of a cluster that lives on one machine.
//!
//! It is: KV, Watch, Lease, Maintenance and Cluster over gRPC with etcd's semantics, errors and flags; a
//! multi-version store; one durable file per data directory (`docs/format.md`).
//! It is not: replicated (a second member is refused: use etcd), an authority on users (clients come in
//! by certificate), or, but for `snapshot convert`, readable by etcd's own offline tools.
//!
//! Way of a write: `rpc/` (wire) -> `txn` (what it means) -> `mvcc/` (revisions, index; no I/O) ->
//! `committer` (one thread, one flush for all that waited) -> `engine/` (disk) -> `watch/` (who hears).
//! A read never leaves `store::Published`, an O(1) copy of the index, but for the values.
//! Start reading in `mvcc.rs`, then `committer.rs`.

mod auto_compaction;
mod committer;
mod config;
mod engine;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod kv_hash;
mod lease;
mod metrics;
mod mvcc;
mod options;
mod rpc;
mod server;
mod snapshot;
mod store;
mod txn;
mod watch;

pub use auto_compaction::AutoCompaction;
pub use config::{Config, EngineKind, Listen, TlsFiles};
pub use options::{config, flags, from_config_file, logging, version_requested};
pub use server::{Server, run};
pub use snapshot::snapshot;

/// The etcd version whose behaviour this is; clients choose features by it.
pub const VERSION: &str = "3.6.8";
/// The cluster version told to clients.
const CLUSTER_VERSION: &str = "3.6.0";
/// The storage version told to clients.
const STORAGE_VERSION: &str = "3.6.0";
