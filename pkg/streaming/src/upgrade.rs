//! HTTP/1.1 upgrades: which one a request asks for, dialling one, and joining two of them.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Body of every answer made here.
pub type Body = Full<Bytes>;
/// The bytes of a connection after its upgrade.
pub type UpgradedIo = TokioIo<Upgraded>;

/// The largest refusal body kept, in bytes.
const MAX_REFUSAL: usize = 64 * 1024;

/// A protocol a client can ask to switch to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 6455.
    WebSocket,
    /// `SPDY/3.1`.
    Spdy,
}

/// The upgrade that `headers` ask for.
#[must_use]
pub fn requested(headers: &HeaderMap) -> Option<Protocol> {
    let wants = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(UPGRADE)?.to_str().ok()?;
    if !wants {
        None
    } else if protocol.eq_ignore_ascii_case("websocket") {
        Some(Protocol::WebSocket)
    } else if protocol.eq_ignore_ascii_case("spdy/3.1") {
        Some(Protocol::Spdy)
    } else {
        None
    }
}

/// Why an upstream could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The streaming URL is not `http://host:port/...`.
    #[error("unusable streaming URL {0:?}")]
    Url(String),
    /// TCP.
    #[error("cannot connect to the streaming server")]
    Connect(#[source] std::io::Error),
    /// HTTP.
    #[error("the streaming server did not answer the upgrade")]
    Http(#[source] hyper::Error),
}

/// What the upstream made of an upgrade request.
pub enum Dialed {
    /// 101, with the answer's headers and the connection.
    Switched(HeaderMap, UpgradedIo),
    /// Any other answer, to be handed to the client.
    Refused(Response<Body>),
}

/// Sends an upgrade request with `method` and `headers` to `url` (plain http: CRI streaming servers
/// listen on loopback).
///
/// # Errors
/// [`DialError`]; an answer that is not 101 is no error.
pub async fn dial(url: &str, method: Method, headers: HeaderMap) -> Result<Dialed, DialError> {
    let bad_url = || DialError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad_url())?;
    let authority = uri.authority().ok_or_else(bad_url)?.clone();
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host().trim_matches(['[', ']']), port))
        .await
        .map_err(DialError::Connect)?;
    stream.set_nodelay(true).map_err(DialError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(DialError::Http)?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri
        .path_and_query()
        .map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    *request.headers_mut() = headers;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| bad_url())?;
    request.headers_mut().insert(HOST, host);
    let mut response = sender.send_request(request).await.map_err(DialError::Http)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let headers = response.headers().clone();
        let io = hyper::upgrade::on(&mut response).await.map_err(DialError::Http)?;
        return Ok(Dialed::Switched(headers, TokioIo::new(io)));
    }
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_REFUSAL)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let mut refusal = text(parts.status, String::new());
    *refusal.body_mut() = Full::new(body);
    Ok(Dialed::Refused(refusal))
}

/// Forwards an upgrade request unchanged to `url` and joins the two connections, byte for byte
/// (upstream: pkg/kubelet/server `proxyStream`).
pub async fn proxy<B>(mut request: Request<B>, url: &str) -> Response<Body> {
    let client = hyper::upgrade::on(&mut request);
    let mut headers = request.headers().clone();
    headers.remove(HOST);
    headers.remove(http::header::AUTHORIZATION);
    headers.remove(http::header::CONTENT_LENGTH);
    headers.remove(http::header::TRANSFER_ENCODING);
    match dial(url, request.method().clone(), headers).await {
        Err(error) => dial_failed(&error),
        Ok(Dialed::Refused(refusal)) => refusal,
        Ok(Dialed::Switched(headers, mut upstream)) => {
            tokio::spawn(async move {
                match client.await {
                    Ok(client) => {
                        let mut client = TokioIo::new(client);
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                    }
                    Err(error) => tracing::debug!(%error, "client did not finish the upgrade"),
                }
            });
            let mut response = Response::new(Body::default());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *response.headers_mut() = headers;
            response
        }
    }
}

/// The answer for a streaming server that cannot be reached.
pub(crate) fn dial_failed(error: &DialError) -> Response<Body> {
    tracing::warn!(error = %chain(error), "streaming server unreachable");
    text(StatusCode::INTERNAL_SERVER_ERROR, chain(error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A plain text answer, with the newline Go's `http.Error` writes.
pub(crate) fn text(status: StatusCode, message: String) -> Response<Body> {
    let mut response = Response::new(Body::from(message + "\n"));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
