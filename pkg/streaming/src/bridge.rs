//! Takes a client's upgrade request and a CRI streaming URL, and connects the two.
//!
//! | client | carried on as |
//! |---|---|
//! | SPDY/3.1 (exec, attach, port-forward) | the same bytes |
//! | WebSocket v5, v4, older (exec, attach) | SPDY/3.1, remote command v4 |
//! | WebSocket `SPDY/3.1+portforward.k8s.io` | SPDY/3.1: the tunnelled bytes |
//! | WebSocket v4 port-forward | the same bytes |

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};

use crate::remotecommand::{self, Options};
use crate::spdy::Session;
use crate::upgrade::{self, Body, Dialed, Protocol, UpgradedIo, dial_failed, text};
use crate::{portforward, websocket};

/// What the streaming URL serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Exec or attach, with the streams that were asked of the runtime.
    RemoteCommand(Options),
    /// Port-forward.
    PortForward,
}

/// Serves `request` from the CRI streaming server at `url`. The answer is a 101 whose connection is
/// then served by a task of its own, or a refusal.
pub async fn serve<B>(request: Request<B>, url: &str, kind: Kind) -> Response<Body> {
    match (upgrade::requested(request.headers()), kind) {
        (None, _) => text(StatusCode::BAD_REQUEST, "Upgrade request required".to_owned()),
        (Some(Protocol::Spdy), _) => upgrade::proxy(request, url).await,
        (Some(Protocol::WebSocket), Kind::PortForward) => {
            let offered = websocket::offered(request.headers());
            if !offered.iter().any(|name| name == portforward::TUNNEL_PROTOCOL) {
                return upgrade::proxy(request, url).await;
            }
            match dial_spdy(url, portforward::STREAM_PROTOCOL).await {
                Err(refusal) => refusal,
                Ok(io) => websocket::accept(request, portforward::TUNNEL_PROTOCOL, |socket| {
                    portforward::tunnel(socket, io)
                }),
            }
        }
        (Some(Protocol::WebSocket), Kind::RemoteCommand(options)) => {
            let offered = websocket::offered(request.headers());
            let Some(protocol) = remotecommand::negotiate(&offered) else {
                let message = format!(
                    "requested protocol(s) are not supported: {offered:?}; supports {:?}",
                    remotecommand::PROTOCOLS
                );
                return text(StatusCode::FORBIDDEN, message);
            };
            match dial_spdy(url, remotecommand::STREAM_PROTOCOL).await {
                Err(refusal) => refusal,
                Ok(io) => websocket::accept(request, protocol.name, move |socket| async move {
                    remotecommand::bridge(socket, protocol, Session::client(io), options).await;
                }),
            }
        }
    }
}

async fn dial_spdy(url: &str, protocol: &'static str) -> Result<UpgradedIo, Response<Body>> {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert("x-stream-protocol-version", HeaderValue::from_static(protocol));
    match upgrade::dial(url, Method::POST, headers).await {
        Ok(Dialed::Switched(_, io)) => Ok(io),
        Ok(Dialed::Refused(refusal)) => Err(refusal),
        Err(error) => Err(dial_failed(&error)),
    }
}
