//! The whole scheduler against an API server made of a map and a channel.
#![allow(clippy::unwrap_used)]

mod fake_api;

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use fake_api::FakeApi;

struct Running {
    api: FakeApi,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
    kubeconfig: std::path::PathBuf,
}

async fn start(api: FakeApi) -> Running {
    let kubeconfig = std::env::temp_dir().join(format!("corten-scheduler-{}-{}", std::process::id(), api.addr.port()));
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", api.addr)}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]});
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let values = kube_scheduler::options::table()
        .parse(
            [
                &format!("--kubeconfig={}", kubeconfig.display()),
                "--leader-elect=false",
                "--secure-port=0",
            ]
            .map(String::from),
        )
        .unwrap();
    let config = kube_scheduler::Options::from_values(&values).complete().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(kube_scheduler::run(config, shutdown.clone()));
    Running {
        api,
        shutdown,
        task,
        kubeconfig,
    }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        std::fs::remove_file(self.kubeconfig).unwrap();
    }
}

fn node(name: &str, cpu: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}})
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
        "spec": {"schedulerName": "default-scheduler", "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
        "status": {"phase": "Pending"}})
}

#[tokio::test]
async fn waiting_pods_are_bound_and_announced() {
    let api = FakeApi::start(
        vec![node("n1", "2"), node("n2", "2")],
        vec![pod("a", "1500m"), pod("b", "1500m")],
    )
    .await;
    let running = start(api).await;
    let (a, b) = (running.api.bound("a").await, running.api.bound("b").await);
    assert_ne!(a, b, "the second pod does not fit beside the first");
    let event = running.api.event("a", "Scheduled").await;
    assert_eq!(event["message"], format!("Successfully assigned default/a to {a}"));
    assert_eq!(event["type"], "Normal");
    running.stop().await;
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_says_why_and_is_bound_when_room_appears() {
    let api = FakeApi::start(vec![node("small", "1")], vec![pod("big", "3")]).await;
    let running = start(api).await;
    let event = running.api.event("big", "FailedScheduling").await;
    let message = event["message"].as_str().unwrap();
    assert!(
        message.starts_with("0/1 nodes are available: 1 Insufficient cpu."),
        "{message}"
    );
    let condition = running.api.condition("big", "PodScheduled").await;
    assert_eq!(
        (&condition["status"], &condition["reason"]),
        (&json!("False"), &json!("Unschedulable"))
    );
    running.api.add_node(node("large", "4"));
    assert_eq!(running.api.bound("big").await, "large");
    running.stop().await;
}

#[tokio::test]
async fn a_failed_binding_is_tried_again() {
    let api = FakeApi::start(vec![node("n1", "2")], vec![]).await;
    api.fail_bindings(1);
    let running = start(api).await;
    running.api.add_pod(pod("p", "2"));
    assert_eq!(
        running.api.bound("p").await,
        "n1",
        "the assumption was given up, so there is room again"
    );
    running.stop().await;
}
