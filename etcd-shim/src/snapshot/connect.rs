//! A connection to one server, plain or with TLS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

/// PEM files.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// Authorities of the server's certificate.
    pub(super) ca: Option<PathBuf>,
    /// The client's certificate.
    pub(super) cert: Option<PathBuf>,
    /// Its key.
    pub(super) key: Option<PathBuf>,
}

/// Connects to `[http[s]://]host:port`; with an authority or a certificate the bare form means https, as in etcdctl.
///
/// # Errors
/// When there is nobody, or not who was expected.
pub(super) async fn connect(endpoint: &str, files: &Files, timeout: Duration) -> anyhow::Result<Channel> {
    let (scheme, address) = match endpoint.split_once("://") {
        Some((scheme, address)) => (scheme, address.trim_end_matches('/')),
        None if files.ca.is_some() || files.cert.is_some() => ("https", endpoint),
        None => ("http", endpoint),
    };
    let host = address
        .rsplit_once(':')
        .map(|(host, _)| host.trim_matches(['[', ']']).to_owned())
        .with_context(|| format!("endpoint {endpoint:?}: host and port are needed"))?;
    let tls = match scheme {
        "http" => None,
        "https" => Some(tokio_rustls::TlsConnector::from(Arc::new(tls(files)?))),
        _ => anyhow::bail!("endpoint {endpoint:?}: the scheme must be http or https"),
    };
    let address = address.to_owned();
    // The channel is told `http`, because the connector does TLS.
    let endpoint_of_connector = Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(timeout);
    let channel = endpoint_of_connector.connect_with_connector(tower::service_fn(move |_: axum::http::Uri| {
        let (address, host, tls) = (address.clone(), host.clone(), tls.clone());
        async move {
            let tcp = TcpStream::connect(&address).await?;
            let io: Box<dyn Io> = match tls {
                None => Box::new(tcp),
                Some(tls) => {
                    let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
                    Box::new(tls.connect(name, tcp).await?)
                }
            };
            Ok::<_, std::io::Error>(TokioIo::new(io))
        }
    }));
    let connected = tokio::time::timeout(timeout, channel).await;
    connected
        .with_context(|| format!("connect to {endpoint}: no answer in {timeout:?}"))?
        .with_context(|| format!("connect to {endpoint}"))
}

trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}

fn tls(files: &Files) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(ca) = &files.ca {
        let shown = || format!("--cacert {}", ca.display());
        for cert in CertificateDer::pem_file_iter(ca).with_context(shown)? {
            roots.add(cert.with_context(shown)?)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let shown = || format!("--cert {}", cert.display());
            let chain = CertificateDer::pem_file_iter(cert)
                .with_context(shown)?
                .collect::<Result<Vec<_>, _>>()
                .with_context(shown)?;
            let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("--key {}", key.display()))?;
            builder.with_client_auth_cert(chain, key)?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => anyhow::bail!("--cert and --key go together"),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
