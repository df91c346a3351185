//! A node with the pods on it, summed up (upstream `framework.NodeInfo`).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::api::core::v1::{Node, Taint};
use rules::node_affinity::NodeRef;
use rules::ports::HostPort;

use super::pod_info::PodInfo;
use super::resource::Resources;

static NO_NODE: LazyLock<Arc<Node>> = LazyLock::new(|| Arc::new(Node::default()));

/// A node as filters and scores see it.
#[derive(Clone, Debug)]
pub(crate) struct NodeInfo {
    pub(crate) name: Arc<str>,
    pub(crate) node: Arc<Node>,
    pub(crate) allocatable: Resources,
    /// What the pods here ask for.
    pub(crate) requested: Resources,
    /// The same with defaults; for scores only.
    pub(crate) non_zero_requested: Resources,
    pub(crate) used_ports: Vec<HostPort>,
    pub(crate) pods: Vec<Arc<PodInfo>>,
    /// Those of the pods with affinity or anti-affinity to other pods.
    pub(crate) pods_with_affinity: Vec<Arc<PodInfo>>,
    /// Those of the pods with required anti-affinity.
    pub(crate) pods_with_anti_affinity: Vec<Arc<PodInfo>>,
    /// Bytes of each image here, by each of its names.
    pub(crate) images: Arc<BTreeMap<String, i64>>,
}

impl NodeInfo {
    /// A node not seen yet, whose pods came first.
    pub(crate) fn unknown(name: Arc<str>) -> Self {
        Self {
            name,
            node: Arc::clone(&NO_NODE),
            allocatable: Resources::default(),
            requested: Resources::default(),
            non_zero_requested: Resources::default(),
            used_ports: Vec::new(),
            pods: Vec::new(),
            pods_with_affinity: Vec::new(),
            pods_with_anti_affinity: Vec::new(),
            images: Arc::default(),
        }
    }

    pub(crate) fn set_node(&mut self, node: Arc<Node>) {
        let status = node.status.as_ref();
        self.allocatable = Resources::from_list(&rules::resources::parse_list(
            status.and_then(|status| status.allocatable.as_ref()),
        ));
        let mut images = BTreeMap::new();
        for image in status.and_then(|status| status.images.as_ref()).into_iter().flatten() {
            for name in image.names.iter().flatten() {
                images.insert(name.clone(), image.size_bytes.unwrap_or(0));
            }
        }
        self.images = Arc::new(images);
        self.node = node;
    }

    pub(crate) fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.requested.add(&pod.requests);
        self.non_zero_requested.add(&pod.non_zero);
        self.used_ports.extend(pod.host_ports.iter().cloned());
        if let Some(terms) = &pod.terms {
            self.pods_with_affinity.push(Arc::clone(&pod));
            if !terms.required_anti.is_empty() {
                self.pods_with_anti_affinity.push(Arc::clone(&pod));
            }
        }
        self.pods.push(pod);
    }

    /// Takes a pod away by uid; false when it is not here.
    pub(crate) fn remove_pod(&mut self, uid: &str) -> bool {
        let Some(position) = self.pods.iter().position(|pod| &*pod.uid == uid) else {
            return false;
        };
        let pod = self.pods.swap_remove(position);
        if pod.terms.is_some() {
            self.pods_with_affinity.retain(|other| other.uid != pod.uid);
            self.pods_with_anti_affinity.retain(|other| other.uid != pod.uid);
        }
        self.requested.sub(&pod.requests);
        self.non_zero_requested.sub(&pod.non_zero);
        for port in &pod.host_ports {
            if let Some(position) = self.used_ports.iter().position(|used| used == port) {
                self.used_ports.swap_remove(position);
            }
        }
        true
    }

    /// The value of a label of the node.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.node.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn taints(&self) -> &[Taint] {
        self.node
            .spec
            .as_ref()
            .and_then(|spec| spec.taints.as_deref())
            .unwrap_or_default()
    }

    pub(crate) fn unschedulable(&self) -> bool {
        self.node
            .spec
            .as_ref()
            .and_then(|spec| spec.unschedulable)
            .unwrap_or(false)
    }

    pub(crate) fn affinity_ref(&self) -> NodeRef<'_> {
        NodeRef {
            name: &self.name,
            labels: self.node.metadata.labels.as_ref(),
        }
    }
}
