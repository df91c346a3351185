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

/// Both ends of a connection, and the count of the server's writes so far.
async fn pair(protocol: &[u8], pipe: usize) -> (Gather<Counted>, client::TlsStream<DuplexStream>, Arc<AtomicUsize>) {
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
    let gather = Gather::new(server.unwrap());
    writes.store(0, Ordering::SeqCst);
    (gather, client.unwrap(), writes)
}

/// What HTTP/2 does with so many large frames: a flush behind each, and one at the end.
async fn send(gather: &mut Gather<Counted>, frames: usize) {
    for _ in 0..frames {
        gather.write_all(&[7; LARGE + 9]).await.unwrap();
        gather.flush().await.unwrap();
    }
    gather.flush().await.unwrap();
}

#[tokio::test]
async fn large_frames_share_writes_and_small_ones_do_not_wait() {
    let (mut gather, mut client, writes) = pair(b"h2", 1 << 20).await;
    send(&mut gather, 5).await;
    assert_eq!(writes.swap(0, Ordering::SeqCst), 1);
    let mut read = vec![0; 5 * (LARGE + 9)];
    client.read_exact(&mut read).await.unwrap();

    send(&mut gather, 20).await;
    let count = writes.swap(0, Ordering::SeqCst);
    assert!((3..=4).contains(&count), "{count} writes of about {ENOUGH} bytes");
    let mut read = vec![0; 20 * (LARGE + 9)];
    client.read_exact(&mut read).await.unwrap();
    assert!(read.iter().all(|byte| *byte == 7));

    gather.write_all(b"small").await.unwrap();
    gather.flush().await.unwrap();
    assert_eq!(writes.swap(0, Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_no_http2_is_flushed_when_it_says_so() {
    let (mut gather, mut client, writes) = pair(b"http/1.1", 1 << 20).await;
    gather.write_all(&[7; LARGE]).await.unwrap();
    gather.flush().await.unwrap();
    assert!(writes.load(Ordering::SeqCst) > 0);
    let mut read = vec![0; LARGE];
    client.read_exact(&mut read).await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything_and_costs_little() {
    let (mut gather, mut client, _) = pair(b"h2", 20_000).await;
    let frames = 60;
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        read.len()
    });
    send(&mut gather, frames).await;
    gather.shutdown().await.unwrap();
    assert_eq!(reader.await.unwrap(), frames * (LARGE + 9));

    // Nobody reads: the session takes so much and no more.
    let (mut gather, _client, _) = pair(b"h2", 1000).await;
    let mut taken = 0;
    std::future::poll_fn(|cx| {
        while let Poll::Ready(n) = Pin::new(&mut gather).poll_write(cx, &[7; LARGE]) {
            taken += n.unwrap();
            assert!(taken <= 2 * KEPT, "{taken} bytes");
            let _ = Pin::new(&mut gather).poll_flush(cx);
        }
        Poll::Ready(())
    })
    .await;
    assert!(taken >= ENOUGH, "{taken} bytes");
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

#[tokio::test]
async fn a_part_of_an_answer_arrives_although_the_rest_is_not_there_yet() {
    let (gather, client, _) = pair(b"h2", 64 << 10).await;
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
