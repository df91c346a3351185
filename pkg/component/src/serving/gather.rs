//! TLS that sends the frames of a long answer together.
//!
//! HTTP/2 flushes the connection after each DATA frame of 16 KiB; every flush is a system call, and a wake-up of the
//! reader. [`Gather`] sits between HTTP/2 and the socket: a flush behind a large frame is put off, and the records stay
//! in the TLS session until there are enough of them ([`ENOUGH`]) or HTTP/2 flushes without having written anything
//! more. The task is woken whenever a flush is put off, so that one always comes.
//!
//! Only for HTTP/2: it flushes whenever it is polled. HTTP/1 and what upgrades from it flush once.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// Bytes that are sent whether or not more is to come.
const ENOUGH: usize = 128 << 10;
/// What a TLS session keeps of a client that reads slowly: room for the records of two writes.
const KEPT: usize = 2 * ENOUGH;
/// A write as long as this is a frame behind which another is likely.
const LARGE: usize = 16 << 10;

/// A TLS connection of which one task polls both halves.
pub(super) struct Gather<IO> {
    tls: TlsStream<Valve<IO>>,
    /// The protocol flushes again when it is polled again.
    patient: bool,
    /// A large frame was written since the last flush.
    large: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Gather<IO> {
    /// Wraps a connection whose handshake is done.
    pub(super) fn new(mut tls: TlsStream<Valve<IO>>) -> Self {
        let session = tls.get_mut().1;
        let patient = session.alpn_protocol() == Some(b"h2");
        if patient {
            session.set_buffer_limit(Some(KEPT));
        }
        Gather {
            tls,
            patient,
            large: false,
        }
    }

    fn shut(&mut self, shut: bool) {
        self.tls.get_mut().0.shut = shut;
    }

    /// Writes with the valve as it should be: shut for large frames, and open when the session takes no more.
    fn write(
        &mut self,
        len: usize,
        mut write: impl FnMut(Pin<&mut TlsStream<Valve<IO>>>) -> Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        self.large |= len >= LARGE;
        self.shut(self.patient && self.large);
        let written = write(Pin::new(&mut self.tls));
        if written.is_ready() {
            return written;
        }
        self.shut(false);
        write(Pin::new(&mut self.tls))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gather<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.write(buf.len(), |tls| tls.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.write(len, |tls| tls.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.patient && std::mem::take(&mut self.large) {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        self.shut(false);
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.shut(false);
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

/// A socket that can be told to take nothing yet.
pub(super) struct Valve<IO> {
    io: IO,
    shut: bool,
}

impl<IO> Valve<IO> {
    /// An open one.
    pub(super) fn new(io: IO) -> Self {
        Valve { io, shut: false }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Valve<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        // Nobody is woken: whoever shut the valve opens it.
        if self.shut && buf.len() < ENOUGH {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if self.shut && bufs.iter().map(|buf| buf.len()).sum::<usize>() < ENOUGH {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Valve<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests;
