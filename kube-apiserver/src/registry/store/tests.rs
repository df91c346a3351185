//! The generic store over memory, by behaviour.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use apimachinery::meta;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::delivery::Frame;
use super::{ChangeKind, ChangeStream, Store};
use crate::registry::options::{DeleteOptions, ListOptions};
use crate::registry::strategy::RAW;
use crate::registry::{Hooks, NoHooks};
use crate::request::{Query, RequestContext};
use crate::resources;
use crate::storage::memory::Memory;
use crate::storage::{CompactTurn, KeyValue, ListPage, ListRequest, Storage, StorageError, WatchStream, Write};

fn store(group: &str, plural: &str) -> Arc<Store> {
    let row = resources::find(group, "v1", plural).unwrap();
    Arc::new(Store::new(row, Arc::new(Memory::default()), "/registry", None))
}

fn ctx() -> RequestContext {
    RequestContext::internal()
}

fn cm(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": name}}, "data": {"k": "v"}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "terminationGracePeriodSeconds": 30, "restartPolicy": "Always", "dnsPolicy": "Default", "schedulerName": "s",
        "enableServiceLinks": true, "securityContext": {},
        "containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always", "resources": {},
            "terminationMessagePolicy": "File", "terminationMessagePath": "/m"}]}})
}

async fn create(s: &Store, obj: Value) -> Arc<super::Entry> {
    s.create(&ctx(), "default", obj, &NoHooks).await.unwrap()
}

async fn replace(s: &Store, obj: Value) -> Result<Arc<super::Entry>, ApiError> {
    let name = meta::name(&obj).to_owned();
    s.update(
        &ctx(),
        "default",
        &name,
        s.strategy,
        &move |_| Ok(obj.clone()),
        &NoHooks,
    )
    .await
    .map(|(e, _)| e)
}

fn options(query: &str) -> ListOptions {
    ListOptions::parse(&Query::parse(query), false).unwrap()
}

fn watching(query: &str) -> ListOptions {
    ListOptions::parse(&Query::parse(query), true).unwrap()
}

async fn event(w: &mut ChangeStream) -> (ChangeKind, Value) {
    let change = w.next().await.unwrap().unwrap();
    (change.kind, change.entry.value().as_ref().clone())
}

#[tokio::test]
async fn create_fills_in_what_the_server_owns() {
    let s = store("", "configmaps");
    let e = create(&s, cm("a")).await;
    assert_eq!(meta::namespace(&e.value()), "default");
    assert!(!meta::uid(&e.value()).is_empty());
    assert!(meta::creation_timestamp(&e.value()).ends_with('Z'));
    assert_eq!(meta::resource_version(&e.value()), e.rev.to_string());
    let err = s.create(&ctx(), "default", cm("a"), &NoHooks).await.err().unwrap();
    assert_eq!(
        (err.code, err.message.as_str()),
        (409, "configmaps \"a\" already exists")
    );
}

#[tokio::test]
async fn generated_names_carry_their_prefix() {
    let s = store("", "configmaps");
    let mut obj = cm("");
    obj["metadata"] = json!({"generateName": "web-"});
    let e = create(&s, obj).await;
    assert!(meta::name(&e.value()).starts_with("web-") && meta::name(&e.value()).len() == 9);
}

#[tokio::test]
async fn a_body_of_another_namespace_is_refused() {
    let s = store("", "configmaps");
    let mut obj = cm("a");
    obj["metadata"]["namespace"] = "other".into();
    let err = s.create(&ctx(), "default", obj, &NoHooks).await.err().unwrap();
    assert_eq!(err.code, 400);
}

#[tokio::test]
async fn dry_run_writes_nothing() {
    let s = store("", "configmaps");
    let dry = RequestContext { dry_run: true, ..ctx() };
    s.create(&dry, "default", cm("a"), &NoHooks).await.unwrap();
    assert!(s.get("default", "a").await.err().unwrap().is_not_found());
    create(&s, cm("a")).await;
    let err = s.create(&dry, "default", cm("a"), &NoHooks).await.err().unwrap();
    assert!(err.is_already_exists());
    s.delete(&dry, "default", "a", &DeleteOptions::default(), &NoHooks)
        .await
        .unwrap();
    s.get("default", "a").await.unwrap();
}

#[tokio::test]
async fn updates_of_a_stale_version_conflict() {
    let s = store("", "configmaps");
    let first = create(&s, cm("a")).await;
    let mut obj = first.value().as_ref().clone();
    obj["data"]["k"] = "w".into();
    let second = replace(&s, obj.clone()).await.unwrap();
    assert!(second.rev > first.rev);
    let err = replace(&s, obj).await.err().unwrap();
    assert_eq!(
        err.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    // Without a version the update is unconditional, and identity is kept.
    let e = replace(&s, cm("a")).await.unwrap();
    assert_eq!(meta::uid(&e.value()), meta::uid(&first.value()));
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let s = store("", "configmaps");
    let first = create(&s, cm("a")).await;
    let again = replace(&s, cm("a")).await.unwrap();
    assert_eq!(first.rev, again.rev);
}

#[tokio::test]
async fn another_uid_is_a_conflict() {
    let s = store("", "configmaps");
    create(&s, cm("a")).await;
    let mut obj = cm("a");
    obj["metadata"]["uid"] = "0".into();
    assert_eq!(replace(&s, obj).await.err().unwrap().code, 409);
}

#[tokio::test]
async fn finalizers_hold_a_deleted_object_until_removed() {
    let s = store("", "configmaps");
    let mut obj = cm("a");
    obj["metadata"]["finalizers"] = json!(["example.com/hold"]);
    create(&s, obj).await;
    let d = s
        .delete(&ctx(), "default", "a", &DeleteOptions::default(), &NoHooks)
        .await
        .unwrap();
    assert!(!d.gone);
    let held = s.get("default", "a").await.unwrap();
    assert!(meta::is_terminating(&held.value()));
    let mut obj = held.value().as_ref().clone();
    meta::remove(&mut obj, "finalizers");
    replace(&s, obj).await.unwrap();
    assert!(s.get("default", "a").await.err().unwrap().is_not_found());
}

#[tokio::test]
async fn foreground_deletion_waits_for_the_collector() {
    let s = store("apps", "deployments");
    let obj = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let mut obj = obj;
    s.strategy.default(&mut obj);
    create(&s, obj).await;
    let foreground = DeleteOptions {
        propagation_policy: Some("Foreground".into()),
        ..Default::default()
    };
    let d = s.delete(&ctx(), "default", "d", &foreground, &NoHooks).await.unwrap();
    assert!(!d.gone);
    let held = s.get("default", "d").await.unwrap();
    assert_eq!(meta::finalizers(&held.value()), ["foregroundDeletion"]);
    // Background takes the finalizer away again, and the object goes.
    let background = DeleteOptions {
        propagation_policy: Some("Background".into()),
        ..Default::default()
    };
    s.delete(&ctx(), "default", "d", &background, &NoHooks).await.unwrap();
    let gone = s.get("default", "d").await;
    assert!(gone.is_err() || meta::finalizers(&gone.unwrap().value()).is_empty());
}

#[tokio::test]
async fn preconditions_of_a_delete_must_hold() {
    let s = store("", "configmaps");
    create(&s, cm("a")).await;
    let wrong = DeleteOptions {
        uid: Some("0".into()),
        ..Default::default()
    };
    assert_eq!(
        s.delete(&ctx(), "default", "a", &wrong, &NoHooks)
            .await
            .err()
            .unwrap()
            .code,
        409
    );
    let wrong = DeleteOptions {
        resource_version: Some("1".into()),
        ..Default::default()
    };
    assert_eq!(
        s.delete(&ctx(), "default", "a", &wrong, &NoHooks)
            .await
            .err()
            .unwrap()
            .code,
        409
    );
}

#[tokio::test]
async fn a_namespace_goes_when_its_content_is_finalized() {
    let s = store("", "namespaces");
    let ns = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}});
    s.create(&ctx(), "", ns, &NoHooks).await.unwrap();
    let d = s
        .delete(&ctx(), "", "n", &DeleteOptions::default(), &NoHooks)
        .await
        .unwrap();
    assert!(!d.gone);
    assert_eq!(d.entry.value()["status"]["phase"], "Terminating");
    let empty = |old: &Value| {
        let mut new = old.clone();
        new["spec"] = json!({});
        Ok(new)
    };
    s.update(&ctx(), "", "n", &RAW, &empty, &NoHooks).await.unwrap();
    assert!(s.get("", "n").await.err().unwrap().is_not_found());
}

#[tokio::test]
async fn lists_are_paged_by_tokens() {
    let s = store("", "configmaps");
    for n in ["a", "b", "c"] {
        create(&s, cm(n)).await;
    }
    let page = s.list("default", &options("limit=2")).await.unwrap();
    assert_eq!((page.items.len(), page.remaining), (2, Some(1)));
    create(&s, cm("b2")).await;
    let rest = s
        .list(
            "default",
            &options(&format!("limit=2&continue={}", page.continue_token)),
        )
        .await
        .unwrap();
    assert_eq!(
        rest.items
            .iter()
            .map(|e| meta::name(&e.value()).to_owned())
            .collect::<Vec<_>>(),
        ["c"]
    );
    assert_eq!(rest.resource_version, page.resource_version);
    assert!(rest.continue_token.is_empty());
    let err = s.list("default", &options("limit=2&continue=%7B")).await.err().unwrap();
    assert_eq!(err.code, 400);
}

#[tokio::test]
async fn a_list_whose_moment_is_gone_goes_on_inconsistently() {
    let s = store("", "configmaps");
    for n in ["a", "b", "c"] {
        create(&s, cm(n)).await;
    }
    let page = s.list("default", &options("limit=1")).await.unwrap();
    let last = create(&s, cm("d")).await;
    s.storage.compact(last.rev).await.unwrap();
    let go_on = |token: &str| options(&format!("limit=1&continue={token}"));
    let err = s.list("default", &go_on(&page.continue_token)).await.err().unwrap();
    assert_eq!((err.code, err.reason.as_ref()), (410, "Expired"));
    let status = err.to_value();
    assert_eq!(status["metadata"]["continue"], err.continue_token.as_str());
    let rest = s.list("default", &go_on(&err.continue_token)).await.unwrap();
    assert_eq!(meta::name(&rest.items[0].value()), "b");
    assert_eq!(rest.resource_version, last.rev);
}

#[tokio::test]
async fn selectors_choose_and_pages_of_selections_are_full() {
    let s = store("", "configmaps");
    for n in ["a", "b", "c", "d"] {
        let mut obj = cm(n);
        obj["metadata"]["labels"] = json!({"odd": if matches!(n, "a" | "c") { "y" } else { "n" }});
        create(&s, obj).await;
    }
    let page = s
        .list("default", &options("labelSelector=odd%3Dn&limit=1"))
        .await
        .unwrap();
    assert_eq!((meta::name(&page.items[0].value()), page.remaining), ("b", None));
    let one = s
        .list("default", &options("fieldSelector=metadata.name%3Dc"))
        .await
        .unwrap();
    assert_eq!(one.items.len(), 1);
}

#[tokio::test]
async fn versions_ahead_of_the_store_are_told_to_retry() {
    let s = store("", "configmaps");
    let e = create(&s, cm("a")).await;
    let ahead = format!("resourceVersion={}&resourceVersionMatch=NotOlderThan", e.rev + 100);
    let err = s.list("default", &options(&ahead)).await.err().unwrap();
    assert!(err.has_cause("ResourceVersionTooLarge"));
    let exact = format!("resourceVersion={}&resourceVersionMatch=Exact", e.rev);
    create(&s, cm("b")).await;
    assert_eq!(s.list("default", &options(&exact)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_selecting_watch_sees_objects_come_and_go() {
    let s = store("", "configmaps");
    let first = create(&s, cm("a")).await;
    let mut w = s
        .watch(
            "default",
            &watching(&format!("labelSelector=on%3Dy&resourceVersion={}", first.rev)),
        )
        .await
        .unwrap();
    let mut on = cm("a");
    on["metadata"]["labels"] = json!({"on": "y"});
    replace(&s, on.clone()).await.unwrap();
    on["data"]["k"] = "w".into();
    replace(&s, on).await.unwrap();
    let off = replace(&s, cm("a")).await.unwrap();
    assert_eq!(event(&mut w).await.0, ChangeKind::Added);
    assert_eq!(event(&mut w).await.0, ChangeKind::Modified);
    let (kind, last) = event(&mut w).await;
    assert_eq!(kind, ChangeKind::Deleted);
    // As it last matched, at the revision at which it stopped to.
    assert_eq!(last["data"]["k"], "w");
    assert_eq!(meta::resource_version(&last), off.rev.to_string());
}

#[tokio::test]
async fn watchers_share_an_events_encoding() {
    let s = store("", "configmaps");
    let first = create(&s, cm("a")).await;
    let from = watching(&format!("resourceVersion={}", first.rev));
    let (mut one, mut two) = (
        s.watch("default", &from).await.unwrap(),
        s.watch("default", &from).await.unwrap(),
    );
    create(&s, cm("b")).await;
    let mut made = 0;
    let mut frames = vec![];
    for watch in [&mut one, &mut two] {
        let change = watch.next().await.unwrap().unwrap();
        let make = || {
            made += 1;
            Some(change.entry.item_json().clone())
        };
        let delivery = change.delivery.as_ref().unwrap();
        frames.push(delivery.frame(change.kind, Frame::Json, make).unwrap());
        assert_eq!(delivery.frame(change.kind, Frame::Protobuf, || None), None);
    }
    assert_eq!((made, frames[0].as_ptr()), (1, frames[1].as_ptr()));
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let s = store("", "configmaps");
    create(&s, cm("a")).await;
    let q = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut w = s.watch("default", &watching(q)).await.unwrap();
    assert_eq!(event(&mut w).await.0, ChangeKind::Added);
    let (kind, mark) = event(&mut w).await;
    assert_eq!(kind, ChangeKind::Bookmark);
    assert_eq!(mark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    create(&s, cm("b")).await;
    assert_eq!(event(&mut w).await.0, ChangeKind::Added);
}

#[tokio::test]
async fn a_watch_from_forgotten_history_gets_410() {
    let memory = Arc::new(Memory::default());
    let row = resources::find("", "v1", "configmaps").unwrap();
    let s = Arc::new(Store::new(row, memory.clone(), "/registry", None));
    let first = create(&s, cm("a")).await;
    create(&s, cm("b")).await;
    let last = create(&s, cm("c")).await;
    crate::storage::Storage::compact(memory.as_ref(), last.rev)
        .await
        .unwrap();
    let mut w = s
        .watch("default", &watching(&format!("resourceVersion={}", first.rev)))
        .await
        .unwrap();
    let err = w.next().await.unwrap().err().unwrap();
    assert_eq!((err.code, err.reason.as_ref()), (410, "Expired"));
}

#[tokio::test(start_paused = true)]
async fn quiet_watches_get_bookmarks_of_what_they_filtered_out() {
    let s = store("", "configmaps");
    let first = create(&s, cm("a")).await;
    let q = format!(
        "labelSelector=on%3Dy&allowWatchBookmarks=true&resourceVersion={}",
        first.rev
    );
    let mut w = s.watch("default", &watching(&q)).await.unwrap();
    let other = create(&s, cm("b")).await;
    let (kind, mark) = event(&mut w).await;
    assert_eq!(kind, ChangeKind::Bookmark);
    assert_eq!(meta::resource_version(&mark), other.rev.to_string());
}

/// A storage in which somebody else is at work: after each update of a key it does one more thing to it.
struct Busy {
    inner: Arc<Memory>,
    then: Mutex<Vec<Other>>,
}

enum Other {
    /// Removes the key.
    Removes,
    /// Removes it and writes another object under it.
    Replaces(Bytes),
    /// Writes it again.
    Rewrites,
}

impl Busy {
    async fn interfere(&self, key: &str, value: Bytes) {
        let next = self.then.lock().pop();
        let (Some(other), (Some(kv), _)) = (next, self.inner.get(key).await.unwrap()) else {
            return;
        };
        match other {
            Other::Removes => drop(self.inner.delete(key, kv.mod_rev).await.unwrap()),
            Other::Rewrites => drop(self.inner.update(key, value, kv.mod_rev, None).await.unwrap()),
            Other::Replaces(bytes) => {
                self.inner.delete(key, kv.mod_rev).await.unwrap();
                self.inner.create(key, bytes, None).await.unwrap();
            }
        }
    }
}

#[async_trait]
impl Storage for Busy {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        self.inner.get(key).await
    }
    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        self.inner.list(req).await
    }
    async fn current_revision(&self) -> Result<i64, StorageError> {
        self.inner.current_revision().await
    }
    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        self.inner.create(key, value, ttl).await
    }
    async fn update(&self, key: &str, value: Bytes, rev: i64, ttl: Option<Duration>) -> Result<Write, StorageError> {
        let done = self.inner.update(key, value.clone(), rev, ttl).await;
        self.interfere(key, value).await;
        done
    }
    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError> {
        self.inner.delete(key, expected).await
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
        self.inner.health().await
    }
}

#[tokio::test]
async fn a_delete_that_others_interfere_with_removes_what_it_marked_or_nothing() {
    let at_once = |version: Option<i64>| DeleteOptions {
        grace_period_seconds: Some(0),
        resource_version: version.map(|v| v.to_string()),
        ..DeleteOptions::default()
    };
    // Somebody else's pod of the same name.
    let another = {
        let s = store("", "pods");
        let entry = create(&s, pod("a")).await;
        let (kv, _) = s.read("default", "a", "get").await.unwrap();
        (meta::uid(&entry.value()).to_owned(), kv.unwrap().value.clone())
    };
    for (other, versioned, code, left) in [
        (Other::Removes, false, 200, None),
        (Other::Replaces(another.1.clone()), false, 200, Some(&another.0)),
        (Other::Rewrites, false, 200, None),
        (Other::Rewrites, true, 409, None),
    ] {
        let row = resources::find("", "v1", "pods").unwrap();
        let busy = Busy {
            inner: Arc::default(),
            then: Mutex::new(vec![other]),
        };
        let s = Arc::new(Store::new(row, Arc::new(busy), "/registry", None));
        let first = create(&s, pod("a")).await;
        let options = at_once(versioned.then_some(first.rev));
        let outcome = s.delete(&ctx(), "default", "a", &options, &NoHooks).await;
        assert_eq!(outcome.as_ref().map_or_else(|e| e.code, |_| 200), code);
        if let Ok(deleted) = outcome {
            assert!(deleted.gone);
            assert_eq!(meta::uid(&deleted.entry.value()), meta::uid(&first.value()));
        }
        if code == 200 {
            let now = s.get("default", "a").await.ok();
            assert_eq!(now.map(|e| meta::uid(&e.value()).to_owned()).as_ref(), left);
        }
    }
}

/// Admission during which somebody else creates the object.
struct Faster(Arc<Store>);

#[async_trait]
impl Hooks for Faster {
    fn creates(&self) -> bool {
        true
    }
    async fn admit(&self, _obj: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
        if old.is_none() {
            create(&self.0, cm("a")).await;
        }
        Ok(())
    }
    async fn validate(&self, _obj: Option<&Value>, _old: Option<&Value>) -> Result<(), ApiError> {
        Ok(())
    }
}

#[tokio::test]
async fn an_apply_whose_object_another_has_just_created_goes_on_as_an_update() {
    let s = store("", "configmaps");
    let mut wanted = cm("a");
    wanted["data"]["k"] = "mine".into();
    let change = move |_: &Value| Ok(wanted.clone());
    let hooks = Faster(s.clone());
    let (entry, created) = s
        .update(&ctx(), "default", "a", s.strategy, &change, &hooks)
        .await
        .unwrap();
    assert!(!created);
    assert_eq!(entry.value()["data"]["k"], "mine");
}

#[tokio::test]
async fn a_name_that_no_key_can_have_selects_nothing() {
    let s = store("", "configmaps");
    create(&s, cm("a")).await;
    for name in ["a/b", "..", "a%b"] {
        let options = options(&format!("fieldSelector=metadata.name%3D{}", name.replace('%', "%25")));
        assert!(s.list("default", &options).await.unwrap().items.is_empty(), "{name}");
        let watch = watching(&format!("fieldSelector=metadata.name%3D{}", name.replace('%', "%25")));
        assert!(s.watch("default", &watch).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn a_grace_period_longer_than_time_ends_with_it() {
    let s = store("", "pods");
    let mut obj = pod("a");
    obj["spec"]["nodeName"] = "n".into();
    create(&s, obj).await;
    for seconds in [i64::MAX, i64::MAX - 1] {
        let options = DeleteOptions {
            grace_period_seconds: Some(seconds),
            ..DeleteOptions::default()
        };
        let deleted = s.delete(&ctx(), "default", "a", &options, &NoHooks).await.unwrap();
        assert!(!deleted.gone);
    }
    assert_eq!(super::meta::later(jiff::Timestamp::MAX, 1), jiff::Timestamp::MAX);
    assert_eq!(super::meta::later(jiff::Timestamp::MIN, -1), jiff::Timestamp::MIN);
}

#[tokio::test]
async fn an_update_that_changes_nothing_rewrites_what_has_another_form() {
    let memory = Arc::new(Memory::default());
    let row = resources::find("", "v1", "configmaps").unwrap();
    let of = |form| {
        let settings = super::Settings {
            form,
            ..Default::default()
        };
        Store::new(row, memory.clone(), "/registry", None).with_settings(settings)
    };
    let mut object = create(&of(super::Form::Protobuf), cm("a")).await;
    for (form, first) in [
        (super::Form::Json, b'{'),
        (super::Form::Yaml, b'a'),
        (super::Form::Protobuf, b'k'),
    ] {
        let s = of(form);
        let rewritten = replace(&s, (*object.value()).clone()).await.unwrap();
        assert!(rewritten.rev > object.rev, "{form:?}");
        let again = replace(&s, (*rewritten.value()).clone()).await.unwrap();
        assert_eq!(again.rev, rewritten.rev, "{form:?}");
        let (kv, _) = memory.get("/registry/configmaps/default/a").await.unwrap();
        assert_eq!(kv.unwrap().value[0], first, "{form:?}");
        object = again;
    }
}

/// Counts the deletions that are under way.
#[derive(Default)]
struct Together {
    now: std::sync::atomic::AtomicUsize,
    most: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Hooks for Together {
    async fn admit(&self, _obj: &mut Value, _old: Option<&Value>) -> Result<(), ApiError> {
        Ok(())
    }
    async fn validate(&self, _obj: Option<&Value>, _old: Option<&Value>) -> Result<(), ApiError> {
        use std::sync::atomic::Ordering::SeqCst;
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        tokio::task::yield_now().await;
        self.now.fetch_sub(1, SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn as_many_objects_of_a_collection_are_deleted_at_once_as_there_are_workers() {
    for workers in [1, 3] {
        let row = resources::find("", "v1", "configmaps").unwrap();
        let settings = super::Settings {
            delete_workers: workers,
            ..Default::default()
        };
        let s = Store::new(row, Arc::new(Memory::default()), "/registry", None).with_settings(settings);
        for n in 0..7 {
            create(&s, cm(&format!("c{n}"))).await;
        }
        let together = Together::default();
        let all = ListOptions::default();
        let found = s
            .delete_collection(&ctx(), "default", &all, &DeleteOptions::default(), &together)
            .await
            .unwrap();
        assert_eq!(found.items.len(), 7);
        assert_eq!(together.most.into_inner(), workers);
        assert!(s.list("default", &all).await.unwrap().items.is_empty());
    }
}

#[tokio::test]
async fn without_a_garbage_collector_nothing_waits_for_it() {
    let row = resources::find("", "v1", "configmaps").unwrap();
    let settings = super::Settings {
        garbage_collector: false,
        ..Default::default()
    };
    let s = Store::new(row, Arc::new(Memory::default()), "/registry", None).with_settings(settings);
    create(&s, cm("a")).await;
    let options = DeleteOptions {
        propagation_policy: Some("Foreground".to_owned()),
        ..Default::default()
    };
    let deleted = s.delete(&ctx(), "default", "a", &options, &NoHooks).await.unwrap();
    assert!(deleted.gone);
}
