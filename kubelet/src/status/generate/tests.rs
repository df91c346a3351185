#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::runtime::status::{ContainerStatus, SandboxStatus};

fn pod(policy: &str, init: bool) -> Pod {
    let mut spec = json!({"restartPolicy": policy, "containers": [
        {"name": "a", "image": "i"}, {"name": "b", "image": "i"}]});
    if init {
        spec["initContainers"] = json!([{"name": "init", "image": "i"}]);
    }
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 3}, "spec": spec}))
    .unwrap()
}

fn container(name: &str, state: State, exit_code: i32, created_at: i64) -> ContainerStatus {
    ContainerStatus {
        id: format!("{name}{created_at}"),
        name: name.into(),
        state,
        created_at,
        started_at: Timestamp::from_second(created_at).ok(),
        finished_at: (state == State::Exited).then(|| Timestamp::from_second(created_at + 1).unwrap()),
        exit_code,
        image: "i".into(),
        image_ref: "sha".into(),
        hash: String::new(),
        restart_count: 0,
        reason: if exit_code == 0 {
            "Completed".into()
        } else {
            "Error".into()
        },
        message: String::new(),
        sandbox_id: "s".into(),
        log_path: String::new(),
        annotations: Default::default(),
        termination_log: None,
    }
}

fn status_of(pod: &Pod, containers: Vec<ContainerStatus>, terminal: bool, old: &PodStatus) -> PodStatus {
    let sandbox = SandboxStatus {
        id: "s".into(),
        ready: true,
        ips: vec!["10.0.0.2".into()],
        ..SandboxStatus::default()
    };
    generate(&Inputs {
        pod,
        runtime: &runtime::PodStatus {
            sandboxes: vec![sandbox],
            containers,
        },
        old,
        terminal,
        reason: &|name| (name == "a").then(|| ("CrashLoopBackOff".into(), "back-off".into())),
        probes: &|_| {},
        runtime_name: "containerd",
        host_ips: &["192.168.0.1".to_owned()],
        now: Timestamp::UNIX_EPOCH,
    })
}

#[test]
fn phase_follows_containers_and_restart_policy() {
    use State::{Exited, Running};
    for (policy, a, b, terminal, expected) in [
        ("Always", Some((Running, 0)), Some((Running, 0)), false, "Running"),
        ("Always", Some((Running, 0)), None, false, "Pending"),
        ("Always", Some((Exited, 1)), Some((Exited, 0)), false, "Running"),
        ("OnFailure", Some((Exited, 0)), Some((Exited, 0)), false, "Succeeded"),
        ("Never", Some((Exited, 0)), Some((Exited, 1)), false, "Failed"),
        ("Never", Some((Exited, 0)), Some((Running, 0)), false, "Running"),
        ("Always", Some((Exited, 0)), Some((Exited, 0)), true, "Succeeded"),
        ("Always", Some((Exited, 137)), Some((Exited, 0)), true, "Failed"),
    ] {
        let mut seen = Vec::new();
        seen.extend(a.map(|(s, code)| container("a", s, code, 1)));
        seen.extend(b.map(|(s, code)| container("b", s, code, 1)));
        let status = status_of(&pod(policy, false), seen, terminal, &PodStatus::default());
        assert_eq!(
            status.phase.as_deref(),
            Some(expected),
            "{policy} {a:?} {b:?} {terminal}"
        );
    }
}

#[test]
fn crashing_container_waits_and_shows_its_last_end() {
    let seen = vec![
        container("a", State::Exited, 1, 1),
        container("b", State::Running, 0, 1),
    ];
    let status = status_of(&pod("Always", false), seen, false, &PodStatus::default());
    let a = &status.container_statuses.unwrap()[0];
    let waiting = a.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(terminated(a.last_state.as_ref()).unwrap().exit_code, 1);
}

#[test]
fn restarted_container_shows_the_earlier_one_as_last_state() {
    let mut now = container("a", State::Running, 0, 5);
    now.restart_count = 1;
    let seen = vec![now, container("a", State::Exited, 2, 1)];
    let status = status_of(&pod("Always", false), seen, false, &PodStatus::default());
    let a = &status.container_statuses.unwrap()[0];
    assert_eq!(
        (a.restart_count, a.container_id.as_deref()),
        (1, Some("containerd://a5"))
    );
    assert_eq!(terminated(a.last_state.as_ref()).unwrap().exit_code, 2);
}

#[test]
fn fresh_pod_waits_for_creation_or_initialisation() {
    for (init, expected) in [(false, "ContainerCreating"), (true, "PodInitializing")] {
        let status = status_of(&pod("Always", init), vec![], false, &PodStatus::default());
        let b = &status.container_statuses.unwrap()[1];
        let waiting = b.state.as_ref().unwrap().waiting.as_ref().unwrap();
        assert_eq!(waiting.reason.as_deref(), Some(expected));
        assert_eq!(status.phase.as_deref(), Some("Pending"));
        assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.2"));
        assert_eq!(status.host_ip.as_deref(), Some("192.168.0.1"));
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn terminal_phase_is_never_left() {
    let old = PodStatus {
        phase: Some("Failed".into()),
        reason: Some("Evicted".into()),
        ..PodStatus::default()
    };
    let seen = vec![
        container("a", State::Running, 0, 1),
        container("b", State::Running, 0, 1),
    ];
    let status = status_of(&pod("Always", false), seen, false, &old);
    assert_eq!(
        (status.phase.as_deref(), status.reason.as_deref()),
        (Some("Failed"), Some("Evicted"))
    );
}
