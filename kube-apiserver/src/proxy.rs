//! The way from the apiserver to kubelets, pods and services: one HTTP/1.1 connection per request,
//! bodies streamed, upgraded bytes passed through both ways.
//!
//! [`forward`] passes a request on (and [`rewrite`]s what comes back for the browsers' proxies),
//! [`read`] fetches a log, [`translate`] carries a WebSocket client on over SPDY to a kubelet that
//! does not know its sub-protocol. Upstream: `apimachinery/pkg/util/proxy`,
//! `apiserver/pkg/util/proxy`, `pkg/kubelet/client`.

mod connect;
mod credentials;
pub(crate) mod forward;
mod headers;
mod html;
pub(crate) mod paths;
mod read;
pub(crate) mod rewrite;
pub(crate) mod translate;

use std::path::PathBuf;
use std::sync::Arc;

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::objects::{items, text};

pub(crate) use read::{probe, read};

/// Whose certificate is accepted, and who we say we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A kubelet: our client certificate, its own verified when there is an authority.
    Kubelet,
    /// A kubelet whose certificate the client told us not to verify (`insecureSkipTLSVerifyBackend`).
    KubeletUnverified,
    /// A pod, a service, or another port of a node.
    Endpoint,
}

/// Where a proxied request goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// TLS.
    pub(crate) secure: bool,
    /// See [`Trust`].
    pub(crate) trust: Trust,
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// Absolute path, percent-encoded.
    pub(crate) path: String,
    /// Encoded query, without `?`.
    pub(crate) query: String,
}

impl Target {
    fn uri(&self) -> Result<Uri> {
        let text = if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        };
        text.parse()
            .map_err(|e| ApiError::bad_request(format!("invalid proxy path: {e}")))
    }

    /// `host:port`, as in a URL.
    pub(crate) fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The whole address, for messages.
    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let query = if self.query.is_empty() { "" } else { "?" };
        format!("{scheme}://{}{}{query}{}", self.authority(), self.path, self.query)
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// `--kubelet-*` flags.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodesConfig {
    /// `--kubelet-certificate-authority`; none: the kubelet's certificate is not verified.
    pub(crate) ca: Option<PathBuf>,
    /// `--kubelet-client-certificate`.
    pub(crate) cert: Option<PathBuf>,
    /// `--kubelet-client-key`.
    pub(crate) key: Option<PathBuf>,
    /// `--kubelet-preferred-address-types`.
    pub(crate) address_types: Vec<String>,
    /// `--kubelet-port`: of nodes that do not say theirs.
    pub(crate) port: Option<u16>,
}

/// Where kubelets listen unless told.
const KUBELET_PORT: u16 = 10250;

/// How kubelets are reached.
pub(crate) struct Nodes {
    address_types: Vec<String>,
    port: u16,
    kubelets: credentials::Credentials,
    endpoint: Arc<rustls::ClientConfig>,
}

/// A node feature: its kubelet speaks all WebSocket sub-protocols itself.
const WEBSOCKETS: &str = "ExtendWebSocketsToKubelet";

impl Nodes {
    /// Reads the certificates.
    pub(crate) fn new(config: &NodesConfig) -> anyhow::Result<Self> {
        Ok(Nodes {
            address_types: config.address_types.clone(),
            port: config.port.unwrap_or(KUBELET_PORT),
            kubelets: credentials::Credentials::new(config)?,
            endpoint: Arc::new(connect::endpoint_tls()?),
        })
    }

    /// The kubelet of a Node object (upstream `NodeConnectionInfoGetter`).
    pub(crate) fn kubelet(&self, node: &Value) -> Result<Target> {
        let addresses = items(node, "/status/addresses");
        let host = self
            .address_types
            .iter()
            .find_map(|t| addresses.iter().find(|a| text(a, "/type") == t))
            .map(|a| text(a, "/address").to_owned())
            .ok_or_else(|| {
                let known: Vec<String> = addresses
                    .iter()
                    .map(|a| format!("{{{} {}}}", text(a, "/type"), text(a, "/address")))
                    .collect();
                unexplained(format!(
                    "no preferred addresses found; known addresses: [{}]",
                    known.join(" ")
                ))
            })?;
        let port = node
            .pointer("/status/daemonEndpoints/kubeletEndpoint/Port")
            .and_then(Value::as_u64)
            .and_then(|p| u16::try_from(p).ok())
            .filter(|p| *p > 0)
            .unwrap_or(self.port);
        Ok(Target {
            secure: true,
            trust: Trust::Kubelet,
            host,
            port,
            path: String::new(),
            query: String::new(),
        })
    }

    /// Whether the node's kubelet takes WebSocket clients of every kind.
    pub(crate) fn speaks_websockets(node: &Value) -> bool {
        items(node, "/status/declaredFeatures").iter().any(|f| f == WEBSOCKETS)
    }

    fn tls(&self, target: &Target) -> Option<Arc<rustls::ClientConfig>> {
        target.secure.then(|| match target.trust {
            Trust::Kubelet => self.kubelets.current(true),
            Trust::KubeletUnverified => self.kubelets.current(false),
            Trust::Endpoint => self.endpoint.clone(),
        })
    }
}

/// An extension of an answer that switched protocols: tells when the tunnel behind it has ended.
#[derive(Debug, Clone)]
pub(crate) struct Tunnel(CancellationToken);

impl Tunnel {
    /// A tunnel, open as long as the guard lives.
    pub(crate) fn open() -> (Self, DropGuard) {
        let ended = CancellationToken::new();
        (Tunnel(ended.clone()), ended.drop_guard())
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        self.0.cancelled().await;
    }
}

/// A 500 without a reason: what upstream makes of an error that is no Status.
pub(crate) fn unexplained(message: impl Into<String>) -> ApiError {
    ApiError::generic(500, "", message)
}

/// `a=b&c=d`, percent-encoded.
pub(crate) fn encode_query(pairs: &[(String, String)]) -> String {
    let escape = |s: &str| -> String {
        s.bytes()
            .map(|b| match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (b as char).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    pairs
        .iter()
        .map(|(k, v)| format!("{}={}", escape(k), escape(v)))
        .collect::<Vec<_>>()
        .join("&")
}

/// Sends one request; the connection lives as long as the answer's body. The error says what failed
/// and on which step, in Go's words.
async fn send(
    nodes: &Nodes,
    target: &Target,
    request: Request<Body>,
) -> std::result::Result<Response<hyper::body::Incoming>, String> {
    let io = connect::connect(&target.host, target.port, nodes.tls(target)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .map_err(|e| hyper_text(&e))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "proxied connection ended");
        }
    });
    sender.send_request(request).await.map_err(|e| hyper_text(&e))
}

fn hyper_text(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "EOF".to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn set_host(headers: &mut HeaderMap, target: &Target) {
    if let Ok(v) = HeaderValue::from_str(&target.authority()) {
        headers.insert(HOST, v);
    }
}

#[cfg(test)]
mod tests;
