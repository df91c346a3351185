//! [`Storage`] over etcd's v3 gRPC API, with upstream's transactions (DROPIN.md section 4).
//!
//! Works with etcd 3.4 and up and with etcd-shim: no progress requests are needed. Reads are
//! retried on another endpoint; writes only when the request provably never left (the dial failed).

mod dial;
mod lease;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_proto::errors;
use etcd_proto::etcdserverpb as pb;
use tonic::{Code, Status};

pub(crate) use dial::{Dialer, TlsFiles};

use super::{
    CompactTurn, Event, KeyValue, ListPage, ListRequest, Memo, Storage, StorageError, WatchItem, WatchStream, Write,
    prefix_end,
};
use dial::never_sent;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::{request_op, response_op};

/// Key of the compaction handshake, outside every prefix.
const COMPACT_REV_KEY: &str = "compact_rev_key";
/// Pairs per Range of an unlimited list, as upstream's.
const PAGE: usize = 10_000;
/// Longest wait for one unary call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts of a call that may be repeated.
const ATTEMPTS: usize = 5;

/// etcd as a [`Storage`].
pub(crate) struct Etcd {
    dialer: Dialer,
    leases: lease::Leases,
    /// The `--etcd-prefix`, e.g. `/registry`.
    root: String,
}

impl Etcd {
    /// A store on the given endpoints; connects on first use. `lease_reuse`: how long a lease takes further keys.
    pub(crate) fn new(dialer: Dialer, root: &str, lease_reuse: Duration) -> Self {
        Etcd {
            dialer,
            leases: lease::Leases::new(lease_reuse),
            root: root.to_owned(),
        }
    }

    async fn range(&self, req: pb::RangeRequest) -> Result<pb::RangeResponse, StorageError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let (channel, at) = self.dialer.channel();
            let mut kv = kv_client(channel);
            match call(kv.range(req.clone())).await {
                Ok(r) => return Ok(r),
                Err(s) => {
                    let again = s.code() == Code::Unavailable || s.code() == Code::Unknown && never_sent(&s);
                    if !again {
                        return Err(storage_error(&s));
                    }
                    self.dialer.failed(at);
                    last = Some(s);
                    tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
                }
            }
        }
        Err(last.map_or_else(
            || StorageError::Unavailable("no endpoint".into()),
            |s| storage_error(&s),
        ))
    }

    async fn txn(&self, req: pb::TxnRequest) -> Result<pb::TxnResponse, StorageError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let (channel, at) = self.dialer.channel();
            let mut kv = kv_client(channel);
            match call(kv.txn(req.clone())).await {
                Ok(r) => return Ok(r),
                Err(s) => {
                    if s.code() == Code::Unavailable {
                        self.dialer.failed(at);
                    }
                    if !never_sent(&s) && !errors::NO_LEADER.matches(&s) {
                        return Err(storage_error(&s));
                    }
                    last = Some(s);
                    tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
                }
            }
        }
        Err(last.map_or_else(
            || StorageError::Unavailable("no endpoint".into()),
            |s| storage_error(&s),
        ))
    }

    /// `If ModRevision(key)==expected Then op Else Range(key)`.
    async fn guarded(
        &self,
        key: &str,
        expected: i64,
        op: request_op::Request,
        else_get: bool,
    ) -> Result<Write, StorageError> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let failure = if else_get { vec![get_op(key.clone())] } else { vec![] };
        let resp = self
            .txn(pb::TxnRequest {
                compare: vec![pb::Compare {
                    result: CompareResult::Equal as i32,
                    target: CompareTarget::Mod as i32,
                    key,
                    range_end: Bytes::new(),
                    target_union: Some(TargetUnion::ModRevision(expected)),
                }],
                success: vec![pb::RequestOp { request: Some(op) }],
                failure,
            })
            .await?;
        if resp.succeeded {
            return Ok(Write::Done(header_rev(resp.header)));
        }
        Ok(Write::Conflict(first_range(resp.responses)))
    }

    async fn lease(&self, ttl: Option<Duration>) -> Result<i64, StorageError> {
        match ttl {
            None => Ok(0),
            Some(ttl) => self.leases.for_ttl(&self.dialer, ttl).await,
        }
    }
}

/// A KV client that accepts answers of any size.
fn kv_client(channel: tonic::transport::Channel) -> pb::kv_client::KvClient<tonic::transport::Channel> {
    pb::kv_client::KvClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

/// Awaits one unary call with the deadline every call has.
async fn call<T>(f: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(CALL_TIMEOUT, f).await {
        Ok(r) => r.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("context deadline exceeded")),
    }
}

fn get_op(key: Bytes) -> pb::RequestOp {
    pb::RequestOp {
        request: Some(request_op::Request::RequestRange(pb::RangeRequest {
            key,
            ..Default::default()
        })),
    }
}

fn first_range(responses: Vec<pb::ResponseOp>) -> Option<Arc<KeyValue>> {
    responses.into_iter().find_map(|r| match r.response {
        Some(response_op::Response::ResponseRange(r)) => r.kvs.into_iter().next().map(pair),
        _ => None,
    })
}

fn header_rev(header: Option<pb::ResponseHeader>) -> i64 {
    header.map_or(0, |h| h.revision)
}

fn text(key: Bytes) -> String {
    String::from_utf8_lossy(&key).into_owned()
}

fn pair(kv: etcd_proto::mvccpb::KeyValue) -> Arc<KeyValue> {
    Arc::new(KeyValue {
        key: text(kv.key).into(),
        value: kv.value,
        mod_rev: kv.mod_revision,
        create_rev: kv.create_revision,
        memo: Memo::default(),
    })
}

/// etcd's error texts as data.
fn storage_error(s: &Status) -> StorageError {
    if errors::COMPACTED.matches(s) {
        StorageError::Compacted(0)
    } else if errors::FUTURE_REVISION.matches(s) {
        StorageError::Future
    } else if errors::REQUEST_TOO_LARGE.matches(s)
        || s.code() == Code::ResourceExhausted && s.message().contains("larger than max")
    {
        StorageError::TooLarge
    } else {
        match s.code() {
            Code::Unavailable => StorageError::Unavailable(s.message().to_owned()),
            Code::DeadlineExceeded => StorageError::Timeout(s.message().to_owned()),
            _ => StorageError::Other(s.message().to_owned()),
        }
    }
}

#[async_trait]
impl Storage for Etcd {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        let r = self
            .range(pb::RangeRequest {
                key: Bytes::copy_from_slice(key.as_bytes()),
                limit: 1,
                ..Default::default()
            })
            .await?;
        Ok((r.kvs.into_iter().next().map(pair), header_rev(r.header)))
    }

    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        let mut start = if req.start.is_empty() {
            req.prefix.clone()
        } else {
            req.start.clone()
        }
        .into_bytes();
        let mut page = ListPage::default();
        let mut revision = req.revision;
        let mut first = true;
        loop {
            let limit = if req.limit == 0 {
                PAGE
            } else {
                (req.limit - page.items.len()).min(PAGE)
            };
            let r = self
                .range(pb::RangeRequest {
                    key: start.clone().into(),
                    range_end: prefix_end(&req.prefix).into(),
                    limit: limit as i64,
                    revision,
                    ..Default::default()
                })
                .await?;
            if first {
                page.revision = header_rev(r.header);
                page.count = r.count;
                first = false;
            }
            if revision == 0 {
                // Later pages of one list show the same moment.
                revision = header_rev(r.header);
            }
            page.items.extend(r.kvs.into_iter().map(pair));
            if !r.more {
                page.more = false;
                return Ok(page);
            }
            if req.limit > 0 && page.items.len() >= req.limit {
                page.more = true;
                return Ok(page);
            }
            let Some(last) = page.items.last() else { return Ok(page) };
            start = last.key.as_bytes().to_vec();
            start.push(0);
        }
    }

    async fn current_revision(&self) -> Result<i64, StorageError> {
        let key = format!("{}/pods", self.root);
        let r = self
            .range(pb::RangeRequest {
                key: key.into(),
                limit: 1,
                ..Default::default()
            })
            .await?;
        Ok(header_rev(r.header))
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        let lease = self.lease(ttl).await?;
        let put = put_op(key, value, lease);
        self.guarded(key, 0, put, false).await
    }

    async fn update(
        &self,
        key: &str,
        value: Bytes,
        expected: i64,
        ttl: Option<Duration>,
    ) -> Result<Write, StorageError> {
        let lease = self.lease(ttl).await?;
        let put = put_op(key, value, lease);
        self.guarded(key, expected, put, true).await
    }

    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError> {
        let op = request_op::Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: Bytes::copy_from_slice(key.as_bytes()),
            ..Default::default()
        });
        self.guarded(key, expected, op, true).await
    }

    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
        watch::open(&self.dialer, prefix, after).await
    }

    async fn compact(&self, rev: i64) -> Result<(), StorageError> {
        let (channel, _) = self.dialer.channel();
        let mut kv = kv_client(channel);
        call(kv.compact(pb::CompactionRequest {
            revision: rev,
            physical: false,
        }))
        .await
        .map(|_| ())
        .map_err(|s| storage_error(&s))
    }

    async fn compact_turn(&self, version: i64, rev: i64) -> Result<CompactTurn, StorageError> {
        let key = Bytes::from_static(COMPACT_REV_KEY.as_bytes());
        let resp = self
            .txn(pb::TxnRequest {
                compare: vec![pb::Compare {
                    result: CompareResult::Equal as i32,
                    target: CompareTarget::Version as i32,
                    key: key.clone(),
                    range_end: Bytes::new(),
                    target_union: Some(TargetUnion::Version(version)),
                }],
                success: vec![pb::RequestOp {
                    request: Some(put_op(COMPACT_REV_KEY, Bytes::from(rev.to_string()), 0)),
                }],
                failure: vec![get_op(key)],
            })
            .await?;
        let revision = header_rev(resp.header);
        if resp.succeeded {
            return Ok(CompactTurn {
                won: true,
                version: version + 1,
                revision,
            });
        }
        let seen = resp.responses.into_iter().find_map(|r| match r.response {
            Some(response_op::Response::ResponseRange(r)) => r.kvs.first().map(|kv| kv.version),
            _ => None,
        });
        Ok(CompactTurn {
            won: false,
            version: seen.unwrap_or(0),
            revision,
        })
    }

    async fn health(&self) -> Result<(), StorageError> {
        let key = format!("{}/health", self.root);
        let (channel, at) = self.dialer.channel();
        let mut kv = kv_client(channel);
        let get = kv.range(pb::RangeRequest {
            key: key.into(),
            ..Default::default()
        });
        match tokio::time::timeout(Duration::from_secs(2), get).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(s)) => {
                self.dialer.failed(at);
                Err(storage_error(&s))
            }
            Err(_) => {
                self.dialer.failed(at);
                Err(StorageError::Timeout("context deadline exceeded".into()))
            }
        }
    }
}

fn put_op(key: &str, value: Bytes, lease: i64) -> request_op::Request {
    request_op::Request::RequestPut(pb::PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value,
        lease,
        ..Default::default()
    })
}
