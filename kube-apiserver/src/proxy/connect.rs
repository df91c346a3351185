//! TCP and TLS to kubelets and endpoints. Errors are texts in the words of Go's `net` and
//! `crypto/tls`: they reach people through `kubectl exec` and the proxies.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use client::transport::unjudged;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;

use super::NodesConfig;

/// Upstream `SetOldTransportDefaults` and `http.Transport`'s default.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A byte stream of either kind.
pub(super) trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}

/// Connects, with TLS when a configuration is given.
pub(super) async fn connect(host: &str, port: u16, tls: Option<Arc<ClientConfig>>) -> Result<Box<dyn Io>, String> {
    let failed = |why: String| format!("dial tcp {}: {why}", super::authority(host, port));
    let tcp = match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return Err(failed(io_text(&error))),
        Err(_) => return Err(failed("i/o timeout".to_owned())),
    };
    // Small frames must not wait for more.
    tcp.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
    let Some(config) = tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(e.to_string()))?;
    let handshake = tokio_rustls::TlsConnector::from(config).connect(name, tcp);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(tls_text(&error, host)),
        Err(_) => Err("net/http: TLS handshake timeout".to_owned()),
    }
}

fn io_text(error: &std::io::Error) -> String {
    let why = match error.kind() {
        ErrorKind::ConnectionRefused => "connect: connection refused",
        ErrorKind::HostUnreachable => "connect: no route to host",
        ErrorKind::NetworkUnreachable => "connect: network is unreachable",
        ErrorKind::TimedOut => "connect: connection timed out",
        _ => return error.to_string(),
    };
    why.to_owned()
}

fn tls_text(error: &std::io::Error, host: &str) -> String {
    use rustls::{CertificateError as Cert, Error};
    let source = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    let why = match source {
        Some(Error::InvalidCertificate(Cert::UnknownIssuer)) => "certificate signed by unknown authority".to_owned(),
        Some(Error::InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. })) => {
            "certificate has expired or is not yet valid".to_owned()
        }
        Some(Error::InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. })) => {
            if host.parse::<std::net::IpAddr>().is_ok() {
                format!("cannot validate certificate for {host} because it doesn't contain any IP SANs")
            } else {
                format!("certificate is not valid for any names, but wanted to match {host}")
            }
        }
        _ => return format!("tls: {error}"),
    };
    format!("tls: failed to verify certificate: x509: {why}")
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS for kubelets, by the flags: verified if there is an authority to verify by.
pub(super) fn kubelet_tls(config: &NodesConfig) -> anyhow::Result<ClientConfig> {
    let Some(ca) = &config.ca else {
        return unverified_kubelet_tls(config);
    };
    let mut roots = rustls::RootCertStore::empty();
    let certs = CertificateDer::pem_file_iter(ca)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| anyhow::anyhow!("--kubelet-certificate-authority {}: {e}", ca.display()))?;
    for cert in certs {
        roots.add(cert)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match identity(config)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    })
}

/// TLS for kubelets whose certificate is not looked at.
pub(super) fn unverified_kubelet_tls(config: &NodesConfig) -> anyhow::Result<ClientConfig> {
    Ok(unjudged::client_config(identity(config)?)?)
}

/// TLS for pods and services: nobody vouches for their certificates, and they see none of ours.
pub(super) fn endpoint_tls() -> anyhow::Result<ClientConfig> {
    Ok(unjudged::client_config(None)?)
}

fn identity(config: &NodesConfig) -> anyhow::Result<Option<Identity>> {
    let (Some(cert), Some(key)) = (&config.cert, &config.key) else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| anyhow::anyhow!("--kubelet-client-certificate {}: {e}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| anyhow::anyhow!("--kubelet-client-key {}: {e}", key.display()))?;
    Ok(Some((chain, key)))
}
