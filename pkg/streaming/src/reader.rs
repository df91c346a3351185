//! One stream of bytes to a WebSocket client, for browsers that cannot read a body piece by piece.
//!
//! Upstream: k8s.io/streaming `pkg/httpstream/wsstream/stream.go` (`NewReader`, `messageCopy`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _, pin_mut};
use http::{Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::Message;

use crate::upgrade::{Body, text};
use crate::websocket::{self, Socket};

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Binary,
    /// Text messages for clients that know no others.
    Base64,
}

const PROTOCOLS: [(&str, Encoding); 2] = [
    ("binary.k8s.io", Encoding::Binary),
    ("base64.binary.k8s.io", Encoding::Base64),
];

/// How long a client may take to answer the end.
const GOODBYE: Duration = Duration::from_secs(10);

/// Switches to WebSocket and sends the stream: an empty message first, then each piece as one message,
/// then the end. What the client sends is not looked at, and its end is the stream's. 403 when the
/// client offers only sub-protocols that are none of ours.
pub fn serve<B, E>(request: Request<B>, stream: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Response<Body>
where
    E: Send + 'static,
{
    let offered = websocket::offered(request.headers());
    let chosen = match offered.is_empty() {
        true => Some(("", Encoding::Binary)),
        false => offered
            .iter()
            .find_map(|name| PROTOCOLS.into_iter().find(|(known, _)| known == name)),
    };
    let Some((protocol, encoding)) = chosen else {
        return text(StatusCode::FORBIDDEN, "unknown WebSocket sub-protocol".to_owned());
    };
    websocket::accept(request, protocol, move |socket| copy(socket, encoding, stream))
}

async fn copy<E>(socket: Socket, encoding: Encoding, stream: impl Stream<Item = Result<Bytes, E>> + Send) {
    let (mut sink, mut messages) = socket.split();
    let client_ends = async { while let Some(Ok(_)) = messages.next().await {} };
    let sending = send(&mut sink, encoding, stream);
    pin_mut!(client_ends, sending);
    tokio::select! {
        () = &mut client_ends => return,
        _ = &mut sending => {}
    }
    // A connection that is dropped with the client's goodbye unread may lose what it has not read yet.
    let _ = tokio::time::timeout(GOODBYE, client_ends).await;
}

async fn send<S, E>(
    sink: &mut S,
    encoding: Encoding,
    stream: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<(), S::Error>
where
    S: Sink<Message> + Unpin,
{
    let message = |bytes: Bytes| match encoding {
        Encoding::Binary => Message::Binary(bytes),
        Encoding::Base64 => Message::Text(STANDARD.encode(bytes).into()),
    };
    sink.send(message(Bytes::new())).await?;
    pin_mut!(stream);
    while let Some(Ok(bytes)) = stream.next().await {
        if !bytes.is_empty() {
            sink.send(message(bytes)).await?;
        }
    }
    sink.send(Message::Close(None)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_become_messages_between_an_empty_one_and_the_end() {
        let pieces = || {
            futures::stream::iter([
                Ok::<_, ()>(Bytes::from("a")),
                Ok(Bytes::new()),
                Ok("bc".into()),
                Err(()),
            ])
        };
        let sent = async |encoding| {
            let mut all = vec![];
            let mut collect = futures::sink::drain().with(|message: Message| {
                all.push(message.clone());
                std::future::ready(Ok::<_, std::convert::Infallible>(message))
            });
            send(&mut collect, encoding, pieces()).await.unwrap();
            drop(collect);
            all
        };
        let binary = |text: &'static str| Message::Binary(text.into());
        assert_eq!(
            sent(Encoding::Binary).await,
            [binary(""), binary("a"), binary("bc"), Message::Close(None)]
        );
        assert_eq!(
            sent(Encoding::Base64).await,
            ["", "YQ==", "YmM="]
                .map(Message::text)
                .into_iter()
                .chain([Message::Close(None)])
                .collect::<Vec<_>>()
        );
    }
}
