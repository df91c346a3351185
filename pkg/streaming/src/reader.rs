//! One stream of bytes to a WebSocket client, for browsers that cannot read a body piece by piece.
//!
//! Upstream: k8s.io/streaming `pkg/httpstream/wsstream/stream.go` (`NewReader`, `messageCopy`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::Message;

use crate::upgrade::{Body, text};
use crate::websocket;

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
    websocket::accept(request, protocol, move |socket| {
        websocket::send_all(socket, messages(encoding, stream))
    })
}

/// An empty message, then each piece up to the first error.
fn messages<E: Send>(
    encoding: Encoding,
    stream: impl Stream<Item = Result<Bytes, E>> + Send,
) -> impl Stream<Item = Message> + Send {
    let pieces = stream
        .take_while(|piece| std::future::ready(piece.is_ok()))
        .filter_map(|piece| std::future::ready(piece.ok().filter(|bytes| !bytes.is_empty())));
    futures::stream::iter([Bytes::new()])
        .chain(pieces)
        .map(move |bytes| match encoding {
            Encoding::Binary => Message::Binary(bytes),
            Encoding::Base64 => Message::Text(STANDARD.encode(bytes).into()),
        })
}

#[cfg(test)]
mod tests {
    use futures::SinkExt as _;

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
            websocket::forward(&mut collect, messages(encoding, pieces()))
                .await
                .unwrap();
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
