//! Turns an endpoint as given to `--container-runtime-endpoint` into a lazily connecting channel.

use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint is neither `unix:///path` nor an absolute path.
    #[error("protocol of endpoint {0:?} is not supported: want unix:///path")]
    Unsupported(String),
}

/// A channel to the CRI socket at `endpoint` (`unix:///run/x.sock`, `unix:/run/x.sock` or a bare
/// absolute path). Nothing is dialled before the first call, and a broken connection is dialled
/// again by the next one, so the kubelet may start before the runtime and outlive its restarts.
///
/// # Errors
/// Only for an endpoint of another scheme.
pub fn connect(endpoint: &str) -> Result<Channel, ConnectError> {
    let path = socket_path(endpoint)?;
    Ok(
        Endpoint::from_static("http://cri.localhost").connect_with_connector_lazy(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        })),
    )
}

fn socket_path(endpoint: &str) -> Result<PathBuf, ConnectError> {
    let path = endpoint
        .strip_prefix("unix://")
        .or_else(|| endpoint.strip_prefix("unix:"))
        .unwrap_or(endpoint);
    if path.starts_with('/') {
        Ok(PathBuf::from(path))
    } else {
        Err(ConnectError::Unsupported(endpoint.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn endpoint_forms_name_a_socket_path() {
        for endpoint in ["unix:///run/a.sock", "unix:/run/a.sock", "/run/a.sock"] {
            assert_eq!(socket_path(endpoint).unwrap(), PathBuf::from("/run/a.sock"));
        }
        assert!(socket_path("tcp://127.0.0.1:1").is_err());
    }
}
