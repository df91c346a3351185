//! From an address to a byte stream: TCP, TLS, and which HTTP to speak on it.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::Tls;
use crate::error::{BoxError, Error, Result};

/// Upstream: client-go `transport` dials with 30s.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// A server address, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authority: String,
    prefix: String,
}

impl Address {
    pub(super) fn parse(server: &str) -> Result<Self> {
        let text = if server.contains("://") {
            server.to_owned()
        } else {
            format!("http://{server}")
        };
        let bad = || Error::InvalidRequest(format!("{server:?} is not a server address"));
        let uri: http::Uri = text.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let host = uri
            .host()
            .ok_or_else(bad)?
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = match (host.contains(':'), uri.port_u16()) {
            (true, _) => format!("[{host}]:{port}"),
            (false, Some(_)) => format!("{host}:{port}"),
            (false, None) => host.clone(),
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Address {
            tls,
            host,
            port,
            authority,
            prefix,
        })
    }

    /// The absolute URI of a request for a path under the server.
    pub(super) fn uri(&self, path: &str) -> Result<http::Uri> {
        self.absolute(&format!("{}{path}", self.prefix))
    }

    /// The absolute URI for a path that already has the server's prefix.
    pub(super) fn absolute(&self, path: &str) -> Result<http::Uri> {
        http::Uri::builder()
            .scheme(if self.tls { "https" } else { "http" })
            .authority(self.authority.as_str())
            .path_and_query(path)
            .build()
            .map_err(|e| Error::InvalidRequest(format!("path {path:?}: {e}")))
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Dialled {
    pub(super) io: TokioIo<Box<dyn Stream>>,
    pub(super) http2: bool,
}

pub(super) async fn dial(address: &Address, tls: Option<&Tls>) -> Result<Dialled, BoxError> {
    let connect = async {
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = tls else {
            return Ok(Dialled {
                io: TokioIo::new(Box::new(tcp) as Box<dyn Stream>),
                http2: false,
            });
        };
        let (connector, name) = tls.connector()?;
        let stream = connector.connect(name, tcp).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled {
            io: TokioIo::new(Box::new(stream) as Box<dyn Stream>),
            http2,
        })
    };
    tokio::time::timeout(DIAL_TIMEOUT, connect)
        .await
        .map_err(|_| BoxError::from("dial timed out"))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_keep_prefix_and_bracket_ipv6() {
        let a = Address::parse("https://[::1]:6443/k8s/").unwrap();
        assert_eq!(
            (a.host.as_str(), a.port, a.authority.as_str()),
            ("::1", 6443, "[::1]:6443")
        );
        assert_eq!(a.uri("/api?x=1").unwrap().to_string(), "https://[::1]:6443/k8s/api?x=1");
        let b = Address::parse("https://kubernetes").unwrap();
        assert_eq!((b.port, b.authority.as_str()), (443, "kubernetes"));
        assert!(Address::parse("ftp://x").is_err());
    }
}
