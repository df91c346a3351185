//! The same kubelet with an apiserver in this process: node, pods, statuses, mirrors.

use std::sync::Arc;
use std::time::Duration;

use client::{Api, Client, Config, DeleteOptions, ListParams, Patch, WatchEvent};
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node as ApiNode, NodeCondition, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kubelet::runtime::Runtime;
use kubelet::runtime::fake::FakeRuntime;
use serde::de::DeserializeOwned;
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

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the object of a name is as `holds` says (`None`: it is not there), and returns it. It is watched.
async fn until<K>(what: &str, api: &Api<K>, name: &str, holds: impl Fn(Option<&K>) -> bool) -> Option<K>
where
    K: DeserializeOwned + Send + 'static,
{
    let only = ListParams::default().fields(format!("metadata.name={name}"));
    let waiting = async {
        loop {
            let list = api.list(&only).await.unwrap();
            let now = list.items.into_iter().next();
            if holds(now.as_ref()) {
                return now;
            }
            let from = list.metadata.resource_version.unwrap();
            let mut changes = api.watch(&only.clone().at(from)).await.unwrap();
            // A watch that breaks begins again.
            while let Some(Ok(change)) = changes.next().await {
                let now = match change {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => Some(object),
                    WatchEvent::Deleted(_) => None,
                    WatchEvent::Bookmark { .. } => continue,
                };
                if holds(now.as_ref()) {
                    return now;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"))
}

/// Waits until the node's runtime is as `holds` says; asked after each of its changes.
async fn soon(what: &str, node: &Node, mut holds: impl AsyncFnMut() -> bool) {
    let mut changes = node.runtime.changes();
    let waiting = async {
        while !holds().await {
            changes.changed().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
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

fn ready_condition(node: &ApiNode) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == "Ready")
}

async fn ready_node(nodes: &Api<ApiNode>) -> ApiNode {
    let ready = |node: Option<&ApiNode>| node.and_then(ready_condition).is_some_and(|c| c.status == "True");
    until("the node is ready", nodes, "n1", ready).await.unwrap()
}

async fn ready_pod(pods: &Api<Pod>, name: &str) -> Pod {
    until("the pod is ready", pods, name, |p| p.is_some_and(is_ready))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn node_registers_is_ready_and_holds_a_lease() {
    let (_server, client, _node) = start().await;
    let nodes = Api::<ApiNode>::all(client.clone());
    let leases = Api::<Lease>::namespaced(client, "kube-node-lease");
    ready_node(&nodes).await;
    until("the lease is held", &leases, "n1", |lease| {
        lease
            .and_then(|l| l.spec.as_ref())
            .is_some_and(|s| s.holder_identity.as_deref() == Some("n1"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_kubelet_reports_although_nothing_changed() {
    let (server, client, node) = start().await;
    let nodes = Api::<ApiNode>::all(client);
    ready_node(&nodes).await;
    let (root, runtime) = node.stop().await;
    let mut old = ready_condition(&nodes.get("n1").await.unwrap()).unwrap().clone();
    old.last_heartbeat_time = Some(Time("2020-01-01T00:00:00Z".parse().unwrap()));
    let patch = Patch::Strategic(json!({"status": {"conditions": [old]}}));
    nodes.patch("n1", &patch, Some("status")).await.unwrap();
    let _node = Node::start_with(root, runtime, Some(&server.kubeconfig()));
    until("it says Ready itself", &nodes, "n1", |node| {
        let now = node.and_then(ready_condition).unwrap();
        now.last_heartbeat_time > old.last_heartbeat_time
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_pod_runs_reports_and_leaves_with_its_object() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    pods.create(&pod("p")).await.unwrap();
    ready_pod(&pods, "p").await;
    let status = pods.get("p").await.unwrap().status.unwrap();
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert!(status.pod_ip.is_some() && status.host_ip.as_deref() == Some("127.0.0.1"));
    pods.delete("p", &DeleteOptions::default()).await.unwrap();
    until("the object is gone", &pods, "p", |pod| pod.is_none()).await;
    soon("the containers are gone", &node, async || {
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
    ready_pod(&pods, "once").await;
    node.runtime.exit("a", 3);
    until("the pod has failed", &pods, "once", |pod| {
        pod.is_some_and(|pod| rules::pods::phase(pod) == "Failed")
    })
    .await;
    pods.delete("once", &DeleteOptions::default()).await.unwrap();
    until("the object is gone", &pods, "once", |pod| pod.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn static_pod_has_a_mirror_that_comes_back_with_its_status() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    let plain = WEB.replace("  initContainers: [{name: init, image: i}]\n", "");
    std::fs::write(node.manifest("web.yaml"), plain).unwrap();
    let first = ready_pod(&pods, "web-n1").await.metadata.uid;
    pods.delete("web-n1", &DeleteOptions::default()).await.unwrap();
    until("another mirror is ready", &pods, "web-n1", |mirror| {
        mirror.is_some_and(|m| m.metadata.uid != first && is_ready(m))
    })
    .await;
    assert_eq!(node.count("start a"), 1, "the containers know nothing of mirrors");
    std::fs::remove_file(node.manifest("web.yaml")).unwrap();
    until("the mirror is gone", &pods, "web-n1", |mirror| mirror.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_conditions_survive_status_writes() {
    let (_server, client, node) = start().await;
    let pods = Api::<Pod>::namespaced(client, "default");
    let mut gated = pod("gated");
    gated.spec.as_mut().unwrap().readiness_gates =
        serde_json::from_value(json!([{"conditionType": "example.com/ok"}])).unwrap();
    pods.create(&gated).await.unwrap();
    soon("the container runs", &node, async || node.count("start a") == 1).await;
    let patch =
        client::Patch::Strategic(json!({"status": {"conditions": [{"type": "example.com/ok", "status": "True"}]}}));
    pods.patch("gated", &patch, Some("status")).await.unwrap();
    let found = ready_pod(&pods, "gated").await;
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
    ready_pod(&pods, "small").await;
    let more = json!({"limits": {"cpu": "200m"}, "requests": {"cpu": "200m"}});
    let patch = client::Patch::Strategic(json!({"spec": {"containers": [{"name": "a", "resources": more}]}}));
    pods.patch("small", &patch, Some("resize")).await.unwrap();
    soon("the container is updated", &node, async || {
        node.count("update a cpu_quota=20000") == 1
    })
    .await;
    assert_eq!((node.count("start a"), node.count("stop a")), (1, 0));
}
