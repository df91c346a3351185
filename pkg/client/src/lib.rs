//! The Kubernetes client every Corten component uses: the only road from a component to cluster state.
//!
//! Layers, each usable alone, lowest first:
//! - [`config`], [`kubeconfig`]: where the apiserver is and how to prove who we are;
//! - [`transport`]: HTTP/2 (or 1.1) over rustls, one shared connection, credential reload;
//! - [`client::Client`]: requests in, decoded answers or [`Error`] out; [`api::Api`] adds the verbs of a kind;
//! - [`reflector`], [`store`], [`informer`]: list + watch into an indexed store, with handlers;
//! - [`workqueue`], [`controller`]: keys to reconcile, with de-duplication, back-off and panic safety;
//! - [`leader_election`], [`events`], [`discovery`]: what controllers need besides.
//!
//! It is not: a cache of the apiserver, a code generator, or a place for rules about kinds (see `pkg/rules`).
//! Objects travel as JSON; [`codec`] is the one module that knows.
//! Start reading at [`api`] for requests and at [`informer`] for caches.

pub mod api;
pub mod client;
pub mod codec;
pub mod config;
pub mod controller;
pub mod discovery;
pub mod dynamic;
pub mod error;
pub mod events;
pub mod informer;
pub mod kubeconfig;
pub mod leader_election;
pub mod metrics;
pub mod object;
pub mod params;
pub mod rate_limit;
pub mod reflector;
pub mod store;
pub mod transport;
pub mod watch;
pub mod workqueue;

#[cfg(test)]
mod fake_server;

pub use api::Api;
pub use client::Client;
pub use config::Config;
pub use dynamic::DynamicApi;
pub use error::{Error, Result};
pub use object::{Object, PartialObjectMetadata, Resource};
pub use params::{DeleteOptions, ListParams, Patch, PatchParams, Preconditions};
pub use watch::WatchEvent;
