//! The table itself, and scores by number.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Handle, REGISTRY, find};
use crate::framework::plugin::{Bind, Cycle};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;
use crate::testing::{NodeBuilder, PodBuilder, node, pod, snapshot};

struct NoBinder;

#[async_trait]
impl Bind for NoBinder {
    async fn bind(&self, _: &PodInfo, _: &str) -> Option<Result<(), Status>> {
        None
    }
}

pub(crate) fn handle() -> Handle {
    Handle {
        binder: Arc::new(NoBinder),
    }
}

fn score(plugin: &str, args: Value, on: NodeBuilder, there: Vec<PodBuilder>, incoming: PodBuilder) -> i64 {
    let plugin = find(plugin).unwrap().factory.unwrap()(&handle(), &args).unwrap();
    let nodes = snapshot(vec![on], there);
    let incoming = incoming.info();
    let list: Vec<_> = nodes.iter().map(|node| &**node).collect();
    let cycle = Cycle {
        pod: &incoming,
        snapshot: &nodes,
    };
    let scorer = plugin.pre_score.as_ref().unwrap().pre_score(cycle, &list).unwrap();
    let mut scores = vec![scorer.score(list[0])];
    scorer.normalize(&mut scores);
    scores[0]
}

#[test]
fn names_are_unique_and_default_factories_work() {
    let mut names = std::collections::BTreeSet::new();
    for row in REGISTRY {
        assert!(names.insert(row.name), "{} twice", row.name);
        if let Some(factory) = row.factory {
            assert_eq!(factory(&handle(), &Value::Null).unwrap().name, row.name);
        }
    }
}

#[test]
fn least_and_most_allocated_are_opposites() {
    let args = |kind: &str| json!({"scoringStrategy": {"type": kind, "resources": [{"name": "cpu", "weight": 1}]}});
    for (kind, expected) in [("LeastAllocated", 50), ("MostAllocated", 50)] {
        let busy = vec![pod("a").cpu("1").on("n")];
        assert_eq!(
            score("NodeResourcesFit", args(kind), node("n"), busy, pod("p").cpu("1")),
            expected,
            "{kind}"
        );
    }
    assert_eq!(
        score(
            "NodeResourcesFit",
            args("LeastAllocated"),
            node("n"),
            vec![],
            pod("p").cpu("1")
        ),
        75
    );
    assert_eq!(
        score(
            "NodeResourcesFit",
            args("MostAllocated"),
            node("n"),
            vec![],
            pod("p").cpu("1")
        ),
        25
    );
}

#[test]
fn an_even_node_scores_full_balance() {
    let even = score(
        "NodeResourcesBalancedAllocation",
        Value::Null,
        node("n"),
        vec![],
        pod("p").cpu("2").memory("4Gi"),
    );
    let skewed = score(
        "NodeResourcesBalancedAllocation",
        Value::Null,
        node("n"),
        vec![],
        pod("p").cpu("4"),
    );
    assert_eq!((even, skewed), (100, 50));
}

#[test]
fn bad_arguments_are_refused() {
    let fit = find("NodeResourcesFit").unwrap().factory.unwrap();
    let weight = json!({"scoringStrategy": {"type": "LeastAllocated", "resources": [{"name": "cpu", "weight": 101}]}});
    assert!(fit(&handle(), &weight).is_err());
    assert!(fit(&handle(), &json!({"scoringStrategy": {"type": "Random"}})).is_err());
}
