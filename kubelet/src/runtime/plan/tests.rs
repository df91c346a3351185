//! Table tests of the plan, one situation each.
#![allow(clippy::unwrap_used)]

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::runtime::status::SandboxStatus;

fn pod(spec: serde_json::Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec,
    }))
    .unwrap()
}

fn two_containers(policy: &str) -> Pod {
    pod(json!({"restartPolicy": policy, "containers": [
        {"name": "a", "image": "i"}, {"name": "b", "image": "i"},
    ]}))
}

fn with_init(policy: &str) -> Pod {
    pod(json!({"restartPolicy": policy,
        "initContainers": [
            {"name": "i1", "image": "i"},
            {"name": "side", "image": "i", "restartPolicy": "Always"},
            {"name": "i2", "image": "i"},
        ],
        "containers": [{"name": "a", "image": "i"}],
    }))
}

fn sandbox(ready: bool) -> SandboxStatus {
    SandboxStatus {
        id: "s".into(),
        ready,
        ips: vec!["10.0.0.1".into()],
        ..SandboxStatus::default()
    }
}

fn container(name: &str, state: State, exit_code: i32) -> ContainerStatus {
    let spec = Container {
        name: name.into(),
        image: Some("i".into()),
        ..Container::default()
    };
    ContainerStatus {
        id: format!("{name}-id"),
        name: name.into(),
        state,
        created_at: 1,
        started_at: Some(Timestamp::UNIX_EPOCH),
        finished_at: None,
        exit_code,
        image: "i".into(),
        image_ref: "i".into(),
        hash: annotations::hash(&spec),
        restart_count: 0,
        reason: String::new(),
        message: String::new(),
        sandbox_id: "s".into(),
        log_path: String::new(),
        annotations: Default::default(),
        termination_log: None,
    }
}

fn status(ready: bool, containers: Vec<ContainerStatus>) -> PodStatus {
    PodStatus {
        sandboxes: vec![sandbox(ready)],
        containers,
    }
}

fn healthy(_: &str) -> Health {
    Health::default()
}

#[test]
fn new_pod_gets_a_sandbox_and_its_first_init_container_or_all_containers() {
    let made = plan(&two_containers("Always"), &PodStatus::default(), &healthy);
    assert!(made.create_sandbox && made.kill_pod && made.attempt == 0);
    assert_eq!(made.start, ["a", "b"]);
    let made = plan(&with_init("Always"), &PodStatus::default(), &healthy);
    assert_eq!((made.start_init, made.start), (vec!["i1".to_owned()], vec![]));
}

#[test]
fn running_pod_needs_nothing() {
    let running = vec![container("a", State::Running, 0), container("b", State::Running, 0)];
    assert!(plan(&two_containers("Always"), &status(true, running), &healthy).is_empty());
}

#[test]
fn exited_container_follows_the_restart_policy() {
    for (policy, exit_code, restarted) in [
        ("Always", 0, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 1, false),
    ] {
        let seen = vec![
            container("a", State::Exited, exit_code),
            container("b", State::Running, 0),
        ];
        let made = plan(&two_containers(policy), &status(true, seen), &healthy);
        assert_eq!(made.start == ["a"], restarted, "{policy} {exit_code}");
        assert!(!made.kill_pod);
    }
}

#[test]
fn pod_without_anything_left_to_run_is_killed() {
    let seen = vec![container("a", State::Exited, 0), container("b", State::Exited, 1)];
    assert!(plan(&two_containers("Never"), &status(true, seen), &healthy).kill_pod);
}

#[test]
fn dead_sandbox_is_replaced_unless_the_pod_never_restarts() {
    let seen = || vec![container("a", State::Exited, 0), container("b", State::Exited, 1)];
    let made = plan(&two_containers("OnFailure"), &status(false, seen()), &healthy);
    assert!(made.create_sandbox);
    assert_eq!((made.attempt, made.start), (1, vec!["b".to_owned()]));
    let made = plan(&two_containers("Never"), &status(false, seen()), &healthy);
    assert!(made.kill_pod && !made.create_sandbox && made.start.is_empty());
}

#[test]
fn changed_or_failing_container_is_killed_and_restarted() {
    let mut changed = container("a", State::Running, 0);
    changed.hash = "0".into();
    let seen = vec![changed, container("b", State::Running, 0)];
    let verdict = |id: &str| Health {
        liveness: (id == "b-id").then_some(false),
        startup: None,
    };
    let made = plan(&two_containers("Always"), &status(true, seen.clone()), &verdict);
    let messages: Vec<_> = made.kill.iter().map(|k| k.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "Container a definition changed, will be restarted",
            "Container b failed liveness probe, will be restarted"
        ]
    );
    assert_eq!(made.start, ["a", "b"]);
    let made = plan(&two_containers("Never"), &status(true, seen), &verdict);
    assert_eq!(made.start, ["a"], "a failed probe does not restart under Never");
}

#[test]
fn init_containers_run_in_order_and_sidecars_stay() {
    let step = |seen: Vec<ContainerStatus>| plan(&with_init("Always"), &status(true, seen), &healthy);
    let done = |n: &str| container(n, State::Exited, 0);
    let runs = |n: &str| container(n, State::Running, 0);
    assert!(step(vec![runs("i1")]).is_empty(), "waits for i1");
    assert_eq!(step(vec![done("i1")]).start_init, ["side"]);
    assert_eq!(step(vec![done("i1"), runs("side")]).start_init, ["i2"]);
    assert_eq!(step(vec![done("i1"), runs("side"), done("i2")]).start, ["a"]);
    let made = step(vec![done("i1"), done("side"), done("i2"), runs("a")]);
    assert_eq!(made.start_init, ["side"], "a sidecar that ended is started again");
    assert_eq!(step(vec![container("i1", State::Exited, 1)]).start_init, ["i1"]);
}

#[test]
fn failed_init_container_fails_a_pod_that_never_restarts() {
    let seen = status(true, vec![container("i1", State::Exited, 1)]);
    let made = plan(&with_init("Never"), &seen, &healthy);
    assert!(made.kill_pod && made.start_init.is_empty());
}

#[test]
fn init_containers_that_were_collected_do_not_run_again() {
    let seen = status(true, vec![container("a", State::Running, 0)]);
    let made = plan(&with_init("Always"), &seen, &healthy);
    assert_eq!(made.start_init, ["side"]);
    assert!(!made.kill_pod);
}

#[test]
fn ephemeral_containers_start_once() {
    let mut target = two_containers("Always");
    let ephemeral = serde_json::from_value(json!([{"name": "e", "image": "i"}])).unwrap();
    target.spec.as_mut().unwrap().ephemeral_containers = ephemeral;
    let mut seen = vec![container("a", State::Running, 0), container("b", State::Running, 0)];
    let made = plan(&target, &status(true, seen.clone()), &healthy);
    assert_eq!(made.start_ephemeral, ["e"]);
    seen.push(container("e", State::Exited, 1));
    assert!(plan(&target, &status(true, seen), &healthy).is_empty());
}

#[test]
fn deleted_pod_starts_nothing() {
    let mut target = two_containers("Always");
    target.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        Timestamp::UNIX_EPOCH,
    ));
    let seen = status(
        true,
        vec![container("a", State::Running, 0), container("b", State::Exited, 0)],
    );
    assert!(plan(&target, &seen, &healthy).start.is_empty());
}
