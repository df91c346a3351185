#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use tokio::sync::mpsc;

use super::*;
use crate::fake_server::{Behaviour, FakeServer};
use crate::informer::{Event, Factory, Reader};

struct Setup {
    server: FakeServer,
    reader: Reader<ConfigMap>,
    events: mpsc::UnboundedReceiver<Event<ConfigMap>>,
    _shutdown: tokio_util::sync::DropGuard,
}

async fn setup(behaviour: Behaviour, before: &[&str]) -> Setup {
    let server = FakeServer::start(behaviour).await;
    for name in before {
        server.put(name, "0");
    }
    let shutdown = CancellationToken::new();
    let factory = Factory::new(server.client(), shutdown.clone());
    let informer = factory.informer::<ConfigMap>();
    let events = informer.subscribe();
    factory.start();
    assert!(factory.wait_synced().await);
    Setup {
        server,
        reader: informer.reader(),
        events,
        _shutdown: shutdown.drop_guard(),
    }
}

impl Setup {
    /// The next `n` events as text, in order.
    async fn next(&mut self, n: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..n {
            let event = tokio::time::timeout(Duration::from_secs(20), self.events.recv())
                .await
                .unwrap()
                .unwrap();
            let value = |o: &Arc<ConfigMap>| o.data.as_ref().unwrap()["v"].clone();
            let name = event.object().metadata.name.clone().unwrap();
            seen.push(match &event {
                Event::Added(new) => format!("+{name}={}", value(new)),
                Event::Updated { old, new } => format!("{name}={}>{}", value(old), value(new)),
                Event::Deleted(_) => format!("-{name}"),
            });
        }
        seen
    }
}

#[tokio::test]
async fn the_streaming_list_is_one_request_and_changes_follow() {
    let mut s = setup(Behaviour::default(), &["a", "b"]).await;
    let mut first = s.next(2).await;
    first.sort();
    assert_eq!(first, ["+a=0", "+b=0"]);
    s.server.put("a", "1");
    s.server.remove("b");
    s.server.put("c", "0");
    assert_eq!(s.next(3).await, ["a=0>1", "-b", "+c=0"]);
    assert_eq!(s.server.requests(), ["watchlist"]);
    assert_eq!(s.reader.len(), 2);
    assert_eq!(s.reader.get("ns", "a").unwrap().metadata.managed_fields, None);
}

#[tokio::test]
async fn a_server_without_streaming_lists_gets_list_and_watch() {
    let mut s = setup(
        Behaviour {
            no_watch_list: true,
            ..Behaviour::default()
        },
        &["a"],
    )
    .await;
    assert_eq!(s.next(1).await, ["+a=0"]);
    s.server.put("a", "1");
    assert_eq!(s.next(1).await, ["a=0>1"]);
    assert_eq!(s.server.requests(), ["watchlist", "list", "watch"]);
}

#[tokio::test]
async fn a_closed_watch_resumes_without_listing() {
    let mut s = setup(Behaviour::default(), &["a"]).await;
    s.next(1).await;
    s.server.cut_watches();
    s.server.put("a", "1");
    s.server.put("a", "2");
    assert_eq!(s.next(2).await, ["a=0>1", "a=1>2"]);
    assert_eq!(s.server.requests(), ["watchlist", "watch"]);
}

#[tokio::test]
async fn an_expired_position_lists_again_and_tells_what_was_missed() {
    let mut s = setup(Behaviour::default(), &["a", "b"]).await;
    s.next(2).await;
    s.server.state.lock().behaviour.expire_next_watch = true;
    s.server.cut_watches();
    s.server.remove("b");
    s.server.put("a", "9");
    // Either the old watch still carried them or the new list shows them; the result is the same.
    let mut seen = s.next(2).await;
    seen.sort();
    assert_eq!(seen, ["-b", "a=0>9"]);
    assert_eq!(s.reader.len(), 1);
}

#[tokio::test]
async fn a_late_handler_is_told_what_is_there_and_then_that_it_is_synced() {
    let server = FakeServer::start(Behaviour::default()).await;
    server.put("a", "0");
    let shutdown = CancellationToken::new();
    let factory = Factory::new(server.client(), shutdown.clone());
    let informer = factory.informer::<ConfigMap>();
    factory.start();
    informer.wait_synced().await;
    let seen = Arc::new(parking_lot::Mutex::new(0));
    let mut registration = informer.add_handler({
        let seen = seen.clone();
        move |_| *seen.lock() += 1
    });
    registration.wait_synced().await;
    assert_eq!(*seen.lock(), 1);
    shutdown.cancel();
}

#[test]
fn back_off_grows_to_the_limit() {
    let mut backoff = Backoff::default();
    let first = backoff.next();
    assert!(first >= BACKOFF_MIN && first <= BACKOFF_MIN * 2);
    for _ in 0..8 {
        backoff.next();
    }
    assert_eq!(backoff.next(), BACKOFF_MAX);
}
