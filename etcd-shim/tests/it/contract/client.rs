//! A client that writes short.

use std::time::Duration;

use bytes::Bytes;
use etcd_proto::etcdserverpb::kv_client::KvClient;
use etcd_proto::etcdserverpb::lease_client::LeaseClient;
use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::watch_client::WatchClient;
use etcd_proto::etcdserverpb::watch_request::RequestUnion;
use etcd_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, WatchCreateRequest, WatchRequest,
    WatchResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::endpoint::Running;

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) kv: KvClient<Channel>,
    pub(crate) watch: WatchClient<Channel>,
    pub(crate) lease: LeaseClient<Channel>,
    prefix: String,
}

impl Client {
    pub(crate) fn new(server: &Running, prefix: &str) -> Self {
        let channel = server.channel();
        Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            watch: WatchClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            lease: LeaseClient::new(channel),
            prefix: format!("{prefix}/"),
        }
    }

    /// The key of that name under the case's prefix.
    pub(crate) fn key(&self, name: &str) -> Bytes {
        format!("{}{name}", self.prefix).into()
    }

    /// First key behind the case's prefix.
    pub(crate) fn end(&self) -> Bytes {
        self.key("~")
    }

    pub(crate) fn put_request(&self, name: &str, value: &str) -> PutRequest {
        PutRequest {
            key: self.key(name),
            value: value.to_owned().into(),
            ..Default::default()
        }
    }

    /// Puts; returns the revision.
    pub(crate) async fn put(&self, name: &str, value: &str) -> i64 {
        let response = self
            .kv
            .clone()
            .put(self.put_request(name, value))
            .await
            .unwrap()
            .into_inner();
        response.header.unwrap().revision
    }

    /// Deletes; returns the revision.
    pub(crate) async fn delete(&self, name: &str) -> i64 {
        let request = DeleteRangeRequest {
            key: self.key(name),
            ..Default::default()
        };
        self.kv
            .clone()
            .delete_range(request)
            .await
            .unwrap()
            .into_inner()
            .header
            .unwrap()
            .revision
    }

    /// A request for all keys of the case.
    pub(crate) fn all(&self) -> RangeRequest {
        RangeRequest {
            key: self.key(""),
            range_end: self.end(),
            ..Default::default()
        }
    }

    pub(crate) async fn range(&self, request: RangeRequest) -> RangeResponse {
        self.kv.clone().range(request).await.unwrap().into_inner()
    }

    /// `name=value` of each pair.
    pub(crate) fn pairs(&self, response: &RangeResponse) -> Vec<String> {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let name = |key: &Bytes| text(key).strip_prefix(&self.prefix).unwrap().to_owned();
        response
            .kvs
            .iter()
            .map(|kv| format!("{}={}", name(&kv.key), text(&kv.value)))
            .collect()
    }

    /// Opens a stream. etcd answers the call itself only when it answers the first request on it.
    pub(crate) async fn stream(&self) -> Stream {
        let (requests, receiver) = mpsc::channel(16);
        let mut watch = self.watch.clone();
        let opening =
            tokio::spawn(async move { watch.watch(ReceiverStream::new(receiver)).await.unwrap().into_inner() });
        Stream {
            requests,
            responses: None,
            opening: Some(opening),
        }
    }

    /// A request to watch all keys of the case.
    pub(crate) fn watch_all(&self, start_revision: i64) -> WatchCreateRequest {
        WatchCreateRequest {
            key: self.key(""),
            range_end: self.end(),
            start_revision,
            ..Default::default()
        }
    }
}

/// A watch stream.
pub(crate) struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    responses: Option<Streaming<WatchResponse>>,
    opening: Option<tokio::task::JoinHandle<Streaming<WatchResponse>>>,
}

impl Stream {
    pub(crate) async fn send(&self, request: RequestUnion) {
        self.requests
            .send(WatchRequest {
                request_union: Some(request),
            })
            .await
            .unwrap();
    }

    pub(crate) async fn next(&mut self) -> WatchResponse {
        let next = async {
            if let Some(opening) = self.opening.take() {
                self.responses = Some(opening.await.unwrap());
            }
            let responses = self.responses.as_mut().expect("opened above");
            responses.message().await.unwrap().expect("the stream ended")
        };
        tokio::time::timeout(Duration::from_secs(20), next)
            .await
            .expect("no watch response")
    }

    /// Creates a watch and waits for the answer.
    pub(crate) async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.send(RequestUnion::CreateRequest(request)).await;
        let response = self.next().await;
        assert!(response.created);
        response
    }

    /// Collects events until `last`, each as `revision kind`, and their responses' sizes.
    pub(crate) async fn events_until(&mut self, last: i64) -> Vec<(i64, char)> {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(revision, _)| *revision < last) {
            for event in self.next().await.events {
                let kind = if event.r#type == 0 { 'P' } else { 'D' };
                seen.push((event.kv.unwrap().mod_revision, kind));
            }
        }
        seen
    }
}

pub(crate) fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}
