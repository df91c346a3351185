#![allow(clippy::unwrap_used)]
use std::time::Duration;

use bytes::Bytes;
use etcd_proto::etcdserverpb::{DeleteRangeRequest, PutRequest};

use super::*;
use crate::engine::memory::Memory;
use crate::lease;

fn put(key: &str, size: usize, lease: i64) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: vec![b'x'; size].into(),
        lease,
        ..Default::default()
    }
}

fn get(key: &str) -> RangeRequest {
    RangeRequest {
        key: key.to_owned().into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn beyond_the_quota_puts_are_refused_and_deletes_are_not() {
    let options = StoreOptions {
        quota_bytes: 1000,
        ..StoreOptions::default()
    };
    let store = Store::open(Arc::new(Memory::default()), options).unwrap();
    store
        .write(|core| txn::put(core, put("a", 2000, 0)))
        .await
        .unwrap()
        .unwrap();
    assert!(store.no_space());
    let refused = store.write(|core| txn::put(core, put("b", 1, 0))).await.unwrap();
    assert!(matches!(refused, Err(Error::NoSpace)));
    let delete = DeleteRangeRequest {
        key: Bytes::from_static(b"a"),
        ..Default::default()
    };
    assert_eq!(
        store
            .write(|core| txn::delete_range(core, delete))
            .await
            .unwrap()
            .unwrap()
            .deleted,
        1
    );
    store.disarm();
    store.write(|core| core.no_space = false).await.unwrap();
    store
        .write(|core| txn::put(core, put("b", 1, 0)))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn writes_are_seen_by_the_reads_that_follow_them() {
    let store = Store::open(Arc::new(Memory::default()), StoreOptions::default()).unwrap();
    for _ in 0..100 {
        let written = store
            .write(|core| txn::put(core, put("a", 1, 0)))
            .await
            .unwrap()
            .unwrap();
        let read = store.range(get("a")).await.unwrap();
        assert_eq!(read.kvs[0].mod_revision, written.header.unwrap().revision);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_when_its_time_has_come_and_not_before() {
    let store = Store::open(Arc::new(Memory::default()), StoreOptions::default()).unwrap();
    tokio::spawn(lease::expire(store.clone()));
    let now = Instant::now();
    store
        .write(move |core| txn::lease_grant(core, 7, 10, now))
        .await
        .unwrap()
        .unwrap();
    store.lease_changed.notify_one();
    store
        .write(|core| txn::put(core, put("a", 1, 7)))
        .await
        .unwrap()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(store.range(get("a")).await.unwrap().count, 1);
    store.lessor().lock().renew(7, Instant::now());
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(store.range(get("a")).await.unwrap().count, 1);
    while store.range(get("a")).await.unwrap().count == 1 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(now.elapsed() >= Duration::from_secs(19));
    assert!(store.lessor().lock().ids().is_empty());
}

#[tokio::test]
async fn a_stopped_store_refuses_writes_and_still_reads() {
    let store = Store::open(Arc::new(Memory::default()), StoreOptions::default()).unwrap();
    store
        .write(|core| txn::put(core, put("a", 1, 0)))
        .await
        .unwrap()
        .unwrap();
    store.stop().await;
    assert!(store.write(|core| txn::put(core, put("a", 1, 0))).await.is_err());
    assert_eq!(store.range(get("a")).await.unwrap().count, 1);
}
