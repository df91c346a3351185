//! Holds back what goes out without TLS.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ENOUGH, Hold};

/// A buffer as large as this is kept for the next bytes; a larger one is given back.
const SPARE: usize = 16 << 10;

/// A socket in front of which bytes can wait.
pub(in crate::serving) struct Plain<IO> {
    io: IO,
    held: Vec<u8>,
    /// How much of `held` the socket has taken.
    taken: usize,
    hold: bool,
}

impl<IO> Plain<IO> {
    /// Nothing waits.
    pub(super) fn new(io: IO) -> Self {
        Plain {
            io,
            held: Vec::new(),
            taken: 0,
            hold: false,
        }
    }
}

impl<IO: AsyncWrite + Unpin> Plain<IO> {
    /// Writes what waits.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.taken < self.held.len() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held[self.taken..]))?;
            if written == 0 {
                return Poll::Ready(Err(Error::from(ErrorKind::WriteZero)));
            }
            self.taken += written;
        }
        self.taken = 0;
        self.held.clear();
        self.held.shrink_to(SPARE);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Hold for Plain<IO> {
    fn hold(&mut self, hold: bool) {
        self.hold = hold;
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Plain<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        // In order: nothing passes what waits.
        if !self.hold || self.held.len() + len > ENOUGH {
            ready!(self.drain(cx))?;
        }
        if !self.hold || len > ENOUGH {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        }
        for buf in bufs {
            self.held.extend_from_slice(buf);
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Plain<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}
