use std::cell::Cell;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{PodCondition, PodSpec, PodStatus, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

const NOW: i64 = 1_000_000;

fn at(seconds_ago: i64) -> Time {
    Time(Timestamp::from_second(NOW - seconds_ago).unwrap())
}

fn now() -> Timestamp {
    at(0).0
}

/// A running pod on a node, ready since some seconds (negative: not ready).
fn pod(name: &str, node: &str, ready_for: i64) -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.into());
    pod.metadata.uid = Some(name.into());
    pod.metadata.creation_timestamp = Some(at(100_000));
    pod.spec = Some(PodSpec {
        node_name: (!node.is_empty()).then(|| node.into()),
        ..PodSpec::default()
    });
    let ready = PodCondition {
        type_: "Ready".into(),
        status: if ready_for >= 0 { "True" } else { "False" }.into(),
        last_transition_time: Some(at(ready_for.max(0))),
        ..PodCondition::default()
    };
    pod.status = Some(PodStatus {
        phase: Some("Running".into()),
        conditions: Some(vec![ready]),
        ..PodStatus::default()
    });
    pod
}

fn doomed(pods: Vec<Pod>, count: usize) -> Vec<String> {
    let pods: Vec<Arc<Pod>> = pods.into_iter().map(Arc::new).collect();
    rank::to_delete(&pods, &pods, count, now())
        .iter()
        .map(|p| p.metadata.name.clone().unwrap())
        .collect()
}

#[test]
fn pods_that_hurt_least_go_first() {
    let mut pending = pod("pending", "n1", -1);
    pending.status.as_mut().unwrap().phase = Some("Pending".into());
    let pods = vec![
        pod("ready", "n1", 50_000),
        pod("unready", "n1", -1),
        pending,
        pod("unassigned", "", -1),
    ];
    assert_eq!(doomed(pods, 3), ["unassigned", "pending", "unready"]);
}

#[test]
fn cheap_then_crowded_then_young_pods_go_first() {
    let mut cheap = pod("cheap", "n3", 50_000);
    cheap.metadata.annotations =
        Some([("controller.kubernetes.io/pod-deletion-cost".to_owned(), "-5".to_owned())].into());
    let pods = vec![
        pod("alone", "n2", 50_000),
        pod("old", "n1", 50_000),
        pod("young", "n1", 10),
        cheap,
    ];
    assert_eq!(doomed(pods, 3), ["cheap", "young", "old"]);
}

#[tokio::test]
async fn creation_starts_slowly_and_stops_at_the_first_failing_batch() {
    let calls = Cell::new(0);
    let started = pods::slow_start(10, || async {
        calls.set(calls.get() + 1);
        anyhow::ensure!(calls.get() < 3, "quota");
        Ok(())
    })
    .await;
    assert_eq!((started.attempted, calls.get()), (3, 3));
    assert!(started.result.is_err());
    let started = pods::slow_start(10, || async { Ok(()) }).await;
    assert_eq!(started.attempted, 10);
}

fn set(replicas: i32, min_ready: i32) -> ReplicaSet {
    let mut set = ReplicaSet::default();
    set.metadata.name = Some("web".into());
    set.metadata.generation = Some(3);
    set.spec = Some(ReplicaSetSpec {
        replicas: Some(replicas),
        min_ready_seconds: Some(min_ready),
        ..ReplicaSetSpec::default()
    });
    set
}

#[test]
fn status_counts_ready_and_available_pods() {
    let pods: Vec<_> = [pod("a", "n", 100), pod("b", "n", 5), pod("c", "n", -1)]
        .into_iter()
        .map(Arc::new)
        .collect();
    let status = status::compute(&set(3, 10), &pods, 1, None, now());
    assert_eq!(
        (
            status.replicas,
            status.ready_replicas,
            status.available_replicas,
            status.terminating_replicas
        ),
        (3, Some(2), Some(1), Some(1))
    );
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(
        status::next_available(10, &pods, now()),
        Some(Duration::from_millis(5100))
    );
    assert_eq!(status::next_available(0, &pods, now()), None);
}

#[test]
fn a_failure_shows_as_a_condition_and_goes_away() {
    let mut set = set(2, 0);
    let failed = status::compute(&set, &[], 0, Some("no quota"), now());
    let condition = &failed.conditions.as_ref().unwrap()[0];
    assert_eq!(
        (condition.type_.as_str(), condition.reason.as_deref()),
        ("ReplicaFailure", Some("FailedCreate"))
    );
    set.status = Some(failed);
    assert_eq!(status::compute(&set, &[], 0, None, now()).conditions, None);
}

#[test]
fn pods_carry_the_template_and_the_controller_reference() {
    let mut set = set(1, 0);
    set.metadata.uid = Some("u".into());
    let pod = pods::from_template::<ReplicaSet>(&set.metadata, set.plan().unwrap().template);
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("web-"));
    let owner = &pod.metadata.owner_references.unwrap()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
        ("ReplicaSet", "u", Some(true))
    );
}

#[test]
fn the_status_of_a_replication_controller_keeps_what_it_has_fields_for() {
    let controller: ReplicationController = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "web", "uid": "u", "generation": 4},
        "spec": {"replicas": 2, "selector": {"app": "web"},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
    }))
    .unwrap();
    let status = status::compute(
        &controller,
        &[Arc::new(pod("a", "n", 5))],
        1,
        Some("exceeded quota"),
        now(),
    );
    let next = controller.with_status(status.clone());
    let written = serde_json::to_value(&next.status).unwrap();
    assert_eq!(written["replicas"], 1);
    assert_eq!(written["readyReplicas"], 1);
    assert_eq!(written["observedGeneration"], 4);
    assert_eq!(written["conditions"][0]["type"], "ReplicaFailure");
    assert_eq!(written["conditions"][0]["message"], "exceeded quota");
    assert_eq!(written["terminatingReplicas"], serde_json::Value::Null);
    // A second look at the same pods finds nothing to write.
    assert_eq!(next.with_status(status).status(), next.status());
    let made = pods::from_template::<ReplicationController>(&next.metadata, next.plan().unwrap().template);
    let owner = &made.metadata.owner_references.unwrap()[0];
    assert_eq!(
        (owner.api_version.as_str(), owner.kind.as_str()),
        ("v1", "ReplicationController")
    );
}
