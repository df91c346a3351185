//! A small HTTP client for probes and hooks: one request, one connection, certificates not checked
//! (upstream: pkg/probe/http).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest answer read, in bytes.
const MAX_BODY: usize = 10 * 1024;

/// What to ask for.
pub(super) struct Request {
    https: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(super) fn of_action(action: &HTTPGetAction, ip: &str, port: u16) -> Self {
        let host = action.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(ip);
        let path = action.path.as_deref().unwrap_or_default();
        let headers = action.http_headers.iter().flatten();
        Self {
            https: action.scheme.as_deref() == Some("HTTPS"),
            host: host.to_owned(),
            port,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
            headers: headers.map(|h| (h.name.clone(), h.value.clone())).collect(),
        }
    }

    fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", join(&self.host, self.port), self.path)
    }
}

/// Sends a request and returns the answer's status code; errors read as Go's http client writes
/// them.
pub(super) async fn send(request: &Request, limit: Duration) -> Result<u16, String> {
    let url = request.url();
    match tokio::time::timeout(limit, exchange(request)).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(format!("Get \"{url}\": {error}")),
        Err(_) => Err(format!(
            "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

async fn exchange(request: &Request) -> Result<u16, String> {
    let address = join(&request.host, request.port);
    let stream = TcpStream::connect(&address)
        .await
        .map_err(|error| format!("dial tcp {address}: {}", go_error(&error)))?;
    if !request.https {
        return over(request, &address, TokioIo::new(stream)).await;
    }
    let name = rustls::pki_types::ServerName::try_from(request.host.clone()).map_err(|error| error.to_string())?;
    let stream = connector()
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    over(request, &address, TokioIo::new(stream)).await
}

async fn over<T>(request: &Request, address: &str, io: T) -> Result<u16, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let text = |error: hyper::Error| {
        if error.is_incomplete_message() {
            "EOF".to_owned()
        } else {
            error.to_string()
        }
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let mut defaults = vec![("host", address), ("user-agent", "kube-probe/1.36"), ("accept", "*/*")];
    let mut builder = http::Request::get(&request.path);
    for (name, value) in &request.headers {
        defaults.retain(|(default, _)| !default.eq_ignore_ascii_case(name));
        if !(name.eq_ignore_ascii_case("accept") && value.is_empty()) {
            builder = builder.header(name, value);
        }
    }
    for (name, value) in defaults {
        builder = builder.header(name, value);
    }
    let built = builder
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(built).await.map_err(text)?;
    let status = response.status().as_u16();
    // The body is read so that the server may finish; how it ends does not matter.
    let _ = Limited::new(response.into_body(), MAX_BODY).collect().await;
    connection.abort();
    Ok(status)
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn join(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The text Go has for an error of connecting.
pub(super) fn go_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        std::io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    }
}

fn connector() -> &'static TlsConnector {
    static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
    CONNECTOR.get_or_init(|| {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    })
}

/// Accepts every certificate: a probe asks whether something answers, not who.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &rustls::pki_types::CertificateDer<'_>,
        _intermediates: &[rustls::pki_types::CertificateDer<'_>],
        _server_name: &rustls::pki_types::ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
