//! The behaviour suites against a cluster of our six binaries, on our own store.
//!
//! One process, one cluster: tests share it, and a test that kills something takes it alone.

use e2e::cluster::{self, Cluster, Sharing};

mod bad_input;
mod kubectl;
mod pods;
mod restarts;
mod static_pods;
mod web_app;

fn shared() -> (&'static Cluster, Sharing<'static>) {
    cluster::shared(&[])
}

fn alone() -> (&'static Cluster, Sharing<'static>) {
    cluster::alone(&[])
}
