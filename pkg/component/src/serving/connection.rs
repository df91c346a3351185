//! Accepting and serving connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::authority::Mended;
use super::gather::{Gather, Valve};
use super::{BoxError, GoAway, Limits, PeerAddr, PeerCerts, Tls};

/// Bytes of an answer that wait for an HTTP/2 connection, so that whoever makes the answer and whoever sends it need not
/// wake each other for each frame.
const SEND_BUFFER: usize = 512 << 10;

/// When and how a server ends.
pub(super) struct End {
    /// No more connections from then on.
    pub(super) shutdown: CancellationToken,
    /// How long open requests may go on after it.
    pub(super) grace: Duration,
    /// Cancelled when that is over: what is still open then is cut.
    pub(super) cut: CancellationToken,
}

pub(super) async fn serve<S, B>(listener: TcpListener, tls: Option<Tls>, limits: Limits, service: S, end: End)
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let tls = tls.map(Arc::new);
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let End { shutdown, grace, cut } = end;
    loop {
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                // Out of descriptors, most likely: let some close.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, service, shutdown, cut) = (tls.clone(), service.clone(), shutdown.clone(), cut.clone());
        connections.spawn(async move {
            let _place = place;
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection(stream, peer, tls, limits, service, shutdown) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    let over = tokio::select! {
        () = connections.wait() => false,
        () = tokio::time::sleep(grace) => true,
        () = cut.cancelled() => true,
    };
    if over {
        tracing::info!(
            "{} connections were open when the grace period ended",
            connections.len()
        );
        cut.cancel();
        connections.wait().await;
    }
}

async fn connection<S, B>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    service: S,
    shutdown: CancellationToken,
) where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Small frames must not wait for more, and a vanished peer must be noticed.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
    let _ = rustix::net::sockopt::set_tcp_keepidle(&stream, Duration::from_secs(180));
    let _ = rustix::net::sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(30));
    let Some(tls) = tls else {
        return drive(Gather::plain(stream), peer, None, limits, service, shutdown).await;
    };
    let local = stream.local_addr().ok().map(|address| address.ip());
    let handshake = tls.acceptor(local).accept(Valve::new(stream));
    match tokio::time::timeout(limits.header_timeout, handshake).await {
        Ok(Ok(stream)) => {
            let certs = stream
                .get_ref()
                .1
                .peer_certificates()
                .filter(|chain| !chain.is_empty())
                .map(|chain| PeerCerts(chain.iter().map(|cert| cert.clone().into_owned()).collect()));
            drive(Gather::tls(stream), peer, certs, limits, service, shutdown).await;
        }
        Ok(Err(error)) => tracing::debug!("TLS handshake error from {peer}: {error}"),
        Err(_) => tracing::debug!("TLS handshake with {peer} timed out"),
    }
}

async fn drive<IO, S, B>(
    io: IO,
    peer: SocketAddr,
    certs: Option<PeerCerts>,
    limits: Limits,
    service: S,
    shutdown: CancellationToken,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let leaving = Arc::new(Notify::new());
    let leave = leaving.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(peer));
        if let Some(certs) = &certs {
            extensions.insert(certs.clone());
        }
        let (answer, leave) = (tower::ServiceExt::oneshot(service.clone(), request), leave.clone());
        async move {
            let answer = answer.await;
            if let Ok(response) = &answer
                && response.extensions().get::<GoAway>().is_some()
            {
                leave.notify_one();
            }
            answer
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size((limits.header_bytes as usize).max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(limits.header_bytes)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .max_send_buf_size(SEND_BUFFER);
    let io = Mended::new(io, limits.url_authority);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        // Open requests are answered; the client is told to make no more here.
        () = leaving.notified() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!("connection from {peer} ended: {error}");
    }
}
