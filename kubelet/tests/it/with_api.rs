//! The same kubelet with an apiserver in this process: node, pods, statuses, mirrors.

use std::sync::Arc;
use std::time::Duration;

use client::{Api, Client, Config, DeleteOptions, Patch};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node as ApiNode, NodeCondition, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kubelet::runtime::Runtime;
use kubelet::runtime::fake::FakeRuntime;
use serde_json::json;
use testserver::TestServer;

use super::{Node, WEB};

async fn start() -> (TestServer, Client, Node) {
    let server = TestServer::start().await;
    let client = Client::new(Config::from_kubeconfig(server.kubeconfig()).unwrap()).unwrap();
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    Api::namespaced(client.clone(), "default")
        .create(&account)
        .await
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("manifests")).unwrap();
    let node = Node::start_with(root, Arc::new(FakeRuntime::default()), Some(&server.kubeconfig()));
    (server, client, node)
}

/// Waits, in real time, until `holds`.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(30), waiting).await.is_ok(),
        "never: {what}"
    );
}

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": "n1",
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "a", "image": "i"}],
        },
    }))
    .unwrap()
}

fn is_ready(pod: &Pod) -> bool {
    rules::pods::is_pod_ready(pod) && rules::pods::phase(pod) == "Running"
}

async fn ready_condition(nodes: &Api<ApiNode>) -> Option<NodeCondition> {
    let status = nodes.get_opt("n1").await.unwrap()?.status?;
    status.conditions?.into_iter().find(|c| c.type_ == "Ready")
}

#[tokio::test(flavor = "multi_thread")]
async fn node_registers_is_ready_and_holds_a_lease() {
    let (_server, client, _node) = start().await;
    let nodes = Api::<ApiNode>::all(client.clone());
    let leases = Api::<Lease>::namespaced(client, "kube-node-lease");
    soon("the node is ready", async || {
        ready_condition(&nodes).await.is_some_and(|c| c.status == "True")
    })
    .await;
    soon("the lease is held", async || {
        let lease = leases.get_opt("n1").await.unwrap();
        lease
            .and_then(|l| l.spec)
            .is_some_and(|s| s.holder_identity.as_deref() == Some("n1"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_kubelet_reports_although_nothing_changed() {
    let (server, client, node) = start().await;
    let nodes = Api::<ApiNode>::all(client);
    soon("the node is ready", async || {
        ready_condition(&nodes).await.is_some_and(|c| c.status == "True")
    })
    .await;
    let (root, runtime) = node.stop().await;
    let mut old = ready_condition(&nodes).await.unwrap();
    old.last_heartbeat_time = Some(Time("2020-01-01T00:00:00Z".parse().unwrap()));
    let patch = Patch::Strategic(json!({"status": {"conditions": [old]}}));
    nodes.patch("n1", &patch, Some("status")).await.unwrap();
    let _node = Node::start_with(root, runtime, Some(&server.kubeconfig()));
    soon("it says Ready itself", async || {
        ready_condition(&nodes).await.unwrap().last_heartbeat_time > old.last_heartbeat_time
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_pod_runs_reports_and_leaves_with_its_object() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    pods.create(&pod("p")).await.unwrap();
    soon("the pod is ready", async || is_ready(&pods.get("p").await.unwrap())).await;
    let status = pods.get("p").await.unwrap().status.unwrap();
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert!(status.pod_ip.is_some() && status.host_ip.as_deref() == Some("127.0.0.1"));
    pods.delete("p", &DeleteOptions::default()).await.unwrap();
    soon("the object is gone", async || {
        pods.get_opt("p").await.unwrap().is_none()
    })
    .await;
    soon("the containers are gone", async || {
        node.runtime.list_containers(None).await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_pod_keeps_its_phase_and_is_deleted_on_demand() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    let mut once = pod("once");
    once.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    pods.create(&once).await.unwrap();
    soon("the pod is ready", async || is_ready(&pods.get("once").await.unwrap())).await;
    node.runtime.exit("a", 3);
    soon("the pod has failed", async || {
        rules::pods::phase(&pods.get("once").await.unwrap()) == "Failed"
    })
    .await;
    pods.delete("once", &DeleteOptions::default()).await.unwrap();
    soon("the object is gone", async || {
        pods.get_opt("once").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn static_pod_has_a_mirror_that_comes_back_with_its_status() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    let plain = WEB.replace("  initContainers: [{name: init, image: i}]\n", "");
    std::fs::write(node.manifest("web.yaml"), plain).unwrap();
    let mirror = async || pods.get_opt("web-n1").await.unwrap();
    soon("the mirror is ready", async || {
        mirror().await.is_some_and(|m| is_ready(&m))
    })
    .await;
    let first = mirror().await.unwrap().metadata.uid;
    pods.delete("web-n1", &DeleteOptions::default()).await.unwrap();
    soon("another mirror is ready", async || {
        mirror().await.is_some_and(|m| m.metadata.uid != first && is_ready(&m))
    })
    .await;
    assert_eq!(node.count("start a"), 1, "the containers know nothing of mirrors");
    std::fs::remove_file(node.manifest("web.yaml")).unwrap();
    soon("the mirror is gone", async || mirror().await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_conditions_survive_status_writes() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    let mut gated = pod("gated");
    gated.spec.as_mut().unwrap().readiness_gates =
        serde_json::from_value(json!([{"conditionType": "example.com/ok"}])).unwrap();
    pods.create(&gated).await.unwrap();
    soon("the container runs", async || node.count("start a") == 1).await;
    let patch =
        client::Patch::Strategic(json!({"status": {"conditions": [{"type": "example.com/ok", "status": "True"}]}}));
    pods.patch("gated", &patch, Some("status")).await.unwrap();
    soon("the gate opens", async || is_ready(&pods.get("gated").await.unwrap())).await;
    let found = pods.get("gated").await.unwrap();
    assert!(rules::pods::is_condition_true(&found, "example.com/ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn resized_pod_keeps_its_container() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    let mut small = pod("small");
    small.spec.as_mut().unwrap().containers[0].resources =
        serde_json::from_value(json!({"limits": {"cpu": "100m"}, "requests": {"cpu": "100m"}})).unwrap();
    pods.create(&small).await.unwrap();
    soon("the pod is ready", async || is_ready(&pods.get("small").await.unwrap())).await;
    let more = json!({"limits": {"cpu": "200m"}, "requests": {"cpu": "200m"}});
    let patch = client::Patch::Strategic(json!({"spec": {"containers": [{"name": "a", "resources": more}]}}));
    pods.patch("small", &patch, Some("resize")).await.unwrap();
    soon("the container is updated", async || {
        node.count("update a cpu_quota=20000") == 1
    })
    .await;
    assert_eq!((node.count("start a"), node.count("stop a")), (1, 0));
}
