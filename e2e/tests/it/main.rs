//! The behaviour suites against a cluster of our six binaries, on our own store.
//!
//! One process, one cluster: tests share it, and a test that kills something takes it alone.

mod bad_input;
mod restarts;
mod static_pods;
mod web_app;
