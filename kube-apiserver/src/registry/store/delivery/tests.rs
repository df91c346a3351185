//! What a storage is told of selections, and what watches make of it.
#![allow(clippy::unwrap_used)]

use std::task::Poll;

use futures::StreamExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::registry::options::ListOptions;
use crate::registry::store::ChangeStream;
use crate::request::Query;
use crate::storage::memory::Memory;
use crate::storage::{ListRequest, Storage, WatchItem};
use crate::watchcache::WatchCache;

const SELECTORS: [&str; 14] = [
    "",
    "labelSelector=app%3Dx",
    "labelSelector=app%20in%20(x,y)",
    "labelSelector=app%3Dx,tier%3Df",
    "labelSelector=app",
    "labelSelector=app!%3Dx",
    "labelSelector=tier%3D",
    "fieldSelector=metadata.name%3Da",
    "fieldSelector=metadata.namespace%3Dm",
    "fieldSelector=spec.nodeName%3Dn1",
    "fieldSelector=spec.nodeName%3D",
    "fieldSelector=spec.nodeName%3Dn1,status.phase!%3DRunning",
    "fieldSelector=status.phase%3DPending&labelSelector=app%3Dy",
    "fieldSelector=spec.nodeName%3Dn1&labelSelector=tier%20notin%20(f)",
];

fn options(query: &str) -> ListOptions {
    ListOptions::parse(&Query::parse(query), true).unwrap()
}

fn store(storage: Arc<dyn Storage>) -> Arc<Store> {
    let row = crate::resources::find("", "v1", "pods").unwrap();
    Arc::new(Store::new(row, storage, "/registry", None))
}

/// A pod with what selectors look at, at random.
fn pod(rng: &mut StdRng, name: &str) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (label, values) in [("app", ["x", "y", "z"]), ("tier", ["f", "b", ""])] {
        if rng.random_bool(0.8) {
            pod["metadata"]["labels"][label] = json!(values.choose(rng).unwrap());
        }
    }
    if rng.random_bool(0.7) {
        pod["spec"]["nodeName"] = json!(["n1", "n2"].choose(rng).unwrap());
    }
    pod["status"]["phase"] = json!(["Pending", "Running"].choose(rng).unwrap());
    pod
}

/// One change of one of a few pods, as if by another server; so many of them make it unreadable.
async fn write(memory: &Memory, rng: &mut StdRng, unreadable: f64) {
    let (ns, name) = (["m", "n"].choose(rng).unwrap(), ["a", "ab", "b"].choose(rng).unwrap());
    let key = format!("/registry/pods/{ns}/{name}");
    let mut pod = pod(rng, name);
    pod["metadata"]["namespace"] = json!(ns);
    let bytes = match rng.random_bool(unreadable) {
        true => Bytes::from("no pod at all"),
        false => serde_json::to_vec(&pod).unwrap().into(),
    };
    let (there, _) = memory.get(&key).await.unwrap();
    match there {
        None => drop(memory.create(&key, bytes, None).await.unwrap()),
        Some(kv) if rng.random_bool(0.2) => drop(memory.delete(&key, kv.mod_rev).await.unwrap()),
        Some(kv) => drop(memory.update(&key, bytes, kv.mod_rev, None).await.unwrap()),
    }
}

#[tokio::test]
async fn what_a_selection_wants_has_every_one_of_its_terms() {
    let rng = &mut StdRng::seed_from_u64(1);
    let memory = Memory::default();
    let store = store(Arc::new(memory.clone()));
    for _ in 0..400 {
        write(&memory, rng, 0.02).await;
    }
    let events = memory.watch("/registry/pods/", 1).await.unwrap();
    let events = events.filter_map(async |item| match item.unwrap() {
        WatchItem::Event(e) => Some(e),
        WatchItem::Progress(_) => None,
    });
    let events: Vec<Event> = events.take(400).collect().await;
    let (mut wanted, mut sorted) = (0, 0);
    for query in SELECTORS {
        let selected = Selected {
            store: store.clone(),
            selection: Selection::new(&options(query)),
        };
        let terms = selected.terms();
        sorted += usize::from(!terms.is_empty());
        for e in &events {
            let has = |term: &Term| {
                let values = selected.values(e, &term.path);
                values.is_none_or(|values| values.iter().any(|v| term.values.contains(v)))
            };
            if selected.wants(e) {
                wanted += 1;
                assert!(terms.iter().all(has), "{query}: {terms:?} {e:?}");
            }
        }
    }
    assert!(wanted > 1000, "{wanted}");
    assert_eq!(sorted, 11, "selectors that require a value");
}

/// What a watch has said by now, up to its first error.
async fn said(mut watch: ChangeStream) -> Vec<String> {
    let all = async {
        let mut said = vec![];
        while let Poll::Ready(Some(item)) = futures::poll!(watch.next()) {
            match item {
                Ok(change) => said.push(format!("{} {}", change.kind.as_str(), change.entry.value())),
                Err(error) => {
                    said.push(format!("ERROR {}", error.message));
                    break;
                }
            }
        }
        said
    };
    // Only the end makes it wait.
    tokio::task::unconstrained(all).await
}

/// Watches over the copy, where only those are asked who are found, are told what watches of the store are.
#[tokio::test]
async fn sorted_watches_are_told_what_they_would_be_if_all_were_asked() {
    let mut told = 0;
    for (seed, unreadable) in [(1, 0.0), (2, 0.0), (3, 0.01), (4, 0.01)] {
        let rng = &mut StdRng::seed_from_u64(seed);
        let memory = Memory::default();
        for _ in 0..5 {
            write(&memory, rng, 0.0).await;
        }
        let cache = WatchCache::start(Arc::new(memory.clone()), "/registry", CancellationToken::new());
        cache.wait_filled().await;
        let from = cache.current_revision().await.unwrap();
        let (plain, sorted) = (store(Arc::new(memory.clone())), store(cache.clone()));
        let mut watches = vec![];
        for query in SELECTORS {
            for ns in ["", "m", "n"] {
                let options = options(&format!("{query}&resourceVersion={from}"));
                let all_asked = plain.watch(ns, &options).await.unwrap();
                let found = sorted.watch(ns, &options).await.unwrap();
                watches.push((format!("seed {seed}: {ns} {query}"), all_asked, found));
            }
        }
        for _ in 0..200 {
            write(&memory, rng, unreadable).await;
        }
        // A consistent list: the copy has all that was written.
        cache.list(&ListRequest::default()).await.unwrap();
        for (name, all_asked, found) in watches {
            let expected = said(all_asked).await;
            told += expected.len();
            assert_eq!(said(found).await, expected, "{name}");
        }
    }
    assert!(told > 2000, "{told}");
}
