//! One etcd watch as a stream of [`WatchItem`]s.
//!
//! The stream ends with an error when etcd cancels it or the connection breaks: watchers above
//! resume from the last revision they saw, or tell their client to.

use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::etcdserverpb as pb;
use etcd_proto::mvccpb;
use futures::StreamExt as _;
use pb::watch_request::RequestUnion;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::dial::Dialer;
use super::{Event, Memo, StorageError, WatchItem, WatchStream, header_rev, prefix_end, storage_error, text};

/// Opens a watch of `prefix` after revision `after` (0: from now on).
pub(super) async fn open(dialer: &Dialer, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
    let (channel, at) = dialer.channel();
    let mut client = pb::watch_client::WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    // The sender must live as long as the stream: closing the request side ends the watch.
    let (tx, rx) = mpsc::channel(1);
    let create = pb::WatchCreateRequest {
        // One zero byte to one zero byte: all keys.
        key: if prefix.is_empty() {
            Bytes::from_static(b"\0")
        } else {
            Bytes::copy_from_slice(prefix.as_bytes())
        },
        range_end: prefix_end(prefix).into(),
        start_revision: if after > 0 { after + 1 } else { 0 },
        prev_kv: true,
        progress_notify: true,
        ..Default::default()
    };
    let first = pb::WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    };
    // Fresh channel with room for one: cannot be full.
    let _ = tx.try_send(first);
    let mut request = tonic::Request::new(ReceiverStream::new(rx));
    request
        .metadata_mut()
        .insert("hasleader", tonic::metadata::MetadataValue::from_static("true"));
    let responses = client
        .watch(request)
        .await
        .map_err(|s| {
            dialer.failed(at);
            storage_error(&s)
        })?
        .into_inner();

    let items = responses.flat_map(move |r| {
        // Keeps the request side open.
        let _ = &tx;
        futures::stream::iter(items_of(r))
    });
    Ok(Box::pin(items))
}

fn items_of(r: Result<pb::WatchResponse, tonic::Status>) -> Vec<Result<WatchItem, StorageError>> {
    let r = match r {
        Ok(r) => r,
        Err(s) => return vec![Err(storage_error(&s))],
    };
    if r.compact_revision > 0 {
        return vec![Err(StorageError::Compacted(r.compact_revision))];
    }
    if r.canceled {
        return vec![Err(StorageError::Unavailable(format!(
            "etcd canceled the watch: {}",
            r.cancel_reason
        )))];
    }
    if r.created {
        return vec![];
    }
    let revision = header_rev(r.header);
    if r.events.is_empty() {
        return vec![Ok(WatchItem::Progress(revision))];
    }
    let events: Vec<Event> = r.events.into_iter().filter_map(event).collect();
    // A response never ends within a revision.
    let last = events.last().map(|e| Ok(WatchItem::Progress(e.rev)));
    events
        .into_iter()
        .map(|e| Ok(WatchItem::Event(e)))
        .chain(last)
        .collect()
}

fn event(e: mvccpb::Event) -> Option<Event> {
    let deleted = e.r#type == mvccpb::event::EventType::Delete as i32;
    let kv = e.kv?;
    Some(Event {
        key: text(kv.key).into(),
        rev: kv.mod_revision,
        value: (!deleted).then_some(kv.value),
        prev: e.prev_kv.map(|p| (p.value, p.mod_revision)),
        memo: Arc::default(),
        prev_memo: Memo::default(),
    })
}
