//! The key management service of Kubernetes, version 2, as tonic code, and a connector for its Unix socket.
//!
//! It is: the messages, client and server trait generated from `proto/kms/v2.proto`, the stored message of
//! `proto/stored.proto` (both with upstream's field numbers), and [`connect`]. It is not: the use of keys, which is
//! kube-apiserver's (`storage/encryption/kms`).
//!
//! Start at [`connect`], then [`v2::key_management_service_client::KeyManagementServiceClient`].

mod connect;

pub use connect::{ConnectError, connect, never_sent};

/// The generated messages and services of the package `v2`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v2 {
    tonic::include_proto!("v2");
}

/// What is stored of an object that a plugin's key protects.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod stored {
    tonic::include_proto!("stored");
}
