#![allow(clippy::unwrap_used)]
use bytes::Bytes;
use etcd_proto::etcdserverpb::{DeleteRangeRequest, PutRequest};

use super::*;
use crate::engine::memory::Memory;

fn put(key: &str, size: usize) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: vec![b'x'; size].into(),
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
        .write(|core| txn::put(core, put("a", 2000)))
        .await
        .unwrap()
        .unwrap();
    assert!(store.no_space());
    let refused = store.write(|core| txn::put(core, put("b", 1))).await.unwrap();
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
    store.write(|core| txn::put(core, put("b", 1))).await.unwrap().unwrap();
}

#[tokio::test]
async fn writes_are_seen_by_the_reads_that_follow_them() {
    let store = Store::open(Arc::new(Memory::default()), StoreOptions::default()).unwrap();
    for _ in 0..100 {
        let written = store.write(|core| txn::put(core, put("a", 1))).await.unwrap().unwrap();
        let read = store.range(get("a")).await.unwrap();
        assert_eq!(read.kvs[0].mod_revision, written.header.unwrap().revision);
    }
}

#[tokio::test]
async fn a_stopped_store_refuses_writes_and_still_reads() {
    let store = Store::open(Arc::new(Memory::default()), StoreOptions::default()).unwrap();
    store.write(|core| txn::put(core, put("a", 1))).await.unwrap().unwrap();
    store.stop().await;
    assert!(store.write(|core| txn::put(core, put("a", 1))).await.is_err());
    assert_eq!(store.range(get("a")).await.unwrap().count, 1);
}
