#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::WatchCache;
use crate::storage::memory::Memory;
use crate::storage::{
    CompactTurn, Event, KeyValue, ListPage, ListRequest, Storage, StorageError, Wanted, WatchItem, WatchStream, Write,
};

/// A watcher that must be asked of everything.
struct Asked(fn(&Event) -> bool);

impl Wanted for Asked {
    fn wants(&self, e: &Event) -> bool {
        self.0(e)
    }
}

async fn filled(inner: Arc<dyn Storage>) -> Arc<WatchCache> {
    let cache = WatchCache::start(inner, "/r", CancellationToken::new());
    cache.wait_filled().await;
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
    assert_eq!(keys, ["/r/a/2".into(), "/r/a/3".into()]);
}

#[tokio::test]
async fn who_wants_little_is_told_little_and_all_share_what_they_are_told() {
    let cache = filled(Arc::new(Memory::default())).await;
    let now = cache.current_revision().await.unwrap();
    let wanted = Box::new(Asked(|e| &*e.key == "/r/a/2"));
    let mut few = cache.watch_wanted("/r/a/", now, wanted).await.unwrap();
    let mut all = cache.watch("/r/a/", now).await.unwrap();
    for i in 0..4 {
        let key = format!("/r/a/{i}");
        cache.create(&key, Bytes::from("x"), None).await.unwrap();
    }
    let mut memos = vec![];
    while memos.len() < 4 {
        if let WatchItem::Event(e) = all.next().await.unwrap().unwrap() {
            memos.push(e.memo);
        }
    }
    let Some(Ok(WatchItem::Event(told))) = few.next().await else {
        panic!("no event")
    };
    assert_eq!(&*told.key, "/r/a/2");
    assert!(Arc::ptr_eq(&told.memo, &memos[2]));
    assert!(futures::poll!(few.next()).is_pending(), "told of another");
    // What is kept for watchers to come has nothing of it.
    let mut late = cache.watch("/r/a/", now).await.unwrap();
    let Some(Ok(WatchItem::Event(again))) = late.next().await else {
        panic!("no event")
    };
    assert!(!memos.iter().any(|memo| Arc::ptr_eq(memo, &again.memo)));
}

#[tokio::test]
async fn a_watcher_whose_question_panics_does_not_end_the_copy() {
    let cache = filled(Arc::new(Memory::default())).await;
    let now = cache.current_revision().await.unwrap();
    let wanted = Box::new(Asked(|e| {
        if &*e.key == "/r/a/0" {
            panic!("its own fault")
        } else {
            false
        }
    }));
    let mut watch = cache.watch_wanted("/r/a/", now, wanted).await.unwrap();
    for i in 0..2 {
        let key = format!("/r/a/{i}");
        cache.create(&key, Bytes::from("x"), None).await.unwrap();
    }
    let Some(Ok(WatchItem::Event(told))) = watch.next().await else {
        panic!("no event")
    };
    assert_eq!(&*told.key, "/r/a/0");
    assert_eq!(cache.list(&request(0)).await.unwrap().items.len(), 2);
    let seen = *cache.shared.seen.borrow();
    assert!(seen >= now + 2, "the copy goes on: {seen} after {now}");
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

/// Counts the questions for the revision; each takes a turn of the scheduler or two.
#[derive(Default)]
struct Counting {
    inner: Memory,
    asked: std::sync::atomic::AtomicUsize,
}

#[async_trait::async_trait]
impl Storage for Counting {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        self.inner.get(key).await
    }
    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        self.inner.list(req).await
    }
    async fn current_revision(&self) -> Result<i64, StorageError> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.inner.current_revision().await
    }
    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        self.inner.create(key, value, ttl).await
    }
    async fn update(&self, key: &str, value: Bytes, at: i64, ttl: Option<Duration>) -> Result<Write, StorageError> {
        self.inner.update(key, value, at, ttl).await
    }
    async fn delete(&self, key: &str, at: i64) -> Result<Write, StorageError> {
        self.inner.delete(key, at).await
    }
    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
        self.inner.watch(prefix, after).await
    }
    async fn compact(&self, rev: i64) -> Result<(), StorageError> {
        self.inner.compact(rev).await
    }
    async fn compact_turn(&self, version: i64, rev: i64) -> Result<CompactTurn, StorageError> {
        self.inner.compact_turn(version, rev).await
    }
    async fn health(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[tokio::test]
async fn readers_at_once_share_questions_and_see_every_write_before_them() {
    let inner = Arc::new(Counting::default());
    let cache = filled(inner.clone()).await;
    let mut asked = 0;
    for i in 0..20 {
        let key = format!("/r/a/{i}");
        cache.create(&key, Bytes::from("x"), None).await.unwrap();
        let reads = (0..50).map(|_| cache.get(&key));
        for read in futures::future::join_all(reads).await {
            assert!(read.unwrap().0.is_some(), "{key}");
        }
        asked = inner.asked.load(std::sync::atomic::Ordering::SeqCst);
    }
    assert!(asked <= 20 * 3, "{asked} questions for {} reads", 20 * 50);
}

#[tokio::test]
async fn a_watch_from_compacted_history_is_served_from_the_ring() {
    let cache = filled(Arc::new(Memory::default())).await;
    let mut revs = vec![];
    for i in 0..3 {
        let Write::Done(rev) = cache
            .create(&format!("/r/a/{i}"), Bytes::from("x"), None)
            .await
            .unwrap()
        else {
            panic!("conflict")
        };
        revs.push(rev);
    }
    cache.list(&request(0)).await.unwrap();
    cache.compact(revs[2]).await.unwrap();
    let mut w = cache.watch("/r/a/", revs[0]).await.unwrap();
    let Some(Ok(WatchItem::Event(e))) = w.next().await else {
        panic!("no event")
    };
    assert_eq!(&*e.key, "/r/a/1");
    let then = ListRequest {
        revision: revs[0],
        ..request(0)
    };
    assert!(matches!(cache.list(&then).await, Err(StorageError::Compacted(_))));
}

#[tokio::test]
async fn keys_are_counted_as_they_come_and_go() {
    let inner = Arc::new(Memory::default());
    for key in ["/r/a/n/1", "/r/a/m/1", "/r/s/specs/n/1"] {
        inner.create(key, Bytes::from("x"), None).await.unwrap();
    }
    let cache = filled(inner).await;
    let counts = async || {
        // A consistent read: the copy has all that was written before.
        cache.list(&request(1)).await.unwrap();
        let folders = ["/r/a/", "/r/a/n/", "/r/s/specs/", "/r/s/", "/r/"];
        let mut all = vec![];
        for folder in folders {
            all.push(cache.count(folder).await.unwrap());
        }
        all
    };
    assert_eq!(counts().await, [2, 1, 1, 1, 3]);
    let Write::Done(rev) = cache.create("/r/a/n/2", Bytes::from("x"), None).await.unwrap() else {
        panic!("conflict")
    };
    cache.update("/r/a/n/2", Bytes::from("y"), rev, None).await.unwrap();
    cache
        .create("/r/s/endpoints/n/1", Bytes::from("x"), None)
        .await
        .unwrap();
    assert_eq!(counts().await, [3, 2, 1, 2, 5]);
    for key in ["/r/a/n/1", "/r/a/n/2", "/r/a/m/1"] {
        let (Some(kv), _) = cache.get(key).await.unwrap() else {
            panic!("gone")
        };
        cache.delete(key, kv.mod_rev).await.unwrap();
    }
    assert_eq!(counts().await, [0, 0, 1, 2, 2]);
}
