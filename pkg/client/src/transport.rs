//! The wire: one HTTP/2 connection shared by every request and watch of a process, replaced when it breaks or
//! when the credentials on disk rotate. A server that speaks only HTTP/1.1 gets a small pool instead.
//!
//! Not here: retries on answers, decoding, paths (see [`crate::client`]).

mod dial;
mod tls;
mod token;
pub mod unjudged;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use http_body_util::Full;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;

use crate::config::Config;
use crate::error::{Error, Result};
use dial::Address;

pub use tls::install_crypto_provider;

/// Streams on one HTTP/2 connection before another connection is opened. Upstream's apiserver admits 100.
const STREAMS_PER_CONNECTION: usize = 90;
/// A ping is sent when a connection was silent this long. Upstream: golang.org/x/net/http2 `ReadIdleTimeout` 30s.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The connection is dead when a ping is not answered in this time. Upstream: `PingTimeout` 15s.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle HTTP/1.1 connections kept.
const IDLE_CONNECTIONS: usize = 8;

/// A pool of connections to one apiserver with one identity.
#[derive(Debug)]
pub struct Transport {
    address: Address,
    user_agent: HeaderValue,
    credentials: token::Authorization,
    tls: Option<tls::Tls>,
    state: Mutex<Pool>,
    dialling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Pool {
    h2: Vec<H2>,
    h1: Vec<http1::SendRequest<Full<Bytes>>>,
    /// Credentials generation the connections were made with.
    generation: u64,
}

#[derive(Clone, Debug)]
struct H2 {
    sender: http2::SendRequest<Full<Bytes>>,
    streams: Arc<AtomicUsize>,
}

enum Connection {
    H2(H2),
    H1(http1::SendRequest<Full<Bytes>>),
}

impl Transport {
    /// Checks the configuration; nothing is dialled yet.
    pub fn new(config: &Config) -> Result<Arc<Self>> {
        let address = Address::parse(&config.server)?;
        let tls = if address.tls {
            Some(tls::Tls::new(config, &address.host).map_err(Error::Credentials)?)
        } else {
            None
        };
        let user_agent = HeaderValue::from_str(&config.user_agent)
            .map_err(|_| Error::InvalidRequest("user agent is not a header value".into()))?;
        Ok(Arc::new(Transport {
            address,
            user_agent,
            credentials: token::Authorization::new(config),
            tls,
            state: Mutex::new(Pool::default()),
            dialling: tokio::sync::Mutex::new(()),
        }))
    }

    /// Sends one request whose URI is a path (with query). The answer's head is returned as soon as it is
    /// there; the body streams. A request that never reached the wire is sent again once.
    pub async fn send(self: &Arc<Self>, request: http::Request<Bytes>) -> Result<http::Response<Body>> {
        let mut request = self.prepare(request).await?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let connection = self.connection().await?;
            let (guard, sent) = match connection {
                Connection::H2(mut h2) => {
                    let guard = Guard::stream(&h2.streams);
                    (guard, h2.sender.try_send_request(request).await)
                }
                Connection::H1(mut h1) => {
                    let mut parts = request;
                    strip_authority(&mut parts);
                    let sent = h1.try_send_request(parts).await;
                    (
                        Guard {
                            streams: None,
                            idle: Some((h1, self.clone())),
                        },
                        sent,
                    )
                }
            };
            match sent {
                Ok(response) => {
                    return Ok(response.map(|incoming| Body {
                        incoming,
                        guard: Some(guard),
                        done: false,
                    }));
                }
                Err(mut error) => {
                    let unsent = error.take_message();
                    guard.forget();
                    let error = error.into_error();
                    match unsent {
                        Some(again) if attempt < 3 => {
                            tracing::debug!(%error, "connection closed before the request was sent, trying another");
                            request = self.restore_authority(again);
                        }
                        _ => return Err(Error::Transport(error.into())),
                    }
                }
            }
        }
    }

    /// Drops idle and shared connections, so that the next request makes a new one (with new credentials).
    /// Requests and watches in flight keep theirs until they end.
    pub fn close_connections(&self) {
        let mut pool = self.state.lock();
        pool.h2.clear();
        pool.h1.clear();
    }

    /// `host:port` of the server.
    pub fn authority(&self) -> &str {
        &self.address.authority
    }

    async fn prepare(&self, request: http::Request<Bytes>) -> Result<http::Request<Full<Bytes>>> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        parts.uri = self.address.uri(path)?;
        parts
            .headers
            .entry(USER_AGENT)
            .or_insert_with(|| self.user_agent.clone());
        self.credentials.ready().await;
        if let Some(value) = self.credentials.header().map_err(Error::Credentials)? {
            parts.headers.entry(AUTHORIZATION).or_insert(value);
        }
        if !parts.headers.contains_key(http::header::HOST) {
            let host = HeaderValue::from_str(&self.address.authority)
                .map_err(|_| Error::InvalidRequest("server address is not a header value".into()))?;
            parts.headers.insert(http::header::HOST, host);
        }
        Ok(http::Request::from_parts(parts, Full::new(body)))
    }

    fn restore_authority(&self, mut request: http::Request<Full<Bytes>>) -> http::Request<Full<Bytes>> {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
        // The URI came from the same parts, so it parses again; keep the old one otherwise.
        if let Ok(uri) = self.address.absolute(&path) {
            *request.uri_mut() = uri;
        }
        request
    }

    async fn connection(&self) -> Result<Connection> {
        self.check_rotation();
        if let Some(found) = self.reuse() {
            return Ok(found);
        }
        let _one_dial_at_a_time = self.dialling.lock().await;
        if let Some(found) = self.reuse() {
            return Ok(found);
        }
        let generation = self.tls.as_ref().map_or(0, tls::Tls::generation);
        let connect = |source| Error::Connect {
            address: self.address.authority.clone(),
            source,
        };
        let dialled = dial::dial(&self.address, self.tls.as_ref()).await.map_err(connect)?;
        if dialled.http2 {
            let (sender, connection) = http2::Builder::new(hyper_util::rt::TokioExecutor::new())
                .timer(hyper_util::rt::TokioTimer::new())
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(8 << 20)
                .handshake(dialled.io)
                .await
                .map_err(|e| connect(e.into()))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "apiserver connection ended");
                }
            });
            let h2 = H2 {
                sender,
                streams: Arc::new(AtomicUsize::new(0)),
            };
            let mut pool = self.state.lock();
            pool.generation = generation;
            pool.h2.push(h2.clone());
            Ok(Connection::H2(h2))
        } else {
            let (sender, connection) = http1::Builder::new()
                .handshake(dialled.io)
                .await
                .map_err(|e| connect(e.into()))?;
            tokio::spawn(async move {
                if let Err(error) = connection.with_upgrades().await {
                    tracing::debug!(%error, "apiserver connection ended");
                }
            });
            self.state.lock().generation = generation;
            Ok(Connection::H1(sender))
        }
    }

    /// An open connection with room on it.
    fn reuse(&self) -> Option<Connection> {
        let mut pool = self.state.lock();
        pool.h2.retain(|c| !c.sender.is_closed());
        if let Some(h2) = pool
            .h2
            .iter()
            .find(|c| c.streams.load(Ordering::Relaxed) < STREAMS_PER_CONNECTION)
        {
            return Some(Connection::H2(h2.clone()));
        }
        while let Some(h1) = pool.h1.pop() {
            if h1.is_ready() && !h1.is_closed() {
                return Some(Connection::H1(h1));
            }
        }
        None
    }

    /// New certificates on disk mean new connections.
    fn check_rotation(&self) {
        let Some(tls) = &self.tls else { return };
        let generation = tls.refresh();
        let mut pool = self.state.lock();
        if generation != pool.generation && !(pool.h2.is_empty() && pool.h1.is_empty()) {
            tracing::info!("client credentials changed, new connections use them");
            pool.h2.clear();
            pool.h1.clear();
        }
    }
}

fn strip_authority(request: &mut http::Request<Full<Bytes>>) {
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = http::Uri::from(path);
    }
}

/// Keeps the count of streams right, and gives an HTTP/1.1 connection back when its answer was read.
#[derive(Debug)]
struct Guard {
    streams: Option<Arc<AtomicUsize>>,
    idle: Option<(http1::SendRequest<Full<Bytes>>, Arc<Transport>)>,
}

impl Guard {
    fn stream(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Guard {
            streams: Some(streams.clone()),
            idle: None,
        }
    }

    fn forget(mut self) {
        self.idle = None;
    }

    fn finish(mut self) {
        if let Some((mut sender, transport)) = self.idle.take() {
            tokio::spawn(async move {
                if sender.ready().await.is_ok() {
                    let mut pool = transport.state.lock();
                    if pool.h1.len() < IDLE_CONNECTIONS {
                        pool.h1.push(sender);
                    }
                }
            });
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(streams) = &self.streams {
            streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The body of an answer, as it arrives.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    guard: Option<Guard>,
    done: bool,
}

impl Body {}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => {
                self.done = true;
                if let Some(guard) = self.guard.take() {
                    guard.finish();
                }
            }
            Poll::Ready(Some(Err(_))) => drop(self.guard.take()),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests;
