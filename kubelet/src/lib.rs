//! kubelet: runs the pods bound to one node.
//!
//! It is: pod sources ([`config`], apiserver and files) into one loop ([`sync_loop`]), a task per pod
//! (`pods::worker`), a plan of what its containers need (`runtime::plan`, pure) and its execution over
//! the CRI (`runtime::execute`), and the way back: the runtime's events (`pleg`), the status
//! (`status`, the only writer of pod status), the node's own object (`node`), an HTTPS endpoint for
//! logs and exec (`server`).
//! It is not: a container runtime, a network (CNI belongs to the runtime), or a scheduler.
//!
//! Start at [`run()`], then `sync_loop`, then `pods::worker`.

mod admission;
mod config;
mod downward;
mod node;
pub mod options;
mod pleg;
mod pods;
mod probes;
mod resources;
mod run;
pub mod runtime;
mod server;
mod shared;
mod status;
mod sync_loop;
mod volumes;

pub use run::{run, run_with};
