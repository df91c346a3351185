//! Builders of pods and nodes for this crate's tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, Node, NodeSpec, NodeStatus, Pod, PodSpec, ResourceRequirements, Taint, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::cache::{Cache, Snapshot};
use crate::framework::pod_info::PodInfo;

pub(crate) struct PodBuilder(Pod);

/// A pod in `default` whose uid is its name, with one container.
pub(crate) fn pod(name: &str) -> PodBuilder {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.namespace = Some("default".to_owned());
    pod.metadata.uid = Some(name.to_owned());
    pod.spec = Some(PodSpec {
        containers: vec![Container {
            name: "c".to_owned(),
            ..Container::default()
        }],
        scheduler_name: Some("default-scheduler".to_owned()),
        ..PodSpec::default()
    });
    PodBuilder(pod)
}

impl PodBuilder {
    pub(crate) fn spec(mut self, change: impl FnOnce(&mut PodSpec)) -> Self {
        change(self.0.spec.get_or_insert_default());
        self
    }

    pub(crate) fn request(self, resource: &str, amount: &str) -> Self {
        self.spec(|spec| {
            spec.containers[0]
                .resources
                .get_or_insert_with(ResourceRequirements::default)
                .requests
                .get_or_insert_default()
                .insert(resource.to_owned(), Quantity(amount.to_owned()));
        })
    }

    pub(crate) fn cpu(self, amount: &str) -> Self {
        self.request("cpu", amount)
    }

    pub(crate) fn memory(self, amount: &str) -> Self {
        self.request("memory", amount)
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.0
            .metadata
            .labels
            .get_or_insert_default()
            .insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn on(self, node: &str) -> Self {
        self.spec(|spec| spec.node_name = Some(node.to_owned()))
    }

    pub(crate) fn priority(self, priority: i32) -> Self {
        self.spec(|spec| spec.priority = Some(priority))
    }

    pub(crate) fn host_port(self, port: i32) -> Self {
        self.spec(|spec| {
            spec.containers[0].ports.get_or_insert_default().push(ContainerPort {
                container_port: port,
                host_port: Some(port),
                ..ContainerPort::default()
            });
        })
    }

    pub(crate) fn select(self, key: &str, value: &str) -> Self {
        self.spec(|spec| {
            spec.node_selector
                .get_or_insert_default()
                .insert(key.to_owned(), value.to_owned());
        })
    }

    pub(crate) fn tolerate(self, key: &str) -> Self {
        self.spec(|spec| {
            spec.tolerations.get_or_insert_default().push(Toleration {
                key: Some(key.to_owned()),
                operator: Some("Exists".to_owned()),
                ..Toleration::default()
            });
        })
    }

    pub(crate) fn build(self) -> Pod {
        self.0
    }

    pub(crate) fn info(self) -> Arc<PodInfo> {
        Arc::new(PodInfo::new(Arc::new(self.0)))
    }
}

pub(crate) struct NodeBuilder(Node);

/// A node of 4 cores, 8Gi and 110 pods.
pub(crate) fn node(name: &str) -> NodeBuilder {
    let mut node = Node::default();
    node.metadata.name = Some(name.to_owned());
    node.spec = Some(NodeSpec::default());
    node.status = Some(NodeStatus::default());
    NodeBuilder(node)
        .allocatable("cpu", "4")
        .allocatable("memory", "8Gi")
        .allocatable("pods", "110")
}

impl NodeBuilder {
    pub(crate) fn allocatable(mut self, resource: &str, amount: &str) -> Self {
        self.0
            .status
            .get_or_insert_default()
            .allocatable
            .get_or_insert_with(BTreeMap::new)
            .insert(resource.to_owned(), Quantity(amount.to_owned()));
        self
    }

    pub(crate) fn cpu(self, amount: &str) -> Self {
        self.allocatable("cpu", amount)
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.0
            .metadata
            .labels
            .get_or_insert_default()
            .insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn taint(mut self, key: &str, effect: &str) -> Self {
        self.0
            .spec
            .get_or_insert_default()
            .taints
            .get_or_insert_default()
            .push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                ..Taint::default()
            });
        self
    }

    pub(crate) fn cordoned(mut self) -> Self {
        self.0.spec.get_or_insert_default().unschedulable = Some(true);
        self
    }

    pub(crate) fn build(self) -> Node {
        self.0
    }
}

/// A snapshot of these nodes with these pods on them.
pub(crate) fn snapshot(nodes: Vec<NodeBuilder>, pods: Vec<PodBuilder>) -> Snapshot {
    let mut cache = Cache::default();
    for node in nodes {
        cache.set_node(Arc::new(node.build()));
    }
    for pod in pods {
        cache.set_pod(pod.info());
    }
    cache.snapshot()
}
