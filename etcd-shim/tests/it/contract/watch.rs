//! Watch.

use etcd_proto::etcdserverpb::request_op::Request;
use etcd_proto::etcdserverpb::watch_create_request::FilterType;
use etcd_proto::etcdserverpb::watch_request::RequestUnion;
use etcd_proto::etcdserverpb::{
    CompactionRequest, TxnRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest,
};

use super::client::{Client, op};

pub(crate) async fn events_come_with_what_was_before(client: Client) {
    let mut stream = client.stream().await;
    let created = stream
        .create(WatchCreateRequest {
            prev_kv: true,
            ..client.watch_all(0)
        })
        .await;
    let first = client.put("a", "1").await;
    client.put("a", "2").await;
    let third = client.delete("a").await;
    let mut events = Vec::new();
    while events.len() < 3 {
        let response = stream.next().await;
        assert_eq!(response.watch_id, created.watch_id);
        events.extend(response.events);
    }
    assert_eq!(events[0].prev_kv, None);
    assert_eq!(events[1].prev_kv.as_ref().unwrap().mod_revision, first);
    assert_eq!(&events[2].prev_kv.as_ref().unwrap().value[..], b"2");
    let deleted = events[2].kv.as_ref().unwrap();
    assert_eq!(
        (
            events[2].r#type,
            deleted.mod_revision,
            deleted.version,
            deleted.create_revision
        ),
        (1, third, 0, 0)
    );
    assert!(deleted.value.is_empty());
}

pub(crate) async fn history_is_replayed(client: Client) {
    let first = client.put("a", "1").await;
    client.put("b", "1").await;
    client.delete("a").await;
    let last = client.put("a", "2").await;
    let mut stream = client.stream().await;
    stream.create(client.watch_all(first + 1)).await;
    assert_eq!(
        stream.events_until(last).await,
        [(first + 1, 'P'), (first + 2, 'D'), (last, 'P')]
    );
    let next = client.put("a", "3").await;
    assert_eq!(stream.events_until(next).await, [(next, 'P')]);
}

pub(crate) async fn a_transaction_is_one_response(client: Client) {
    let mut stream = client.stream().await;
    stream.create(client.watch_all(0)).await;
    let put = |name: &str| op(Request::RequestPut(client.put_request(name, "1")));
    let request = TxnRequest {
        success: vec![put("a"), put("b"), put("c")],
        ..Default::default()
    };
    let revision = client
        .kv
        .clone()
        .txn(request)
        .await
        .unwrap()
        .into_inner()
        .header
        .unwrap()
        .revision;
    let response = stream.next().await;
    assert_eq!(response.events.len(), 3);
    assert_eq!(response.header.unwrap().revision, revision);
}

pub(crate) async fn filters_leave_out(client: Client) {
    let mut stream = client.stream().await;
    let filters = vec![FilterType::Noput.into()];
    stream
        .create(WatchCreateRequest {
            filters,
            ..client.watch_all(0)
        })
        .await;
    client.put("a", "1").await;
    let gone = client.delete("a").await;
    assert_eq!(stream.events_until(gone).await, [(gone, 'D')]);
}

pub(crate) async fn a_cancelled_watch_says_so(client: Client) {
    let mut stream = client.stream().await;
    let first = stream.create(client.watch_all(0)).await.watch_id;
    let second = stream.create(client.watch_all(0)).await.watch_id;
    assert_ne!(first, second);
    stream
        .send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: first }))
        .await;
    let response = stream.next().await;
    assert!(response.canceled && response.watch_id == first && response.compact_revision == 0);
    client.put("a", "1").await;
    assert_eq!(stream.next().await.watch_id, second);
}

pub(crate) async fn progress_is_answered_for_the_whole_stream(client: Client) {
    let mut stream = client.stream().await;
    stream.create(client.watch_all(0)).await;
    let revision = client.put("a", "1").await;
    assert_eq!(stream.events_until(revision).await.len(), 1);
    stream
        .send(RequestUnion::ProgressRequest(WatchProgressRequest {}))
        .await;
    let response = stream.next().await;
    assert_eq!((response.watch_id, response.events.len()), (-1, 0));
    assert!(response.header.unwrap().revision >= revision);
}

pub(crate) async fn a_compacted_start_is_cancelled(client: Client) {
    let first = client.put("a", "1").await;
    let second = client.put("a", "2").await;
    client
        .kv
        .clone()
        .compact(CompactionRequest {
            revision: second,
            physical: true,
        })
        .await
        .unwrap();
    let mut stream = client.stream().await;
    let created = stream.create(client.watch_all(first)).await;
    let response = stream.next().await;
    assert_eq!(
        (response.watch_id, response.canceled, response.compact_revision),
        (created.watch_id, true, second)
    );
}
