//! What every Corten binary has besides its own work: flags, logging, signals, version, secure
//! serving, health endpoints and metrics.
//!
//! It is not a framework: each module stands alone, and a binary calls what it needs from `main`.
//! It holds no Kubernetes logic and talks to the API server only for delegated authentication and
//! authorization.
//!
//! Start reading at [`flags`]; a `main` is the same five lines everywhere:
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! # const FLAGS: &str = "";
//! let table = component::flags::Table::new("kube-scheduler", FLAGS);
//! let values = component::flags::parse_or_exit(&table); // prints errors, help, version
//! component::logging::init(&component::logging::Config::from_values(&values));
//! values.warn_unused(); // what was set but does nothing
//! let shutdown = component::signals::shutdown_token(); // cancelled by SIGTERM
//! // then: typed options from the values, checked, and `run(config, shutdown)`
//! # Ok(())
//! # }
//! ```

mod answers;
pub mod authn;
pub mod authz;
pub mod config_file;
pub mod debug;
pub mod features;
pub mod flags;
pub mod guard;
pub mod health;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod sd_notify;
pub mod secure_serving;
pub mod serving;
pub mod signals;
pub mod version;
pub mod zpages;
