//! SPDY/3.1 as the Kubernetes streaming stack uses it: multiplexed streams with half-close, header
//! blocks compressed with a fixed dictionary, no flow control (neither moby/spdystream nor its users
//! send WINDOW_UPDATE; one that arrives is ignored).
//!
//! `dictionary` and `frame` are pure; `session` owns a connection.

pub mod dictionary;
pub mod frame;
pub mod session;

pub use session::{Session, SpdyError, Stream};
