//! Creates the Node object and keeps its status (upstream: pkg/kubelet/kubelet_node_status.go).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Api, Client, Patch};
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, ObjectReference, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use rules::taints::{NO_SCHEDULE, NODE_NOT_READY};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::status::{self, RuntimeView};
use crate::pleg::Pleg;
use crate::shared::Shared;

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(7);
/// How often the runtime is asked how it is.
const LOOK: Duration = Duration::from_secs(5);

/// Asks the runtime how it is, and tells those who wait for its network.
pub(crate) async fn look(shared: &Shared, pleg: &Pleg) -> RuntimeView {
    let mut view = RuntimeView {
        problems: Vec::new(),
        images: Vec::new(),
        handlers: Vec::new(),
    };
    match shared.runtime.status().await {
        Err(error) => {
            view.problems.push(format!(
                "container runtime status check may not have completed yet: {error}"
            ));
            *shared.network.write() = Err("container runtime status check may not have completed yet".to_owned());
        }
        Ok(answer) => {
            view.handlers = answer.runtime_handlers;
            let conditions = answer.status.map(|s| s.conditions).unwrap_or_default();
            let mut network = Err("container runtime network not ready".to_owned());
            for condition in &conditions {
                let text = format!(
                    "{}={} reason:{} message:{}",
                    condition.r#type, condition.status, condition.reason, condition.message
                );
                match (condition.r#type.as_str(), condition.status) {
                    ("NetworkReady", true) => network = Ok(()),
                    ("NetworkReady", false) => {
                        let text = format!("container runtime network not ready: {text}");
                        view.problems.push(text.clone());
                        network = Err(text);
                    }
                    ("RuntimeReady", false) => {
                        view.problems.push(format!("container runtime not ready: {text}"));
                    }
                    _ => {}
                }
            }
            *shared.network.write() = network;
        }
    }
    if let Err(error) = pleg.check() {
        view.problems.push(format!("PLEG is not healthy: {error}"));
    }
    view
}

/// Registers the node, then reports its status until `shutdown`; standalone, only asks the runtime.
pub(crate) async fn run(shared: Arc<Shared>, pleg: Arc<Pleg>, shutdown: CancellationToken) {
    let work = async {
        let Some(client) = shared.client.clone() else {
            loop {
                look(&shared, &pleg).await;
                tokio::time::sleep(LOOK).await;
            }
        };
        let mut reporter = Reporter {
            api: Api::<Node>::all(client.clone()),
            shared: shared.clone(),
            last: None,
            reported: None,
        };
        if shared.config.file.register_node {
            reporter.register(&pleg).await;
        }
        reporter.report_for_ever(&pleg).await;
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

struct Reporter {
    api: Api<Node>,
    shared: Arc<Shared>,
    /// The status last reported.
    last: Option<NodeStatus>,
    /// When that was; nothing yet: a status of an earlier run is not ours to trust
    /// (upstream `Kubelet.lastStatusReportTime`).
    reported: Option<Instant>,
}

impl Reporter {
    async fn register(&mut self, pleg: &Pleg) {
        let mut wait = FIRST_RETRY;
        loop {
            match self.try_register(pleg).await {
                Ok(node) => {
                    tracing::info!(node = %self.shared.config.node_name, "Successfully registered node");
                    self.shared.facts.set_node_uid(node.metadata.uid);
                    self.last = node.status;
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = %client::error::chain(&error), "Unable to register node with API server");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_RETRY);
        }
    }

    async fn try_register(&mut self, pleg: &Pleg) -> client::Result<Node> {
        let shared = self.shared.clone();
        let name = &shared.config.node_name;
        if let Some(node) = self.api.get_opt(name).await? {
            return self.reconcile(node).await;
        }
        let mut view = look(&shared, pleg).await;
        view.images = shared.runtime.list_images().await.unwrap_or_default();
        let now = Timestamp::now();
        let mut taints = shared.config.taints.clone();
        if !view.problems.is_empty() && !taints.iter().any(|t| t.key == NODE_NOT_READY) {
            taints.push(Taint {
                key: NODE_NOT_READY.to_owned(),
                effect: NO_SCHEDULE.to_owned(),
                ..Taint::default()
            });
        }
        let status = status::status(&shared.config, &shared.facts, &view, &NodeStatus::default(), now);
        let node = Node {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels(&shared)),
                annotations: Some(annotations()),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec {
                provider_id: shared.config.provider_id.clone(),
                taints: (!taints.is_empty()).then_some(taints),
                ..NodeSpec::default()
            }),
            status: Some(status),
        };
        match self.api.create(&node).await {
            Ok(made) => {
                self.event("Starting", "Starting kubelet.");
                self.event("RegisteredNode", "");
                Ok(made)
            }
            Err(error) if error.is_already_exists() => {
                let node = self.api.get(name).await?;
                self.reconcile(node).await
            }
            Err(error) => Err(error),
        }
    }

    /// Brings labels and annotations of an existing object up to date.
    async fn reconcile(&self, node: Node) -> client::Result<Node> {
        let missing = |have: &Option<BTreeMap<String, String>>, want: BTreeMap<String, String>| {
            let have = have.clone().unwrap_or_default();
            let differing = want.into_iter().filter(|(k, v)| have.get(k) != Some(v));
            differing.collect::<BTreeMap<_, _>>()
        };
        let labels = missing(&node.metadata.labels, labels(&self.shared));
        let annotations = missing(&node.metadata.annotations, annotations());
        self.event("Starting", "Starting kubelet.");
        if labels.is_empty() && annotations.is_empty() {
            return Ok(node);
        }
        let patch = json!({"metadata": {"labels": labels, "annotations": annotations}});
        self.api
            .patch(&self.shared.config.node_name, &Patch::Strategic(patch), None)
            .await
    }

    fn event(&self, reason: &str, message: &str) {
        if reason != "RegisteredNode" {
            self.shared
                .recorder
                .normal(&node_reference(&self.shared.config.node_name), reason, message);
        }
    }

    async fn report_for_ever(&mut self, pleg: &Pleg) {
        let file = self.shared.config.file.clone();
        let quick = Notify::new();
        quick.notify_one();
        let mut next = Instant::now();
        let mut was_ready = None;
        loop {
            let mut view = look(&self.shared, pleg).await;
            let ready = view.problems.is_empty();
            let turned = was_ready.is_some_and(|was| was != ready) || was_ready.is_none();
            was_ready = Some(ready);
            if turned || Instant::now() >= next {
                view.images = self.shared.runtime.list_images().await.unwrap_or_default();
                match self.report(&view).await {
                    Ok(()) => next = Instant::now() + file.node_status_update_frequency.0,
                    Err(error) => {
                        tracing::warn!(error = %client::error::chain(&error), "Error updating node status, will retry");
                        next = Instant::now() + Duration::from_secs(2);
                    }
                }
            }
            // A node that is not ready is looked at more often: its pods wait.
            let wait = if ready { LOOK } else { Duration::from_millis(500) };
            tokio::time::sleep(wait).await;
        }
    }

    /// Writes the status when it differs from the last one, or that is old.
    async fn report(&mut self, view: &RuntimeView) -> client::Result<()> {
        let shared = self.shared.clone();
        let name = &shared.config.node_name;
        let old = self.last.clone().unwrap_or_default();
        let now = Timestamp::now();
        let new = status::status(&shared.config, &shared.facts, view, &old, now);
        let same = self.last.as_ref().is_some_and(|last| !differs_from_ours(last, &new));
        let period = shared.config.file.node_status_report_frequency.0;
        let recent = self.reported.is_some_and(|at| at.elapsed() < period);
        if same && recent {
            return Ok(());
        }
        let was_ready = is_ready(&old);
        let patch = Patch::Strategic(json!({"status": new}));
        match self.api.patch(name, &patch, Some("status")).await {
            Ok(node) => {
                self.shared.facts.set_node_uid(node.metadata.uid.clone());
                if was_ready != is_ready(&new) {
                    let reason = if is_ready(&new) { "NodeReady" } else { "NodeNotReady" };
                    let text = format!("Node {name} status is now: {reason}");
                    shared.recorder.normal(&node_reference(name), reason, text);
                }
                self.last = Some(new);
                self.reported = Some(Instant::now());
                Ok(())
            }
            Err(error) if error.is_not_found() && shared.config.file.register_node => {
                // Somebody deleted the object; it is made again.
                let node = self.try_register(&Pleg::always_healthy()).await?;
                shared.facts.set_node_uid(node.metadata.uid);
                self.last = node.status;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn differs_from_ours(last: &NodeStatus, new: &NodeStatus) -> bool {
    let ours = |status: &NodeStatus| NodeStatus {
        addresses: status.addresses.clone(),
        allocatable: status.allocatable.clone(),
        capacity: status.capacity.clone(),
        conditions: status.conditions.clone(),
        daemon_endpoints: status.daemon_endpoints.clone(),
        images: status.images.clone().filter(|i| !i.is_empty()),
        node_info: status.node_info.clone(),
        runtime_handlers: status.runtime_handlers.clone(),
        ..NodeStatus::default()
    };
    status::differs(&ours(last), &ours(new))
}

fn is_ready(status: &NodeStatus) -> bool {
    status
        .conditions
        .iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The node for events; its UID is its name, as upstream's kubelet has it.
fn node_reference(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

fn labels(shared: &Shared) -> BTreeMap<String, String> {
    let mut labels = shared.config.node_labels.clone();
    let arch = shared.facts.arch;
    for (key, value) in [
        ("beta.kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", shared.config.node_name.as_str()),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

fn annotations() -> BTreeMap<String, String> {
    let key = "volumes.kubernetes.io/controller-managed-attach-detach";
    BTreeMap::from([(key.to_owned(), "true".to_owned())])
}

/// Registers the node's CSI drivers object, empty while there are no drivers
/// (upstream: pkg/volume/csi/nodeinfomanager).
pub(crate) async fn csi_node(shared: Arc<Shared>, client: Client) {
    use k8s_openapi::api::storage::v1::{CSINode, CSINodeSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    let api = Api::<CSINode>::all(client);
    let name = shared.config.node_name.clone();
    let mut wait = Duration::from_secs(1);
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(60));
        let Some(uid) = shared.facts.node_uid() else { continue };
        let object = CSINode {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                owner_references: Some(vec![OwnerReference {
                    api_version: "v1".to_owned(),
                    kind: "Node".to_owned(),
                    name: name.clone(),
                    uid,
                    ..OwnerReference::default()
                }]),
                ..ObjectMeta::default()
            },
            spec: CSINodeSpec { drivers: Vec::new() },
        };
        match api.get_opt(&name).await {
            Ok(Some(_)) => return,
            Ok(None) => {
                if api.create(&object).await.is_ok() {
                    return;
                }
            }
            Err(_) => {}
        }
    }
}
