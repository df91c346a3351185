//! The wrapper between a store and those above it.

use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::objects::Objects as _;
use crate::registry::options::{DeleteOptions, ListOptions};
use crate::registry::{Config, NoHooks, Registry};
use crate::request::{Query, RequestContext};
use crate::watchcache::WatchCache;

const SLOW: Duration = Duration::from_secs(20);
const OTHER: &str = "/registry/secrets/default/two";

fn over(memory: &Memory, s: &Setup) -> Arc<Encrypted> {
    let inner = Arc::new(memory.clone());
    Encrypted::start(inner, "/registry", s.encryption.clone(), CancellationToken::new())
}

async fn raw(memory: &Memory, key: &str) -> Bytes {
    memory.get(key).await.unwrap().0.unwrap().value.clone()
}

fn done(write: Write) -> i64 {
    match write {
        Write::Done(rev) => rev,
        Write::Conflict(kv) => panic!("conflict with {kv:?}"),
    }
}

fn all(prefix: &str) -> ListRequest {
    ListRequest {
        prefix: prefix.to_owned(),
        ..Default::default()
    }
}

async fn next(stream: &mut WatchStream) -> Result<Event, StorageError> {
    loop {
        match timeout(SLOW, stream.next()).await.unwrap().unwrap()? {
            WatchItem::Event(e) => return Ok(e),
            WatchItem::Progress(_) => {}
        }
    }
}

#[tokio::test]
async fn values_are_plain_above_and_encrypted_below() {
    let (memory, s) = (Memory::default(), providers(&[&key("aesgcm", "one", K1)]).await);
    let store = over(&memory, &s);
    let mut watch = store.watch("/registry/secrets/", 1).await.unwrap();
    let first = done(store.create(KEY, "a".into(), None).await.unwrap());
    done(
        store
            .create("/registry/configmaps/default/one", "b".into(), None)
            .await
            .unwrap(),
    );
    assert!(raw(&memory, KEY).await.starts_with(b"k8s:enc:aesgcm:v1:one:"));
    assert_eq!(raw(&memory, "/registry/configmaps/default/one").await, "b");

    assert_eq!(store.get(KEY).await.unwrap().0.unwrap().value, "a");
    let second = done(store.update(KEY, "c".into(), first, None).await.unwrap());
    let conflict = |write: Write| match write {
        Write::Conflict(Some(kv)) => kv.value.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(conflict(store.update(KEY, "d".into(), first, None).await.unwrap()), "c");
    assert_eq!(conflict(store.delete(KEY, first).await.unwrap()), "c");
    let page = store.list(&all("/registry/")).await.unwrap();
    let values: Vec<_> = page.items.iter().map(|kv| kv.value.clone()).collect();
    assert_eq!(values, ["b", "c"]);
    assert_eq!(store.count("/registry/secrets/").await.unwrap(), 1);
    done(store.delete(KEY, second).await.unwrap());

    let mut seen = vec![];
    for _ in 0..3 {
        let e = next(&mut watch).await.unwrap();
        seen.push((e.value, e.prev.map(|(bytes, _)| bytes)));
    }
    let counted = component::metrics::text();
    for (way, resource) in [("from_storage", "secrets"), ("to_storage", "secrets")] {
        let line = format!(
            "{{resource=\"{resource}\",status=\"OK\",transformation_type=\"{way}\",transformer_prefix=\"k8s:enc:aesgcm:v1:\"}}"
        );
        assert!(counted.contains(&line), "{line}");
    }
    let timed = "apiserver_storage_transformation_duration_seconds_count{transformation_type=\"to_storage\",transformer_prefix=\"k8s:enc:aesgcm:v1:\"}";
    assert!(counted.contains(timed), "{timed}");
    let b = |text: &'static str| Some(Bytes::from(text));
    assert_eq!(seen, [(b("a"), None), (b("c"), b("a")), (None, b("c"))]);
}

#[tokio::test]
async fn a_value_that_another_key_would_write_is_stale() {
    let memory = Memory::default();
    let store = over(&memory, &providers(&[&key("aesgcm", "one", K1)]).await);
    done(store.create(KEY, "a".into(), None).await.unwrap());
    assert!(!store.stale(KEY).await.unwrap() && !store.stale(OTHER).await.unwrap());
    let store = over(&memory, &providers(&["identity: {}", &key("aesgcm", "one", K1)]).await);
    assert!(store.stale(KEY).await.unwrap());
    let store = over(&memory, &providers(&["identity: {}"]).await);
    let wrong = StorageError::Transform("no matching prefix found".to_owned());
    assert_eq!(store.stale(KEY).await, Err(wrong));
}

#[tokio::test]
async fn a_value_that_cannot_be_written_is_an_error() {
    let kms = "kms: {apiVersion: v2, name: a, endpoint: 'unix:///x.sock', timeout: 50ms}";
    let store = over(&Memory::default(), &providers(&[kms]).await);
    let wrong = StorageError::Transform("got unexpected nil transformer".to_owned());
    assert_eq!(store.create(KEY, "a".into(), None).await, Err(wrong));
}

fn secret(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": {"a": "Yg=="}})
}

fn registry(storage: Arc<dyn Storage>) -> Arc<Registry> {
    Registry::new(storage, Config::default())
}

#[tokio::test]
async fn an_update_that_changes_nothing_rewrites_what_is_stale() {
    let memory = Memory::default();
    let old = registry(over(&memory, &providers(&[&key("aesgcm", "one", K1)]).await));
    old.create("", "secrets", "default", secret("one")).await.unwrap();

    let (two, one) = (key("aesgcm", "two", K2), key("aesgcm", "one", K1));
    let new = over(&memory, &providers(&[&two, &one]).await);
    // Through the copy, which knows nothing of keys.
    let cache = WatchCache::start(new, "/registry", CancellationToken::new());
    let new = registry(cache);
    let touch = async || {
        let store = new.store("", "secrets").unwrap();
        let same = |old: &serde_json::Value| Ok(old.clone());
        let ctx = RequestContext::internal();
        let (entry, _) = store
            .update(&ctx, "default", "one", store.strategy, &same, &NoHooks)
            .await
            .unwrap();
        entry.rev
    };
    let before = memory.get(KEY).await.unwrap().0.unwrap().mod_rev;
    let rewritten = touch().await;
    assert!(rewritten > before);
    assert!(raw(&memory, KEY).await.starts_with(b"k8s:enc:aesgcm:v1:two:"));
    // Once is enough.
    assert_eq!(touch().await, rewritten);
}

#[tokio::test]
async fn an_object_that_cannot_be_decrypted_fails_its_reads_and_lists_by_name() {
    let memory = Memory::default();
    let s = providers(&[&key("aesgcm", "one", K1)]).await;
    let cache = WatchCache::start(over(&memory, &s), "/registry", CancellationToken::new());
    let registry = registry(cache.clone());
    for name in ["one", "two"] {
        registry.create("", "secrets", "default", secret(name)).await.unwrap();
    }
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}});
    registry
        .create("", "serviceaccounts", "default", account)
        .await
        .unwrap();
    let store = registry.store("", "secrets").unwrap();
    let options = |query: &str, watch| ListOptions::parse(&Query::parse(query), watch).unwrap();
    let mut watch = store
        .watch("default", &options("resourceVersion=0", true))
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(timeout(SLOW, watch.next()).await.unwrap().unwrap().is_ok());
    }
    // Somebody stores the value of one under the name of two.
    let (two, _) = memory.get(OTHER).await.unwrap();
    let moved = raw(&memory, KEY).await;
    done(memory.update(OTHER, moved, two.unwrap().mod_rev, None).await.unwrap());

    const WHY: &str = "cipher: message authentication failed";
    let said = store.get("default", "two").await.err().unwrap();
    assert_eq!(
        (said.code, said.message),
        (500, format!("Internal error occurred: {WHY}"))
    );
    let list = format!("Internal error occurred: unable to transform key \"{OTHER}\": {WHY}");
    for query in ["", "resourceVersion=0", "limit=5", "fieldSelector=metadata.name%3Dtwo"] {
        let said = store.list("default", &options(query, false)).await.err().unwrap();
        assert_eq!((said.code, said.message), (500, list.clone()), "{query}");
    }
    let said = timeout(SLOW, watch.next()).await.unwrap().unwrap().err().unwrap();
    assert_eq!(
        (said.code, said.message),
        (500, format!("Internal error occurred: {WHY}"))
    );
    let ctx = RequestContext::internal();
    let delete = store
        .delete(&ctx, "default", "two", &DeleteOptions::default(), &NoHooks)
        .await;
    assert_eq!(delete.err().unwrap().code, 500);
    // Nobody else minds.
    store.get("default", "one").await.unwrap();
    let accounts = registry.store("", "serviceaccounts").unwrap();
    assert_eq!(
        accounts.list("default", &options("", false)).await.unwrap().items.len(),
        1
    );
}

#[tokio::test]
async fn without_a_configuration_encrypted_values_are_refused() {
    let memory = Memory::default();
    let s = providers(&[&key("aesgcm", "one", K1)]).await;
    let encrypted = registry(over(&memory, &s));
    encrypted.create("", "secrets", "default", secret("one")).await.unwrap();
    let plain = registry(Arc::new(memory));
    let store = plain.store("", "secrets").unwrap();
    let said = store.get("default", "one").await.err().unwrap();
    assert_eq!(said.message, format!("Internal error occurred: {NOT_PLAIN}"));
}

// On a paused clock: the pause before another try costs nothing.
#[tokio::test(start_paused = true)]
async fn the_copy_is_made_anew_when_what_was_unreadable_can_be_read() {
    let memory = Memory::default();
    let s = providers(&[&key("aesgcm", "one", K1)]).await;
    let stored = s.seal(b"x");
    done(memory.create(KEY, stored, None).await.unwrap());
    std::fs::write(s.path(), file(&[("secrets", &[&key("aesgcm", "two", K2)])])).unwrap();
    assert_eq!(s.encryption.look().await, Ok(true));
    let cache = WatchCache::start(over(&memory, &s), "/registry", CancellationToken::new());
    cache.wait_filled().await;
    let read = async || cache.get_from(KEY, 0).await.unwrap();
    let (before, rev) = read().await;
    assert_eq!(
        unreadable(&before.unwrap().value).unwrap(),
        "no matching key was found for the provided AES transformer"
    );
    let mut watch = cache.watch("/registry/secrets/", rev).await.unwrap();
    std::fs::write(s.path(), file(&[("secrets", &[&key("aesgcm", "one", K1)])])).unwrap();
    assert_eq!(s.encryption.look().await, Ok(true));
    // A watch of the copy ends when the copy is made anew, and has nothing to tell before.
    while let Some(item) = timeout(SLOW, watch.next()).await.unwrap() {
        assert!(matches!(item, Ok(WatchItem::Progress(_))), "{item:?}");
    }
    assert_eq!(read().await.0.unwrap().value, "x");
}
