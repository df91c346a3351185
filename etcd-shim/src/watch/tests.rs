#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use bytes::Bytes;
use etcd_proto::etcdserverpb::{PutRequest, WatchCreateRequest, WatchResponse};

use super::*;
use crate::engine::memory::Memory;
use crate::store::{Store, StoreOptions};
use crate::txn;

fn store() -> Arc<Store> {
    Store::open(Arc::new(Memory::default()), StoreOptions::default()).unwrap()
}

async fn put(store: &Store, key: &str, size: usize) -> i64 {
    let request = PutRequest {
        key: key.to_owned().into(),
        value: vec![b'x'; size].into(),
        ..Default::default()
    };
    store
        .write(move |core| txn::put(core, request))
        .await
        .unwrap()
        .unwrap()
        .header
        .unwrap()
        .revision
}

fn create(key: &str, from: i64) -> WatchCreateRequest {
    let end = format!("{key}~");
    WatchCreateRequest {
        key: key.to_owned().into(),
        range_end: end.into(),
        start_revision: from,
        prev_kv: true,
        ..Default::default()
    }
}

/// Delivers and catches up until there is nothing more to do.
fn drain(session: &mut Session) -> Vec<WatchResponse> {
    let mut responses = Vec::new();
    loop {
        let items = session.mailbox().take();
        let quiet = items.is_empty();
        responses.extend(session.deliver(items).unwrap());
        if session.is_behind() {
            responses.extend(session.catch_up().unwrap());
        } else if quiet {
            return responses;
        }
    }
}

fn revisions(responses: &[WatchResponse]) -> Vec<i64> {
    responses
        .iter()
        .flat_map(|response| &response.events)
        .map(|event| event.kv.as_ref().unwrap().mod_revision)
        .collect()
}

#[tokio::test]
async fn a_watch_from_the_past_sees_all_once_and_in_order() {
    let store = store();
    for _ in 0..5 {
        put(&store, "a", 1).await;
    }
    let mut session = Session::new(store.clone());
    assert!(session.create(create("a", 3)).created);
    put(&store, "a", 1).await;
    put(&store, "b", 1).await;
    let responses = drain(&mut session);
    assert_eq!(revisions(&responses), [3, 4, 5, 6, 7]);
    let last = responses.last().unwrap().events.last().unwrap();
    assert_eq!(last.prev_kv.as_ref().unwrap().mod_revision, 6);
}

#[tokio::test]
async fn a_watch_that_does_not_keep_up_loses_nothing() {
    let store = store();
    let mut session = Session::new(store.clone());
    session.create(create("a", 0));
    // More than a mailbox and the ring of recent events hold.
    let mut expected = Vec::new();
    for _ in 0..40 {
        expected.push(put(&store, "a", 1 << 20).await);
    }
    assert_eq!(revisions(&drain(&mut session)), expected);
    let next = put(&store, "a", 1).await;
    assert_eq!(revisions(&drain(&mut session)), [next]);
}

#[tokio::test]
async fn progress_is_told_only_after_all_earlier_events() {
    let store = store();
    let mut session = Session::new(store.clone());
    session.create(create("a", 2));
    let revision = put(&store, "a", 1).await;
    session.request_progress();
    let after = put(&store, "z", 1).await;
    let responses = drain(&mut session);
    let position = responses.iter().position(|response| response.watch_id == -1).unwrap();
    assert_eq!(revisions(&responses[..position]), [revision]);
    assert!(responses[position].events.is_empty());
    assert!((revision..=after).contains(&responses[position].header.as_ref().unwrap().revision));
}

#[tokio::test]
async fn progress_asked_while_behind_waits_for_history() {
    let store = store();
    for _ in 0..20 {
        put(&store, "a", 1 << 20).await;
    }
    let mut session = Session::new(store.clone());
    session.create(create("a", 2));
    session.request_progress();
    let responses = drain(&mut session);
    assert_eq!(
        responses.iter().position(|response| response.watch_id == -1),
        Some(responses.len() - 1)
    );
    assert_eq!(revisions(&responses).len(), 20);
}

#[tokio::test]
async fn a_compacted_start_cancels_the_watch_and_says_where_history_begins() {
    let store = store();
    for _ in 0..5 {
        put(&store, "a", 1).await;
    }
    store.write(|core| core.compact(5)).await.unwrap().unwrap();
    store.compacted().await;
    let mut session = Session::new(store.clone());
    session.create(create("a", 4));
    session.create(create("a", 5));
    let responses = drain(&mut session);
    assert_eq!(
        (
            responses[0].watch_id,
            responses[0].canceled,
            responses[0].compact_revision
        ),
        (0, true, 5)
    );
    assert_eq!(revisions(&responses), [5, 6]);
}

#[tokio::test]
async fn a_watch_of_the_future_waits_for_it() {
    let store = store();
    let mut session = Session::new(store.clone());
    session.create(create("a", 4));
    for _ in 0..4 {
        put(&store, "a", 1).await;
    }
    assert_eq!(revisions(&drain(&mut session)), [4, 5]);
}

#[tokio::test]
async fn a_cancelled_watch_is_silent_and_its_id_unknown() {
    let store = store();
    let mut session = Session::new(store.clone());
    session.create(create("a", 0));
    put(&store, "a", 1).await;
    assert!(session.cancel(0).unwrap().canceled);
    assert!(session.cancel(0).is_none());
    assert!(revisions(&drain(&mut session)).is_empty());
    assert_eq!(store.hub().len(), 0);
}

#[tokio::test]
async fn ids_are_chosen_by_the_client_or_in_order_and_never_twice() {
    let store = store();
    let mut session = Session::new(store.clone());
    let ids: Vec<_> = [0, 7, 0, 7]
        .into_iter()
        .map(|watch_id| {
            session.create(WatchCreateRequest {
                watch_id,
                ..create("a", 0)
            })
        })
        .map(|response| (response.watch_id, response.canceled))
        .collect();
    assert_eq!(ids, [(0, false), (7, false), (1, false), (-1, true)]);
}

#[tokio::test]
async fn a_large_response_is_cut_only_for_who_allows_it() {
    let store = store();
    let keys: Vec<_> = (0..4).map(|number| format!("a{number}")).collect();
    store
        .write(move |core| {
            let mut writer = core.begin();
            for key in keys {
                writer.put(key.into(), Bytes::from(vec![b'x'; 1 << 20]), 0);
            }
        })
        .await
        .unwrap();
    let mut session = Session::new(store.clone());
    session.create(WatchCreateRequest {
        fragment: true,
        ..create("a", 2)
    });
    session.create(create("a", 2));
    let responses = drain(&mut session);
    let cuts = |id: i64| -> Vec<_> {
        responses
            .iter()
            .filter(|response| response.watch_id == id)
            .map(|response| response.fragment)
            .collect()
    };
    assert_eq!((cuts(0), cuts(1)), (vec![true, true, true, false], vec![false]));
}
