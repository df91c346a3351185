#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::WatchCache;
use crate::storage::memory::Memory;
use crate::storage::{ListRequest, Storage, WatchItem, Write};

async fn filled(inner: Arc<dyn Storage>) -> Arc<WatchCache> {
    let cache = WatchCache::start(inner, "/r", CancellationToken::new());
    cache.shared.seen.subscribe().wait_for(|s| *s > 0).await.unwrap();
    cache
}

fn request(limit: usize) -> ListRequest {
    ListRequest {
        prefix: "/r/a/".into(),
        limit,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_list_shows_every_write_before_it() {
    let cache = filled(Arc::new(Memory::default())).await;
    for i in 0..50 {
        let Write::Done(rev) = cache
            .create(&format!("/r/a/{i:02}"), Bytes::from("x"), None)
            .await
            .unwrap()
        else {
            panic!("conflict")
        };
        let page = cache.list(&request(0)).await.unwrap();
        assert_eq!(page.items.len(), i + 1);
        assert!(page.revision >= rev);
    }
}

#[tokio::test]
async fn pages_of_one_list_show_one_moment() {
    let cache = filled(Arc::new(Memory::default())).await;
    for i in 0..5 {
        cache
            .create(&format!("/r/a/{i}"), Bytes::from("x"), None)
            .await
            .unwrap();
    }
    let first = cache.list(&request(2)).await.unwrap();
    cache.create("/r/a/9", Bytes::from("x"), None).await.unwrap();
    cache.list(&request(0)).await.unwrap();
    let next = ListRequest {
        start: "/r/a/1\0".into(),
        revision: first.revision,
        ..request(0)
    };
    let second = cache.list(&next).await.unwrap();
    assert_eq!((second.items.len(), second.count), (3, 3));
}

#[tokio::test]
async fn a_watcher_gets_what_it_missed_and_what_comes() {
    let cache = filled(Arc::new(Memory::default())).await;
    let Write::Done(first) = cache.create("/r/a/1", Bytes::from("x"), None).await.unwrap() else {
        panic!("conflict")
    };
    cache.create("/r/a/2", Bytes::from("x"), None).await.unwrap();
    cache.create("/r/ab/1", Bytes::from("x"), None).await.unwrap();
    cache.list(&request(0)).await.unwrap();
    let mut w = cache.watch("/r/a/", first).await.unwrap();
    cache.create("/r/a/3", Bytes::from("x"), None).await.unwrap();
    let mut keys = vec![];
    while keys.len() < 2 {
        if let WatchItem::Event(e) = w.next().await.unwrap().unwrap() {
            keys.push(e.key);
        }
    }
    assert_eq!(keys, ["/r/a/2", "/r/a/3"]);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_cut_off() {
    let cache = filled(Arc::new(Memory::default())).await;
    cache.list(&request(0)).await.unwrap();
    let rev = cache.current_revision().await.unwrap();
    let w = cache.watch("/r/a/", rev).await.unwrap();
    for i in 0..2000 {
        cache
            .create(&format!("/r/a/{i}"), Bytes::from("x"), None)
            .await
            .unwrap();
        if i % 500 == 0 {
            cache.list(&request(1)).await.unwrap();
        }
    }
    cache.list(&request(1)).await.unwrap();
    // What was buffered still comes; then the stream ends instead of skipping events.
    assert!(w.count().await < 2000);
}
