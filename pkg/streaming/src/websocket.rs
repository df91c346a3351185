//! The server half of the RFC 6455 handshake, with sub-protocol choice.

use std::future::Future;
use std::time::Duration;

use futures::{Sink, SinkExt as _, Stream, StreamExt as _, pin_mut};
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::upgrade::{Body, UpgradedIo, text};

/// A WebSocket over an upgraded HTTP/1.1 connection.
pub type Socket = WebSocketStream<UpgradedIo>;

/// The sub-protocols the client offers, in its order of preference.
#[must_use]
pub fn offered(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|protocol| protocol.trim().to_owned())
        .filter(|protocol| !protocol.is_empty())
        .collect()
}

/// Answers 101 choosing `protocol` (empty: none) and hands the socket to `run`, on its own task.
pub fn accept<B, F>(
    mut request: Request<B>,
    protocol: &str,
    run: impl FnOnce(Socket) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send,
{
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let version = headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    let (Some(key), Some(b"13")) = (key, version) else {
        return text(StatusCode::BAD_REQUEST, "not a WebSocket handshake".to_owned());
    };
    let accept = derive_accept_key(key);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(io) => {
                let io = TokioIo::new(io);
                run(WebSocketStream::from_raw_socket(io, Role::Server, None).await).await;
            }
            Err(error) => tracing::debug!(%error, "client did not finish the WebSocket upgrade"),
        }
    });
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if !protocol.is_empty()
        && let Ok(protocol) = HeaderValue::from_str(protocol)
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

/// How long a client may take to answer the end.
const GOODBYE: Duration = Duration::from_secs(10);

/// Sends messages and then the end. What the client sends is not looked at, and its end is the stream's.
pub(crate) async fn send_all(socket: Socket, messages: impl Stream<Item = Message> + Send) {
    let (mut sink, mut received) = socket.split();
    let client_ends = async { while let Some(Ok(_)) = received.next().await {} };
    let sending = forward(&mut sink, messages);
    pin_mut!(client_ends, sending);
    tokio::select! {
        () = &mut client_ends => return,
        _ = &mut sending => {}
    }
    // A connection that is dropped with the client's goodbye unread may lose what it has not read yet.
    let _ = tokio::time::timeout(GOODBYE, client_ends).await;
}

/// Messages and the end behind them.
pub(crate) async fn forward<S>(sink: &mut S, messages: impl Stream<Item = Message> + Send) -> Result<(), S::Error>
where
    S: Sink<Message> + Unpin,
{
    pin_mut!(messages);
    while let Some(message) = messages.next().await {
        sink.send(message).await?;
    }
    sink.send(Message::Close(None)).await
}
