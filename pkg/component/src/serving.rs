//! HTTP and HTTPS servers: HTTP/1.1 with upgrades and HTTP/2 on one port, certificates reloaded
//! from disk, client certificates passed on, connections drained on shutdown.
//!
//! ```no_run
//! # use component::serving::{self, Server, Tls};
//! # async fn run(shutdown: tokio_util::sync::CancellationToken) -> anyhow::Result<()> {
//! let tls = Tls::from_files("tls.crt", "tls.key")?.client_ca_hints("ca.crt")?; // or Tls::self_signed(&names)?
//! let server = Server::bind("127.0.0.1:0".parse()?).await?.tls(tls);
//! let service = serving::handler(|_request| async { http::Response::new(serving::full("hello")) });
//! server.serve(service, shutdown).await; // returns when drained
//! # Ok(())
//! # }
//! ```
//!
//! The handler is a tower service `Request<Incoming> -> Response<impl Body>` that cannot fail: an
//! `axum::Router`, or [`handler`] over an async function. Each request carries the extensions
//! [`PeerAddr`] and, over TLS with a client certificate, [`PeerCerts`]. A client certificate is
//! asked for and its possession proved, but whether it is trusted is authentication's question
//! (`authn::x509`): an unknown certificate must not break the handshake.

mod authority;
mod connection;
mod flags;
mod gather;
mod self_signed;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use flags::TlsFlags;
pub use self_signed::self_signed;
pub(crate) use tls::certificates;
pub use tls::{Tls, TlsError, install_crypto_provider};

/// Any error of a body stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of our own responses.
pub type Body = BoxBody<Bytes, BoxError>;

/// A body from bytes that are there.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// An empty body.
#[must_use]
pub fn empty() -> Body {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed()
}

/// Who is at the other end of the connection; a request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The client's certificate chain, leaf first, possession proved, trust NOT checked; a request
/// extension, absent when the client showed none.
#[derive(Clone, Debug)]
pub struct PeerCerts(pub Arc<[CertificateDer<'static>]>);

/// An extension of a response over HTTP/2: the client shall make its further requests on another connection (GOAWAY).
#[derive(Clone, Copy, Debug)]
pub struct GoAway;

/// Whether an address or port may be bound although another socket has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// `SO_REUSEADDR`; without it only sockets that are closing are no hindrance.
    pub address: bool,
    /// `SO_REUSEPORT`: several processes listen on the port.
    pub port: bool,
}

/// A listening socket with its rules.
pub struct Server {
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    grace: Duration,
    cut: CancellationToken,
}

/// What a client may ask of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// HTTP/2 streams at once on a connection (upstream `--http2-max-streams-per-connection`).
    pub max_streams: u32,
    /// Bytes of a request's header block.
    pub header_bytes: u32,
    /// How long a client may take for the TLS handshake, and for the head of an HTTP/1 request.
    pub header_timeout: Duration,
    /// Connections at once; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// Whether an HTTP/2 request's authority may be a whole URL, as old clients of etcd say it.
    pub url_authority: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 1000,
            header_bytes: 1 << 20,
            header_timeout: Duration::from_secs(32),
            max_connections: 65_536,
            url_authority: false,
        }
    }
}

impl Server {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use or not ours.
    pub async fn bind(addr: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::from_listener(TcpListener::bind(addr).await?))
    }

    /// As [`Server::bind`], next to others that do the same.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn bind_shared(addr: SocketAddr, sharing: Sharing) -> std::io::Result<Self> {
        if !sharing.port {
            // An address is bound with SO_REUSEADDR anyway, as in Go.
            return Self::bind(addr).await;
        }
        let socket = match addr {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(addr)?;
        Ok(Self::from_listener(socket.listen(1024)?))
    }

    /// Takes a socket that listens already.
    #[must_use]
    pub fn from_listener(listener: TcpListener) -> Self {
        Self {
            listener,
            tls: None,
            limits: Limits::default(),
            grace: Duration::from_secs(10),
            cut: CancellationToken::new(),
        }
    }

    /// Serves HTTPS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long open requests may go on after shutdown; 10 s unless told.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Ends what is still open when `cut` is cancelled, if that is before the end of the grace.
    #[must_use]
    pub fn cut(mut self, cut: CancellationToken) -> Self {
        self.cut = cut;
        self
    }

    /// The address really bound.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then takes no more connections, lets open requests finish within
    /// the grace, and returns.
    pub async fn serve<S, B>(self, service: S, shutdown: CancellationToken)
    where
        S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let end = connection::End {
            shutdown,
            grace: self.grace,
            cut: self.cut,
        };
        connection::serve(self.listener, self.tls, self.limits, service, end).await;
    }
}

/// Makes a service of an async function.
///
/// ```
/// # use component::serving::{self, Body};
/// # use std::sync::Arc;
/// struct App;
/// impl App {
///     async fn answer(&self, _request: http::Request<hyper::body::Incoming>) -> http::Response<Body> {
///         http::Response::new(serving::full("hello"))
///     }
/// }
/// let app = Arc::new(App);
/// let service = serving::handler(move |request| {
///     let app = Arc::clone(&app);
///     async move { app.answer(request).await }
/// });
/// # drop(service);
/// ```
pub fn handler<F, Fut, B>(
    function: F,
) -> impl tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: 'static,
{
    tower::service_fn(move |request| {
        let answer = function(request);
        async move { Ok(answer.await) }
    })
}

#[cfg(test)]
mod tests;
