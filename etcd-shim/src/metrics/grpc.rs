//! Counts of calls, messages and bytes, under the names that etcd's dashboards ask for.
//! Source: etcd `server/etcdserver/api/v3rpc/{interceptor,metrics}.go`, go-grpc-prometheus `server_metrics.go`.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use component::metrics::prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use http_body::Frame;

/// The methods that are counted, each with its type as go-grpc-prometheus names it.
const METHODS: &[(&str, &str, &str)] = &[
    ("etcdserverpb.KV", "Range", "unary"),
    ("etcdserverpb.KV", "Put", "unary"),
    ("etcdserverpb.KV", "DeleteRange", "unary"),
    ("etcdserverpb.KV", "Txn", "unary"),
    ("etcdserverpb.KV", "Compact", "unary"),
    ("etcdserverpb.Watch", "Watch", "bidi_stream"),
    ("etcdserverpb.Lease", "LeaseGrant", "unary"),
    ("etcdserverpb.Lease", "LeaseRevoke", "unary"),
    ("etcdserverpb.Lease", "LeaseKeepAlive", "bidi_stream"),
    ("etcdserverpb.Lease", "LeaseTimeToLive", "unary"),
    ("etcdserverpb.Lease", "LeaseLeases", "unary"),
    ("etcdserverpb.Cluster", "MemberAdd", "unary"),
    ("etcdserverpb.Cluster", "MemberRemove", "unary"),
    ("etcdserverpb.Cluster", "MemberUpdate", "unary"),
    ("etcdserverpb.Cluster", "MemberList", "unary"),
    ("etcdserverpb.Cluster", "MemberPromote", "unary"),
    ("etcdserverpb.Maintenance", "Alarm", "unary"),
    ("etcdserverpb.Maintenance", "Status", "unary"),
    ("etcdserverpb.Maintenance", "Defragment", "unary"),
    ("etcdserverpb.Maintenance", "Hash", "unary"),
    ("etcdserverpb.Maintenance", "HashKV", "unary"),
    ("etcdserverpb.Maintenance", "Snapshot", "server_stream"),
    ("etcdserverpb.Maintenance", "MoveLeader", "unary"),
    ("etcdserverpb.Auth", "AuthEnable", "unary"),
    ("etcdserverpb.Auth", "AuthDisable", "unary"),
    ("etcdserverpb.Auth", "AuthStatus", "unary"),
    ("etcdserverpb.Auth", "Authenticate", "unary"),
    ("etcdserverpb.Auth", "UserAdd", "unary"),
    ("etcdserverpb.Auth", "UserList", "unary"),
    ("etcdserverpb.Auth", "RoleList", "unary"),
];

/// gRPC's codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const CANCELED: usize = 1;
const UNKNOWN: usize = 2;

const LABELS: [&str; 3] = ["grpc_method", "grpc_service", "grpc_type"];

static HANDLED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "grpc_server_handled_total",
        "Total number of RPCs completed on the server, regardless of success or failure.",
        &["grpc_code", "grpc_method", "grpc_service", "grpc_type"],
    )
});
static HANDLING: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "grpc_server_handling_seconds",
        "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
        &LABELS,
        &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    )
});
static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "etcd_server_client_requests_total",
        "The total number of client requests per client version.",
        &["client_api_version", "type"],
    )
});
static RECEIVED_BYTES: LazyLock<IntCounter> = LazyLock::new(|| {
    component::metrics::counter(
        "etcd_network_client_grpc_received_bytes_total",
        "The total number of bytes received from grpc clients.",
    )
});
static SENT_BYTES: LazyLock<IntCounter> = LazyLock::new(|| {
    component::metrics::counter(
        "etcd_network_client_grpc_sent_bytes_total",
        "The total number of bytes sent to grpc clients.",
    )
});

/// One method's, found once.
struct Method {
    labels: [&'static str; 3],
    started: IntCounter,
    received: IntCounter,
    sent: IntCounter,
    succeeded: IntCounter,
    handling: LazyLock<Histogram, Box<dyn FnOnce() -> Histogram + Send>>,
}

// All methods are there from the start with 0, as in etcd.
static ALL: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let vec = |name: &str, help: &str| component::metrics::counter_vec(name, help, &LABELS);
    let started = vec(
        "grpc_server_started_total",
        "Total number of RPCs started on the server.",
    );
    let received = vec(
        "grpc_server_msg_received_total",
        "Total number of RPC stream messages received on the server.",
    );
    let sent = vec(
        "grpc_server_msg_sent_total",
        "Total number of gRPC stream messages sent by the server.",
    );
    let methods = METHODS.iter().map(|(service, method, kind)| {
        let labels = [*method, *service, *kind];
        let counts = Method {
            labels,
            started: started.with_label_values(&labels),
            received: received.with_label_values(&labels),
            sent: sent.with_label_values(&labels),
            succeeded: HANDLED.with_label_values(&["OK", method, service, kind]),
            handling: LazyLock::new(Box::new(move || HANDLING.with_label_values(&labels))),
        };
        (format!("/{service}/{method}"), counts)
    });
    methods.collect()
});

/// Counts a call; `extensive` measures its time, too (`--metrics=extensive`).
pub(crate) async fn count(State(extensive): State<bool>, request: Request, next: Next) -> Response {
    let Some(method) = ALL.get(request.uri().path()) else {
        return next.run(request).await;
    };
    method.started.inc();
    let version = request.headers().get("client-api-version");
    let version = version.and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    let kind = if method.labels[2] == "unary" { "unary" } else { "stream" };
    REQUESTS.with_label_values(&[known(version), kind]).inc();
    let mut call = Call {
        method,
        begun: extensive.then(Instant::now),
        ended: false,
    };
    let request = request.map(|body| {
        Body::new(Received {
            body,
            messages: Messages::default(),
            method,
        })
    });
    let response = next.run(request).await;
    call.end_by(response.headers());
    response.map(|body| {
        Body::new(Sent {
            body,
            messages: Messages::default(),
            call,
        })
    })
}

/// What a client says of itself is not to fill the memory.
fn known(version: &str) -> &str {
    let numbers = version.split_once('.');
    let is_number = |text: &str| !text.is_empty() && text.len() < 3 && text.bytes().all(|b| b.is_ascii_digit());
    match numbers {
        Some((major, minor)) if is_number(major) && is_number(minor) => version,
        _ => "unknown",
    }
}

/// A call until its status is known; one that is dropped before was cancelled.
struct Call {
    method: &'static Method,
    begun: Option<Instant>,
    ended: bool,
}

impl Call {
    fn end_by(&mut self, headers: &HeaderMap) {
        let Some(status) = headers.get("grpc-status") else {
            return;
        };
        let code = status.to_str().ok().and_then(|text| text.parse().ok());
        self.end(code.unwrap_or(UNKNOWN));
    }

    fn end(&mut self, code: usize) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if code == 0 {
            self.method.succeeded.inc();
        } else {
            let code = CODES.get(code).copied().unwrap_or("Unknown");
            let [method, service, kind] = self.method.labels;
            HANDLED.with_label_values(&[code, method, service, kind]).inc();
        }
        if let Some(begun) = self.begun {
            self.method.handling.observe(begun.elapsed().as_secs_f64());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(CANCELED);
    }
}

/// Finds the ends of messages in the bytes of a stream: each has five bytes in front, of which four are its length.
#[derive(Default)]
struct Messages {
    head: [u8; 5],
    have: usize,
    left: usize,
}

impl Messages {
    /// How many messages begin in these bytes.
    fn count(&mut self, bytes: &[u8]) -> u64 {
        let (mut rest, mut count) = (bytes, 0);
        loop {
            let skipped = self.left.min(rest.len());
            (self.left, rest) = (self.left - skipped, &rest[skipped..]);
            if rest.is_empty() {
                return count;
            }
            let wanted = (self.head.len() - self.have).min(rest.len());
            self.head[self.have..self.have + wanted].copy_from_slice(&rest[..wanted]);
            (self.have, rest) = (self.have + wanted, &rest[wanted..]);
            if self.have == self.head.len() {
                let [_, length @ ..] = self.head;
                (self.left, self.have) = (u32::from_be_bytes(length) as usize, 0);
                count += 1;
            }
        }
    }
}

struct Received {
    body: Body,
    messages: Messages,
    method: &'static Method,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            RECEIVED_BYTES.inc_by(data.len() as u64);
            let count = self.messages.count(data);
            self.method.received.inc_by(count);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

struct Sent {
    body: Body,
    messages: Messages,
    call: Call,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                SENT_BYTES.inc_by(data.len() as u64);
                let count = self.messages.count(data);
                self.call.method.sent.inc_by(count);
            }
            if let Some(trailers) = frame.trailers_ref() {
                self.call.end_by(trailers);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_their_bytes_come() {
        let one = [&[0, 0, 0, 0, 3][..], b"abc"].concat();
        let bytes = [&one[..], &[0; 5], &one].concat();
        for size in 1..=bytes.len() {
            let mut messages = Messages::default();
            let count: u64 = bytes.chunks(size).map(|some| messages.count(some)).sum();
            assert_eq!(count, 3, "{size} bytes at a time");
        }
    }

    #[test]
    fn a_client_names_no_version_of_its_own_making() {
        assert_eq!(known("3.6"), "3.6");
        for text in ["", "3", "3.x", "3.123", "a long story"] {
            assert_eq!(known(text), "unknown");
        }
    }
}
