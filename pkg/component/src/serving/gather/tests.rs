#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio_rustls::client;

use super::*;
use crate::serving::{Tls, self_signed};

/// A payload of as much as HTTP/2 puts in one frame.
const LARGE: usize = 16 << 10;

/// A pipe that counts what is written to it.
struct Counted {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        // As a socket: all of them at once.
        let all = bufs.iter().map(|buf| &buf[..]).collect::<Vec<_>>().concat();
        self.as_mut().poll_write(cx, &all)
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

type Server = Gather<TlsStream<Valve<Counted>>>;

/// Both ends of a connection, and the count of the server's writes so far.
async fn pair(protocol: &[u8], pipe: usize) -> (Server, client::TlsStream<DuplexStream>, Arc<AtomicUsize>) {
    let (cert, key) = self_signed(&["localhost".into()]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(cert.as_bytes()).unwrap())
        .unwrap();
    let acceptor = Tls::from_pem(cert, key).unwrap().acceptor(None);
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let (near, io) = tokio::io::duplex(pipe);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        io,
        writes: writes.clone(),
    };
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let (server, client) = tokio::join!(acceptor.accept(Valve::new(counted)), connector.connect(name, near));
    let gather = Gather::tls(server.unwrap());
    writes.store(0, Ordering::SeqCst);
    (gather, client.unwrap(), writes)
}

/// Both ends without TLS, of which the client has said what it speaks.
async fn plain(preface: &[u8], pipe: usize) -> (Gather<Plain<Counted>>, DuplexStream, Arc<AtomicUsize>) {
    let (mut client, io) = tokio::io::duplex(pipe);
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        io,
        writes: writes.clone(),
    };
    let mut gather = Gather::plain(counted);
    client.write_all(preface).await.unwrap();
    gather.read_exact(&mut vec![0; preface.len()]).await.unwrap();
    (gather, client, writes)
}

/// A DATA frame: its header, and a payload in a slice of its own.
async fn write_frame<T: Hold>(gather: &mut Gather<T>, payload: &[u8]) {
    let header = [7; 9];
    let mut bufs = &mut [IoSlice::new(&header), IoSlice::new(payload)][..];
    while !bufs.is_empty() {
        let written = gather.write_vectored(bufs).await.unwrap();
        IoSlice::advance_slices(&mut bufs, written);
    }
}

/// What HTTP/2 does with so many frames: a flush behind each, and at the end.
async fn send<T: Hold>(gather: &mut Gather<T>, frames: usize, payload: usize) {
    for _ in 0..frames {
        write_frame(gather, &vec![7; payload]).await;
        gather.flush().await.unwrap();
    }
    end_turn(gather).await;
}

/// Flushes without having written: at the end of the turn, and of the one that was waited.
async fn end_turn<T: Hold>(gather: &mut Gather<T>) {
    gather.flush().await.unwrap();
    gather.flush().await.unwrap();
}

async fn frames_share_writes<T: Hold>(mut gather: Gather<T>, mut client: impl AsyncRead + Unpin, writes: &AtomicUsize) {
    // A TLS session gives a system call 64 records at most.
    for (frames, payload, fewest, most) in [(1, 300, 1, 1), (5, LARGE, 1, 1), (90, 300, 1, 2), (20, LARGE, 3, 4)] {
        send(&mut gather, frames, payload).await;
        let count = writes.swap(0, Ordering::SeqCst);
        assert!(
            (fewest..=most).contains(&count),
            "{count} writes for {frames} frames of {payload} bytes"
        );
        let mut read = vec![0; frames * (payload + 9)];
        client.read_exact(&mut read).await.unwrap();
        assert!(read.iter().all(|byte| *byte == 7));
    }
    // What is no DATA frame goes with what waits.
    write_frame(&mut gather, &[7; 300]).await;
    gather.flush().await.unwrap();
    assert_eq!(writes.load(Ordering::SeqCst), 0);
    gather.write_all(b"trailers").await.unwrap();
    end_turn(&mut gather).await;
    assert!(writes.load(Ordering::SeqCst) <= 2);
    let mut read = vec![0; 309 + 8];
    client.read_exact(&mut read).await.unwrap();
    assert!(read.ends_with(b"trailers"));
}

#[tokio::test]
async fn frames_of_one_turn_share_writes() {
    let (gather, client, writes) = pair(b"h2", 1 << 20).await;
    frames_share_writes(gather, client, &writes).await;
    let (gather, client, writes) = plain(b"PRI * HTTP/2.0", 1 << 20).await;
    frames_share_writes(gather, client, &writes).await;
}

#[tokio::test]
async fn what_is_no_http2_is_flushed_when_it_says_so() {
    let (mut gather, mut client, _) = pair(b"http/1.1", 1 << 20).await;
    write_frame(&mut gather, &[7; LARGE]).await;
    gather.flush().await.unwrap();
    client.read_exact(&mut [0; LARGE + 9]).await.unwrap();
    let (mut gather, mut client, _) = plain(b"GET / HTTP/1.1", 1 << 20).await;
    write_frame(&mut gather, &[7; LARGE]).await;
    gather.flush().await.unwrap();
    client.read_exact(&mut [0; LARGE + 9]).await.unwrap();
}

async fn everything_arrives<T: Hold>(mut gather: Gather<T>, mut client: impl AsyncRead + Unpin + Send + 'static) {
    let frames = 60;
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        read.len()
    });
    send(&mut gather, frames, LARGE).await;
    gather.shutdown().await.unwrap();
    assert_eq!(reader.await.unwrap(), frames * (LARGE + 9));
}

async fn little_is_kept<T: Hold>(mut gather: Gather<T>) {
    let mut taken = 0;
    std::future::poll_fn(|cx| {
        let bufs = [IoSlice::new(&[7; 9]), IoSlice::new(&[7; LARGE])];
        while let Poll::Ready(n) = Pin::new(&mut gather).poll_write_vectored(cx, &bufs) {
            taken += n.unwrap();
            assert!(taken <= 2 * KEPT, "{taken} bytes");
            let _ = Pin::new(&mut gather).poll_flush(cx);
        }
        Poll::Ready(())
    })
    .await;
    assert!(taken >= ENOUGH - LARGE, "{taken} bytes");
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything_and_costs_little() {
    let (gather, client, _) = pair(b"h2", 20_000).await;
    everything_arrives(gather, client).await;
    let (gather, client, _) = plain(PREFACE, 20_000).await;
    everything_arrives(gather, client).await;
    // Nobody reads: so much is taken and no more.
    let (gather, _client, _) = pair(b"h2", 1000).await;
    little_is_kept(gather).await;
    let (gather, _client, _) = plain(PREFACE, 1000).await;
    little_is_kept(gather).await;
}

/// A body of parts that are sent to it.
struct Parts(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

/// Serves an answer whose parts come one by one, and reads each before the next is made.
async fn each_part_arrives(
    gather: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let (tx, rx) = mpsc::channel::<Bytes>(1);
    let rx = std::sync::Mutex::new(Some(rx));
    let service = hyper::service::service_fn(move |_: Request<Incoming>| {
        let parts = Parts(rx.lock().unwrap().take().unwrap());
        async move { Ok::<_, std::convert::Infallible>(Response::new(parts)) }
    });
    tokio::spawn(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(gather), service),
    );
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    for size in [
        1,
        255,
        256,
        257,
        LARGE,
        LARGE - 1,
        LARGE + 1,
        3 * LARGE,
        ENOUGH,
        ENOUGH + 1,
        10,
        2 * ENOUGH + 77,
    ] {
        tx.send(Bytes::from(vec![3; size])).await.unwrap();
        let mut read = 0;
        while read < size {
            let frame = body.frame().await.unwrap().unwrap();
            read += frame.into_data().unwrap().len();
        }
        assert_eq!(read, size);
    }
}

// The invariant of `h2` that the whole rests on.
#[tokio::test]
async fn a_part_of_an_answer_arrives_although_the_rest_is_not_there_yet() {
    for pipe in [1000, 64 << 10] {
        let (gather, client, _) = pair(b"h2", pipe).await;
        each_part_arrives(gather, client).await;
        let (client, server) = tokio::io::duplex(pipe);
        each_part_arrives(Gather::plain(server), client).await;
    }
}
