//! A body that knows when it has gone out.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};

use super::Running;

struct Measured {
    inner: Body,
    request: Running,
    status: StatusCode,
    bytes: u64,
}

/// The answer with a body that ends `request`, whether it is read to its end or dropped.
pub(super) fn until_the_end(request: Running, response: Response<Body>) -> Response<Body> {
    let status = response.status();
    response.map(|inner| {
        Body::new(Measured {
            inner,
            request,
            status,
            bytes: 0,
        })
    })
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.bytes += data.len() as u64;
            self.request.watched(data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.request.end(self.status, self.bytes);
    }
}
