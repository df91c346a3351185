//! A watch to a WebSocket client: one message for each event.
//!
//! Upstream: `apiserver/pkg/endpoints/handlers/watch.go` `HandleWS`, which leaves the handshake to
//! golang.org/x/net/websocket `Server`: a client names its origin and at most one sub-protocol, whatever that is.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::ORIGIN;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::upgrade::Body;
use crate::websocket;

/// What an event is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text messages (JSON).
    Text,
    /// Binary messages (protobuf).
    Binary,
}

/// Switches to WebSocket and sends each event as one message, then the end. 403 without an origin, 400 with more than
/// one sub-protocol.
pub fn serve<B>(request: Request<B>, form: Form, events: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let mut offered = websocket::offered(request.headers());
    let refused = |code: StatusCode| {
        let mut response = Response::new(Body::default());
        *response.status_mut() = code;
        response
    };
    if !names_origin(request.headers()) {
        return refused(StatusCode::FORBIDDEN);
    }
    let protocol = offered.pop().unwrap_or_default();
    if !offered.is_empty() {
        return refused(StatusCode::BAD_REQUEST);
    }
    let messages = events.filter_map(move |event| std::future::ready(message(form, event)));
    websocket::accept(request, &protocol, move |socket| websocket::send_all(socket, messages))
}

/// An absolute URL or path, as Go's `url.ParseRequestURI` wants it; browsers say `null` for none.
fn names_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|v| v.to_str().ok()).unwrap_or_default();
    origin.starts_with('/') || origin.contains(':')
}

fn message(form: Form, event: Bytes) -> Option<Message> {
    match form {
        Form::Binary => Some(Message::Binary(event)),
        // What was encoded as JSON is text.
        Form::Text => Utf8Bytes::try_from(event).ok().map(Message::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_names_its_origin_and_at_most_one_protocol() {
        for (origin, protocols, code) in [
            ("", "", 403),
            ("null", "", 403),
            ("http://a", "one, two", 400),
            // No key of the handshake: it is refused later.
            ("http://a", "one", 400),
        ] {
            let request = Request::builder()
                .header("origin", origin)
                .header("sec-websocket-protocol", protocols)
                .body(())
                .unwrap();
            let response = serve(request, Form::Text, futures::stream::empty());
            assert_eq!(response.status().as_u16(), code, "{origin} {protocols}");
        }
    }

    #[test]
    fn an_event_is_one_message_of_its_form() {
        let event = || Bytes::from_static(b"{}\n");
        assert_eq!(message(Form::Text, event()), Some(Message::text("{}\n")));
        assert_eq!(message(Form::Binary, event()), Some(Message::Binary(event())));
    }
}
