//! The Container Runtime Interface, version 1, as tonic code, and a connector for its Unix socket.
//!
//! It is: the messages, clients and server traits generated from `proto/runtime/v1/api.proto` (the
//! part of upstream's file that the kubelet uses, with upstream's field numbers), plus [`connect`].
//! It is not: a runtime abstraction. What the kubelet asks of a runtime is the trait `Runtime` in
//! the kubelet; nothing else in the project should need this crate.
//!
//! Start at [`connect`], then [`v1::runtime_service_client::RuntimeServiceClient`].

mod connect;

pub use connect::{ConnectError, connect};

/// The generated messages and services of the package `runtime.v1`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("runtime.v1");
}

/// Largest message accepted from or sent to the runtime, in bytes (upstream: internal/cri/remote
/// `maxMsgSize`).
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
