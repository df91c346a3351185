//! What every [`Storage`] must do; run over memory and over a real etcd.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;

use super::etcd::{Dialer, Etcd, TlsFiles};
use super::memory::Memory;
use super::{Event, ListRequest, Storage, StorageError, WatchItem, WatchStream, Write, compact};

const SLOW: Duration = Duration::from_secs(20);

fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn done(w: Write) -> i64 {
    match w {
        Write::Done(rev) => rev,
        Write::Conflict(kv) => panic!("conflict with {kv:?}"),
    }
}

async fn next(stream: &mut WatchStream) -> Result<Event, StorageError> {
    loop {
        match tokio::time::timeout(SLOW, stream.next())
            .await
            .expect("an event in time")
            .expect("an open stream")?
        {
            WatchItem::Event(e) => return Ok(e),
            WatchItem::Progress(_) => {}
        }
    }
}

async fn all(s: &dyn Storage, prefix: &str, revision: i64) -> Result<Vec<(String, String)>, StorageError> {
    let page = s
        .list(&ListRequest {
            prefix: prefix.into(),
            revision,
            ..Default::default()
        })
        .await?;
    Ok(page
        .items
        .into_iter()
        .map(|kv| (kv.key.to_string(), String::from_utf8_lossy(&kv.value).into_owned()))
        .collect())
}

/// `remembers`: watches may start in history the store has compacted.
async fn contract(s: Arc<dyn Storage>, remembers: bool) {
    create_refuses_what_exists(&*s).await;
    update_and_delete_need_the_present_revision(&*s).await;
    lists_are_paged_and_show_one_moment(&*s).await;
    a_prefix_does_not_match_its_neighbours(&*s).await;
    watch_starts_after_a_revision_and_carries_the_old_value(&*s).await;
    watches_from_now_see_only_what_comes(&*s).await;
    keys_with_a_ttl_go_away_with_an_event(&*s).await;
    compacted_history_is_refused(&*s, remembers).await;
    one_server_compacts_per_turn(&*s).await;
    s.health().await.unwrap();
}

async fn create_refuses_what_exists(s: &dyn Storage) {
    let (none, before) = s.get("/r/a/1").await.unwrap();
    assert_eq!(none, None);
    let rev = done(s.create("/r/a/1", b("x"), None).await.unwrap());
    assert!(rev > before);
    assert!(matches!(
        s.create("/r/a/1", b("y"), None).await.unwrap(),
        Write::Conflict(_)
    ));
    let (kv, now) = s.get("/r/a/1").await.unwrap();
    let kv = kv.unwrap();
    assert_eq!((kv.value.clone(), kv.mod_rev, kv.create_rev), (b("x"), rev, rev));
    assert!(now >= rev);
    assert_eq!(s.current_revision().await.unwrap(), now);
}

async fn update_and_delete_need_the_present_revision(s: &dyn Storage) {
    let first = done(s.create("/r/b/1", b("x"), None).await.unwrap());
    let second = done(s.update("/r/b/1", b("y"), first, None).await.unwrap());
    match s.update("/r/b/1", b("z"), first, None).await.unwrap() {
        Write::Conflict(Some(kv)) => assert_eq!((kv.value.clone(), kv.mod_rev, kv.create_rev), (b("y"), second, first)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        s.delete("/r/b/1", first).await.unwrap(),
        Write::Conflict(Some(_))
    ));
    assert!(done(s.delete("/r/b/1", second).await.unwrap()) > second);
    assert_eq!(s.delete("/r/b/1", second).await.unwrap(), Write::Conflict(None));
    assert_eq!(
        s.update("/r/b/1", b("z"), second, None).await.unwrap(),
        Write::Conflict(None)
    );
}

async fn lists_are_paged_and_show_one_moment(s: &dyn Storage) {
    for i in 0..5 {
        done(s.create(&format!("/r/c/{i}"), b("v"), None).await.unwrap());
    }
    let page = s
        .list(&ListRequest {
            prefix: "/r/c/".into(),
            limit: 2,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!((page.items.len(), page.more, page.count), (2, true, 5));
    done(s.create("/r/c/9", b("later"), None).await.unwrap());
    let rest = ListRequest {
        prefix: "/r/c/".into(),
        start: format!("{}\0", page.items[1].key),
        revision: page.revision,
        ..Default::default()
    };
    let rest = s.list(&rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.more), (3, false));
    assert_eq!(&*rest.items[0].key, "/r/c/2");
    assert_eq!(all(s, "/r/c/", 0).await.unwrap().len(), 6);
    let future = page.revision + 1_000_000;
    assert_eq!(all(s, "/r/c/", future).await.unwrap_err(), StorageError::Future);
}

async fn a_prefix_does_not_match_its_neighbours(s: &dyn Storage) {
    for key in ["/r/d/1", "/r/d-1/1", "/r/d0/1"] {
        done(s.create(key, b("v"), None).await.unwrap());
    }
    assert_eq!(
        all(s, "/r/d/", 0).await.unwrap(),
        [("/r/d/1".to_owned(), "v".to_owned())]
    );
}

async fn watch_starts_after_a_revision_and_carries_the_old_value(s: &dyn Storage) {
    let first = done(s.create("/r/e/1", b("x"), None).await.unwrap());
    let second = done(s.update("/r/e/1", b("y"), first, None).await.unwrap());
    let mut w = s.watch("/r/e/", first).await.unwrap();
    let third = done(s.delete("/r/e/1", second).await.unwrap());
    let e = next(&mut w).await.unwrap();
    assert_eq!((e.rev, e.value, e.prev), (second, Some(b("y")), Some((b("x"), first))));
    let e = next(&mut w).await.unwrap();
    assert_eq!((e.rev, e.value, e.prev), (third, None, Some((b("y"), second))));
    let mut w = s.watch("/r/e/", first - 1).await.unwrap();
    assert_eq!(next(&mut w).await.unwrap().prev, None);
}

async fn watches_from_now_see_only_what_comes(s: &dyn Storage) {
    done(s.create("/r/f/1", b("old"), None).await.unwrap());
    let now = s.current_revision().await.unwrap();
    let mut w = s.watch("/r/f/", now).await.unwrap();
    done(s.create("/r/g/1", b("elsewhere"), None).await.unwrap());
    done(s.create("/r/f/2", b("new"), None).await.unwrap());
    assert_eq!(&*next(&mut w).await.unwrap().key, "/r/f/2");
}

async fn keys_with_a_ttl_go_away_with_an_event(s: &dyn Storage) {
    let rev = done(s.create("/r/h/1", b("x"), Some(Duration::from_secs(1))).await.unwrap());
    let mut w = s.watch("/r/h/", rev).await.unwrap();
    let e = next(&mut w).await.unwrap();
    assert_eq!((&*e.key, e.value), ("/r/h/1", None));
}

async fn compacted_history_is_refused(s: &dyn Storage, remembers: bool) {
    let first = done(s.create("/r/i/1", b("x"), None).await.unwrap());
    let second = done(s.update("/r/i/1", b("y"), first, None).await.unwrap());
    let third = done(s.update("/r/i/1", b("z"), second, None).await.unwrap());
    s.compact(third).await.unwrap();
    assert!(matches!(s.compact(second).await, Err(StorageError::Compacted(_))));
    assert!(matches!(all(s, "/r/i/", first).await, Err(StorageError::Compacted(_))));
    assert_eq!(all(s, "/r/i/", third).await.unwrap()[0].1, "z");
    let refused = match s.watch("/r/i/", first - 1).await {
        Ok(mut w) => next(&mut w).await.map(|_| ()),
        Err(e) => Err(e),
    };
    if remembers {
        assert!(refused.is_ok(), "{refused:?}");
    } else {
        assert!(matches!(refused, Err(StorageError::Compacted(_))), "{refused:?}");
    }
}

async fn one_server_compacts_per_turn(s: &dyn Storage) {
    let mine = compact::cycle(s, compact::Turn::default()).await.unwrap();
    let theirs = compact::cycle(s, compact::Turn::default()).await.unwrap();
    let rev = s.current_revision().await.unwrap();
    // Both saw the same turn; the first to come again wins it.
    compact::cycle(s, mine).await.unwrap();
    compact::cycle(s, theirs).await.unwrap();
    assert!(
        matches!(s.compact(1).await, Err(StorageError::Compacted(_))),
        "nothing was compacted up to {rev}"
    );
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(Arc::new(Memory::default()), false).await;
}

#[tokio::test]
async fn the_watch_cache_keeps_the_contract() {
    let shutdown = tokio_util::sync::CancellationToken::new();
    let cache = crate::watchcache::WatchCache::start(Arc::new(Memory::default()), "/r", shutdown);
    contract(cache, true).await;
}

/// A Debian etcd of this test's own, gone when dropped.
struct Process {
    child: std::process::Child,
    _dir: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[tokio::test]
async fn etcd_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let (client, peer) = (
        format!("http://127.0.0.1:{}", free_port()),
        format!("http://127.0.0.1:{}", free_port()),
    );
    let child = std::process::Command::new("etcd")
        .args(["--name=t", &format!("--data-dir={}", dir.path().display())])
        .args([
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
        ])
        .args([
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
        ])
        .arg(format!("--initial-cluster=t={peer}"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("etcd is not installed: apt-get install etcd-server");
    let _process = Process { child, _dir: dir };
    // The first endpoint is dead: calls must fail over to the second.
    let servers = [format!("http://127.0.0.1:{}", free_port()), client];
    let storage = Etcd::new(
        Dialer::new(&servers, &TlsFiles::default()).unwrap(),
        "/r",
        Duration::from_secs(60),
    );
    let mut rounds = 0;
    while storage.health().await.is_err() {
        rounds += 1;
        assert!(rounds < 200, "etcd did not come up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let storage: Arc<dyn Storage> = Arc::new(storage);
    contract(storage.clone(), false).await;
    // Once more through a watch cache, on keys that are gone again.
    for kv in storage
        .list(&ListRequest {
            prefix: "/r/".into(),
            ..Default::default()
        })
        .await
        .unwrap()
        .items
    {
        done(storage.delete(&kv.key, kv.mod_rev).await.unwrap());
    }
    let shutdown = tokio_util::sync::CancellationToken::new();
    contract(crate::watchcache::WatchCache::start(storage, "/r", shutdown), true).await;
}
