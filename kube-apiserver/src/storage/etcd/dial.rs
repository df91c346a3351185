//! Connections to the etcd members: plain or TLS with a client certificate, lazily dialled,
//! re-dialled when they break, the next member tried when one fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Longest wait for TCP and TLS.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle pings, as upstream's client: `keepaliveTime`, `keepaliveTimeout`.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// Flow-control windows. Many watches share one connection: the connection's window is so large that
/// a watch nobody reads (its stream's window full) cannot hold up the others.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// `--etcd-cafile`, `--etcd-certfile`, `--etcd-keyfile`.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsFiles {
    /// Authorities the members' certificates must chain to.
    pub(crate) ca: Option<PathBuf>,
    /// Client certificate.
    pub(crate) cert: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// One channel per member, and which one is in use.
pub(crate) struct Dialer {
    channels: Vec<Channel>,
    current: AtomicUsize,
}

/// TCP or TLS could not be established: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("dial {address}: {reason}")]
struct DialError {
    address: String,
    reason: String,
}

/// Whether a failed call never reached a server, so that repeating it is safe.
pub(super) fn never_sent(status: &Status) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
    while let Some(e) = source {
        if e.is::<DialError>() {
            return true;
        }
        source = e.source();
    }
    false
}

impl Dialer {
    /// A dialer for `--etcd-servers`. Fails when a file or URL is bad; does not connect.
    pub(crate) fn new(servers: &[String], files: &TlsFiles) -> anyhow::Result<Self> {
        anyhow::ensure!(!servers.is_empty(), "--etcd-servers must be specified");
        let mut tls = None;
        let mut channels = vec![];
        for server in servers {
            let uri: Uri = if server.contains("://") {
                server.parse()?
            } else {
                format!("http://{server}").parse()?
            };
            let host = uri.host().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
            let port = uri.port_u16().unwrap_or(2379);
            let secure = match uri.scheme_str() {
                Some("https") => {
                    if tls.is_none() {
                        tls = Some(Arc::new(tls_config(files)?));
                    }
                    tls.clone()
                }
                Some("http") | Some("unix") | None => None,
                Some(other) => anyhow::bail!("unsupported scheme {other:?} in --etcd-servers"),
            };
            channels.push(channel(host, port, secure)?);
        }
        Ok(Dialer {
            channels,
            current: AtomicUsize::new(0),
        })
    }

    /// The channel in use and its number, for [`Dialer::failed`].
    pub(super) fn channel(&self) -> (Channel, usize) {
        let at = self.current.load(Ordering::Relaxed) % self.channels.len();
        (self.channels[at].clone(), at)
    }

    /// Moves on to the next member, unless another call already did.
    pub(super) fn failed(&self, at: usize) {
        let next = (at + 1) % self.channels.len();
        let _ = self
            .current
            .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The channel is told `http`, because TLS is done by the connector.
fn channel(host: String, port: u16, tls: Option<Arc<rustls::ClientConfig>>) -> anyhow::Result<Channel> {
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let endpoint = Endpoint::from_shared(format!("http://{bracketed}:{port}"))?
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .buffer_size(4096usize)
        .user_agent("corten-apiserver")?
        .tcp_nodelay(true);
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (host, tls) = (host.clone(), tls.clone());
        async move {
            let address = format!("{host}:{port}");
            match tokio::time::timeout(DIAL_TIMEOUT, connect(&host, port, tls)).await {
                Ok(Ok(io)) => Ok(TokioIo::new(io)),
                Ok(Err(e)) => Err(DialError {
                    address,
                    reason: e.to_string(),
                }),
                Err(_) => Err(DialError {
                    address,
                    reason: "i/o timeout".into(),
                }),
            }
        }
    })))
}

trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}

async fn connect(host: &str, port: u16, tls: Option<Arc<rustls::ClientConfig>>) -> anyhow::Result<Box<dyn Io>> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let Some(config) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(host.to_owned())?;
    Ok(Box::new(
        tokio_rustls::TlsConnector::from(config).connect(name, tcp).await?,
    ))
}

fn tls_config(files: &TlsFiles) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(ca) = &files.ca {
        for cert in CertificateDer::pem_file_iter(ca).map_err(|e| anyhow::anyhow!("{}: {e}", ca.display()))? {
            roots.add(cert?)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(cert)
                .map_err(|e| anyhow::anyhow!("{}: {e}", cert.display()))?
                .collect::<Result<Vec<_>, _>>()?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| anyhow::anyhow!("{}: {e}", key.display()))?;
            builder.with_client_auth_cert(chain, key)?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
