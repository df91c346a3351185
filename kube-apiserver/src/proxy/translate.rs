//! WebSocket clients of a kubelet that does not know their sub-protocol: `v5.channel.k8s.io` is carried
//! on over SPDY streams, `SPDY/3.1+portforward.k8s.io` is unwrapped.
//!
//! Upstream: `apiserver/pkg/util/proxy/{translatinghandler,streamtranslator,streamtunnel}.go`.

use std::sync::Arc;

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use streaming::remotecommand::{self, Options};
use streaming::spdy::Session;
use streaming::upgrade::{self, Protocol, UpgradedIo};
use streaming::{portforward, websocket};

use super::{Nodes, Target, Tunnel, send, set_host, unexplained};

/// Bytes kept of a kubelet's refusal.
const MAX_REFUSAL: usize = 50_000;
const STREAM_CLOSE: &str = "v5.channel.k8s.io";

/// Whether a remote command's client speaks what only this translation understands.
pub(crate) fn wants_stream_close(headers: &HeaderMap) -> bool {
    offers(headers, STREAM_CLOSE)
}

/// Whether a port-forward's client tunnels SPDY through a WebSocket.
pub(crate) fn wants_tunnel(headers: &HeaderMap) -> bool {
    offers(headers, portforward::TUNNEL_PROTOCOL)
}

fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    upgrade::requested(headers) == Some(Protocol::WebSocket)
        && websocket::offered(headers).iter().any(|name| name == protocol)
}

/// Serves a remote command's WebSocket. The client is upgraded first: what goes wrong towards the
/// kubelet is told on the status channel.
pub(crate) fn remote_command(
    nodes: Arc<Nodes>,
    target: Target,
    request: Request<Body>,
    options: Options,
) -> Result<Response<Body>> {
    let protocol = remotecommand::negotiate(&[STREAM_CLOSE.to_owned()])
        .ok_or_else(|| ApiError::internal("the WebSocket sub-protocol is unknown"))?;
    let (tunnel, open) = Tunnel::open();
    let answer = websocket::accept(request, protocol.name, move |socket| async move {
        let _open = open;
        match dial(&nodes, &target, remotecommand::STREAM_PROTOCOL).await {
            Ok(io) => remotecommand::bridge(socket, protocol, Session::client(io), options).await,
            Err(error) => remotecommand::refuse(socket, protocol, &error.to_json()).await,
        }
    });
    Ok(tunnelled(answer.map(Body::new), tunnel))
}

fn tunnelled(mut answer: Response<Body>, tunnel: Tunnel) -> Response<Body> {
    answer.extensions_mut().insert(tunnel);
    answer
}

/// Serves a tunnelled port-forward.
pub(crate) async fn port_forward(nodes: &Nodes, target: &Target, request: Request<Body>) -> Result<Response<Body>> {
    let io = dial(nodes, target, portforward::STREAM_PROTOCOL).await?;
    let (tunnel, open) = Tunnel::open();
    let answer = websocket::accept(request, portforward::TUNNEL_PROTOCOL, |socket| async move {
        let _open = open;
        portforward::tunnel(socket, io).await;
    });
    Ok(tunnelled(answer.map(Body::new), tunnel))
}

/// An SPDY connection to a kubelet.
async fn dial(nodes: &Nodes, target: &Target, protocol: &'static str) -> Result<UpgradedIo> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.uri()?;
    let headers = request.headers_mut();
    set_host(headers, target);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert("x-stream-protocol-version", HeaderValue::from_static(protocol));
    let mut response = send(nodes, target, request)
        .await
        .map_err(|why| unexplained(format!("error dialing backend: {why}")))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let body = http_body_util::Limited::new(response.into_body(), MAX_REFUSAL)
            .collect()
            .await;
        let why = body.map(|b| b.to_bytes()).unwrap_or_default();
        let why = String::from_utf8_lossy(&why).trim().to_owned();
        return Err(ApiError::internal(format!("unable to upgrade connection: {why}")));
    }
    let io = hyper::upgrade::on(&mut response)
        .await
        .map_err(|e| unexplained(format!("error dialing backend: {e}")))?;
    Ok(TokioIo::new(io))
}
