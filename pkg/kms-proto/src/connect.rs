//! Turns the endpoint of a plugin into a lazily connecting channel.

use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Why an endpoint cannot be used; the texts are upstream's (`kms/pkg/util` `ParseEndpoint`).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is none.
    #[error("remote KMS provider can't use empty string as endpoint")]
    Empty,
    /// It is no socket.
    #[error("unsupported scheme {0:?} for remote KMS provider")]
    Scheme(String),
}

/// The socket could not be connected.
#[derive(Debug, thiserror::Error)]
#[error("failed to create connection to unix socket")]
struct DialError(#[source] std::io::Error);

/// A channel to the plugin's socket at `endpoint` (`unix:///run/kms.sock`, `unix:///@name` for an abstract one).
/// Nothing is dialled before the first call, and a broken connection is dialled again by the next one.
///
/// # Errors
/// For an endpoint that is no socket.
pub fn connect(endpoint: &str) -> Result<Channel, ConnectError> {
    let path = socket_path(endpoint)?;
    Ok(
        Endpoint::from_static("http://localhost").connect_with_connector_lazy(tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new).map_err(DialError) }
        })),
    )
}

/// Whether a call failed because nobody listens, so that the plugin has not seen it.
pub fn never_sent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<DialError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn socket_path(endpoint: &str) -> Result<PathBuf, ConnectError> {
    if endpoint.is_empty() {
        return Err(ConnectError::Empty);
    }
    let (scheme, rest) = endpoint.split_once(':').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("unix") {
        return Err(ConnectError::Scheme(scheme.to_owned()));
    }
    let path = match rest.strip_prefix("//") {
        // Behind an authority, which is not looked at.
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => rest,
    };
    // How tokio spells an abstract name, which is no file.
    let path = match path.strip_prefix("/@") {
        Some(name) => format!("\0{name}"),
        None => path.to_owned(),
    };
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn endpoint_forms_name_a_socket_path() {
        for (endpoint, path) in [
            ("unix:///run/a.sock", "/run/a.sock"),
            ("unix:/run/a.sock", "/run/a.sock"),
            ("unix:///@a", "\0a"),
        ] {
            assert_eq!(socket_path(endpoint).unwrap(), PathBuf::from(path));
        }
        assert_eq!(socket_path(""), Err(ConnectError::Empty));
        for (endpoint, scheme) in [("tcp://127.0.0.1:1", "tcp"), ("/run/a.sock", "")] {
            assert_eq!(socket_path(endpoint), Err(ConnectError::Scheme(scheme.to_owned())));
        }
    }

    #[tokio::test]
    async fn a_call_without_a_listener_is_known_not_to_have_been_sent() {
        let channel = connect("unix:///nowhere/to/be/found.sock").unwrap();
        let mut client = crate::v2::key_management_service_client::KeyManagementServiceClient::new(channel);
        let status = client.status(crate::v2::StatusRequest {}).await.unwrap_err();
        assert!(never_sent(&status), "{status:?}");
        assert!(!never_sent(&Status::unavailable("said by the plugin")));
    }
}
