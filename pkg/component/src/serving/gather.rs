//! Sends together what HTTP/2 writes at about the same time.
//!
//! HTTP/2 (`h2`) flushes the connection after each DATA frame of 256 bytes or more, and at the end of each turn; every
//! flush is a system call, and a wake-up of the reader. [`Gather`] sits between HTTP/2 and the socket: what is written
//! stays in the TLS session, or in a buffer of ours, until there is enough of it ([`ENOUGH`]) or it is time to send.
//!
//! - Behind a DATA frame that time has not come: after a flush that wrote one, `h2` always flushes again before its turn
//!   ends, because it takes the frame back and looks for the next (`h2` `proto/streams/streams.rs` `poll_complete`). Such
//!   a frame is recognized by how it is written: its header and its payload in two slices.
//! - At the end of a turn [`Linger`] says whether to wait one more; the task is woken then, and HTTP/2 flushes whenever
//!   it is polled.
//!
//! HTTP/1, and what upgrades from it, flushes once: there nothing is put off.

mod linger;
mod plain;
mod valve;

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use self::linger::Linger;
pub(super) use self::plain::Plain;
pub(super) use self::valve::Valve;

/// Bytes that are sent whether or not more is to come.
const ENOUGH: usize = 128 << 10;
/// What a TLS session keeps of a client that reads slowly: room for the records of two writes.
const KEPT: usize = 2 * ENOUGH;
/// How a client that speaks HTTP/2 without TLS begins.
const PREFACE: &[u8] = b"PRI";

/// A connection that can be told to keep what is written to it.
pub(super) trait Hold: AsyncRead + AsyncWrite + Unpin {
    /// Whether bytes written from now on may wait for a flush.
    fn hold(&mut self, hold: bool);
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Hold for TlsStream<Valve<IO>> {
    fn hold(&mut self, hold: bool) {
        self.get_mut().0.shut = hold;
    }
}

/// A connection of which one task polls both halves.
pub(super) struct Gather<T> {
    io: T,
    /// The protocol flushes again behind a DATA frame: it is HTTP/2. `None`: the client has said nothing yet.
    patient: Option<bool>,
    /// A DATA frame was written since the last flush.
    frame: bool,
    /// Something was written in this turn.
    written: bool,
    linger: Linger,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Gather<TlsStream<Valve<IO>>> {
    /// Wraps a connection whose handshake is done.
    pub(super) fn tls(mut tls: TlsStream<Valve<IO>>) -> Self {
        let session = tls.get_mut().1;
        let patient = session.alpn_protocol() == Some(b"h2");
        if patient {
            session.set_buffer_limit(Some(KEPT));
        }
        Self::new(tls, Some(patient))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Gather<Plain<IO>> {
    /// Wraps a connection without TLS, of which nothing has been read.
    pub(super) fn plain(io: IO) -> Self {
        Self::new(Plain::new(io), None)
    }
}

impl<T: Hold> Gather<T> {
    fn new(io: T, patient: Option<bool>) -> Self {
        Gather {
            io,
            patient,
            frame: false,
            written: false,
            linger: Linger::default(),
        }
    }

    /// Writes; it may be kept, unless the connection keeps no more.
    fn write(&mut self, mut write: impl FnMut(Pin<&mut T>) -> Poll<Result<usize>>) -> Poll<Result<usize>> {
        self.written = self.patient == Some(true);
        self.io.hold(self.written);
        let written = write(Pin::new(&mut self.io));
        if written.is_ready() {
            return written;
        }
        self.io.hold(false);
        write(Pin::new(&mut self.io))
    }
}

impl<T: Hold> AsyncWrite for Gather<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.write(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.frame |= self.patient == Some(true) && bufs.iter().filter(|buf| !buf.is_empty()).count() > 1;
        self.write(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if std::mem::take(&mut self.frame) {
            return Poll::Ready(Ok(()));
        }
        let written = std::mem::take(&mut self.written);
        if self.linger.wait(written) {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        self.io.hold(false);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.io.hold(false);
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: Hold> AsyncRead for Gather<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if self.patient.is_none() {
            self.patient = Some(buf.filled()[before..].starts_with(PREFACE));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
