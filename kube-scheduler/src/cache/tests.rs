#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::Cache;
use crate::framework::pod_info::PodInfo;
use crate::testing::{node, pod};

fn info(pod: k8s_openapi::api::core::v1::Pod) -> Arc<PodInfo> {
    Arc::new(PodInfo::new(Arc::new(pod)))
}

#[test]
fn an_assumed_pod_counts_on_its_node_until_forgotten() {
    let mut cache = Cache::default();
    cache.set_node(Arc::new(node("n1").cpu("4").build()));
    let before = cache.snapshot();
    let waiting = info(pod("p").cpu("1500m").build());
    cache.assume(Arc::clone(&waiting), "n1").unwrap();
    assert!(cache.assume(Arc::clone(&waiting), "n1").is_err());
    assert_eq!(cache.snapshot().get("n1").unwrap().requested.milli_cpu, 1500);
    assert_eq!(
        before.get("n1").unwrap().requested.milli_cpu,
        0,
        "a snapshot does not change"
    );
    assert!(cache.forget("p"));
    assert!(!cache.forget("p"));
    assert_eq!(cache.snapshot().get("n1").unwrap().requested.milli_cpu, 0);
}

#[test]
fn the_watch_confirms_or_corrects_an_assumption() {
    let mut cache = Cache::default();
    cache.set_node(Arc::new(node("n1").build()));
    cache.set_node(Arc::new(node("n2").build()));
    cache.assume(info(pod("p").cpu("1").build()), "n1").unwrap();
    cache.set_pod(info(pod("p").cpu("1").on("n2").build()));
    assert!(!cache.is_assumed("p"));
    assert_eq!(cache.snapshot().get("n1").unwrap().pods.len(), 0);
    assert_eq!(cache.snapshot().get("n2").unwrap().requested.milli_cpu, 1000);
    assert_eq!(cache.sizes(), [2, 1, 0]);
}

#[test]
fn pods_survive_their_nodes_absence() {
    let mut cache = Cache::default();
    cache.set_pod(info(pod("p").cpu("1").on("n1").build()));
    assert!(cache.snapshot().is_empty());
    cache.set_node(Arc::new(node("n1").build()));
    cache.set_node(Arc::new(node("n2").build()));
    assert_eq!(cache.snapshot().get("n1").unwrap().pods.len(), 1);
    cache.remove_node("n1");
    assert_eq!(cache.snapshot().len(), 1);
    assert!(cache.snapshot().get("n2").is_some());
    cache.set_node(Arc::new(node("n1").build()));
    assert_eq!(cache.snapshot().get("n1").unwrap().requested.milli_cpu, 1000);
    cache.remove_pod("p");
    assert_eq!(cache.snapshot().get("n1").unwrap().pods.len(), 0);
}
