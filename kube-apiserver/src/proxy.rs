//! The way from the apiserver to kubelets, pods and services: one HTTP/1.1 connection per request,
//! upgraded bytes passed through both ways.
//!
//! The kubelet is authenticated by `--kubelet-certificate-authority` when given, and gets our
//! `--kubelet-client-certificate`. exec, attach and port-forward are not understood here: whatever
//! the client negotiates (SPDY/3.1, WebSocket) is spoken by the kubelet.

mod connect;

use std::path::PathBuf;
use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::objects::{items, text};

/// Where a proxied request goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// TLS.
    pub(crate) secure: bool,
    /// The kubelet's trust and client certificate apply; else none do.
    pub(crate) kubelet: bool,
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// Absolute path.
    pub(crate) path: String,
    /// Encoded query, without `?`.
    pub(crate) query: String,
}

impl Target {
    /// A pod or service endpoint.
    pub(crate) fn plain(secure: bool, host: String, port: u16, path: String, query: &str) -> Self {
        Target {
            secure,
            kubelet: false,
            host,
            port,
            path,
            query: query.to_owned(),
        }
    }

    fn uri(&self) -> Result<Uri> {
        let text = if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        };
        text.parse()
            .map_err(|e| ApiError::bad_request(format!("invalid proxy path: {e}")))
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
}

/// How kubelets are reached.
pub(crate) struct Nodes {
    address_types: Vec<String>,
    kubelet_tls: Arc<rustls::ClientConfig>,
    plain_tls: Arc<rustls::ClientConfig>,
}

impl Nodes {
    /// Reads the certificates.
    pub(crate) fn new(config: &NodesConfig) -> anyhow::Result<Self> {
        Ok(Nodes {
            address_types: config.address_types.clone(),
            kubelet_tls: Arc::new(connect::kubelet_tls(config)?),
            plain_tls: Arc::new(connect::unverified_tls(None)?),
        })
    }

    /// The kubelet of a Node object.
    pub(crate) fn kubelet(&self, node: &Value) -> Result<Target> {
        let addresses = items(node, "/status/addresses");
        let host = self
            .address_types
            .iter()
            .find_map(|t| {
                addresses
                    .iter()
                    .find(|a| text(a, "/type") == t)
                    .map(|a| text(a, "/address").to_owned())
            })
            .ok_or_else(|| {
                let wanted: Vec<String> = self.address_types.clone();
                ApiError::internal(format!(
                    "no preferred addresses found; known addresses: {addresses:?}; wanted {wanted:?}"
                ))
            })?;
        let port = node
            .pointer("/status/daemonEndpoints/kubeletEndpoint/Port")
            .and_then(Value::as_u64)
            .unwrap_or(10250);
        Ok(Target {
            secure: true,
            kubelet: true,
            host,
            port: port as u16,
            path: String::new(),
            query: String::new(),
        })
    }
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

fn failed(target: &Target, e: impl std::fmt::Display) -> ApiError {
    let scheme = if target.secure { "https" } else { "http" };
    ApiError::internal(format!(
        "error dialing backend: {scheme}://{}:{}: {e}",
        target.host, target.port
    ))
}

/// Sends one request; the connection lives as long as the answer's body.
async fn send(nodes: &Nodes, target: &Target, request: Request<Body>) -> Result<Response<hyper::body::Incoming>> {
    let tls = match (target.secure, target.kubelet) {
        (false, _) => None,
        (true, true) => Some(nodes.kubelet_tls.clone()),
        (true, false) => Some(nodes.plain_tls.clone()),
    };
    let io = connect::connect(&target.host, target.port, tls)
        .await
        .map_err(|e| failed(target, e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
        .await
        .map_err(|e| failed(target, e))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "proxied connection ended");
        }
    });
    sender.send_request(request).await.map_err(|e| failed(target, e))
}

/// GETs a kubelet stream (logs) and passes it on as text.
pub(crate) async fn read(nodes: &Nodes, target: &Target, resource: &str, name: &str) -> Result<Response<Body>> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = target.uri()?;
    set_host(request.headers_mut(), target);
    let response = send(nodes, target, request).await?;
    let status = response.status();
    if !status.is_success() {
        let body = response
            .into_body()
            .collect()
            .await
            .map(|b| b.to_bytes())
            .unwrap_or_default();
        let why = String::from_utf8_lossy(&body).trim().to_owned();
        return Err(match status {
            StatusCode::BAD_REQUEST => ApiError::bad_request(why),
            StatusCode::NOT_FOUND => {
                let mut e = ApiError::not_found(&GroupResource::new("", resource.to_owned()), name);
                e.message = format!("the server could not find the requested resource ({why})");
                e
            }
            _ => ApiError::internal(format!(
                "an error on the server ({why:?}) has prevented the request from succeeding"
            )),
        });
    }
    let mut out = Response::new(Body::new(response.into_body()));
    out.headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(out)
}

fn set_host(headers: &mut HeaderMap, target: &Target) {
    let host = if target.host.contains(':') {
        format!("[{}]:{}", target.host, target.port)
    } else {
        format!("{}:{}", target.host, target.port)
    };
    if let Ok(v) = HeaderValue::from_str(&host) {
        headers.insert(HOST, v);
    }
}

/// Headers that belong to one hop, and credentials that are for us alone.
const NOT_FORWARDED: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "impersonate-user",
];

/// Forwards a request with its method and body; an upgrade becomes a tunnel.
pub(crate) async fn forward(nodes: &Nodes, target: Target, mut request: Request<Body>) -> Result<Response<Body>> {
    let upgrade = request.headers().get(UPGRADE).cloned();
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));

    let (parts, body) = request.into_parts();
    let mut onward = Request::new(body);
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = target.uri()?;
    for (name, value) in &parts.headers {
        if !NOT_FORWARDED.contains(&name.as_str()) && name != HOST && name != CONNECTION {
            onward.headers_mut().append(name.clone(), value.clone());
        }
    }
    if upgrade.is_some() {
        onward
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    set_host(onward.headers_mut(), &target);

    let mut response = send(nodes, &target, onward).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(CONNECTION);
        parts.headers.remove("transfer-encoding");
        return Ok(Response::from_parts(parts, Body::new(body)));
    }
    let Some(client) = client else {
        return Err(failed(&target, "unexpected upgrade"));
    };
    let backend = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        match tokio::try_join!(client, backend) {
            Ok((client, backend)) => {
                let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
                // Either side may hang up at any time: how a session ends is not our error.
                if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut backend).await {
                    tracing::debug!(%error, "tunnel ended");
                }
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    let mut out = Response::new(Body::empty());
    *out.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *out.headers_mut() = response.headers().clone();
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_preferred_address_type_wins() {
        let config = NodesConfig {
            address_types: vec!["InternalIP".into(), "Hostname".into()],
            ..Default::default()
        };
        let nodes = Nodes::new(&config).unwrap();
        let node = json!({"status": {
            "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "10.0.0.9"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}}}});
        let t = nodes.kubelet(&node).unwrap();
        assert_eq!((t.host.as_str(), t.port, t.secure), ("10.0.0.9", 10251, true));
        assert!(nodes.kubelet(&json!({})).is_err());
    }

    #[test]
    fn queries_are_escaped() {
        let q = encode_query(&[("command".into(), "sh".into()), ("command".into(), "-c a&b".into())]);
        assert_eq!(q, "command=sh&command=-c%20a%26b");
    }
}
