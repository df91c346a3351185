//! Nodes and the pods on them, as the scheduler believes them to be: what the API server said, plus
//! the pods assumed onto nodes whose binding is still on its way.
//!
//! A snapshot costs O(1): nodes live in a persistent vector, and a node's summary is copied when it
//! changes while a snapshot still holds it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use imbl::Vector;
use k8s_openapi::api::core::v1::Node;

use crate::framework::node_info::NodeInfo;
use crate::framework::pod_info::PodInfo;

#[cfg(test)]
mod tests;

/// Labels of the namespaces.
pub(crate) type Namespaces = imbl::HashMap<Arc<str>, Arc<BTreeMap<String, String>>>;

/// The believed state.
#[derive(Default)]
pub(crate) struct Cache {
    nodes: Vector<Arc<NodeInfo>>,
    positions: imbl::HashMap<Arc<str>, usize>,
    /// Pods on nodes that are gone or not seen yet.
    homeless: HashMap<Arc<str>, NodeInfo>,
    pods: HashMap<Arc<str>, Placed>,
    assumed: usize,
    /// Pods that room is being made for, by the node where.
    nominated: imbl::HashMap<Arc<str>, Vec<Arc<PodInfo>>>,
    namespaces: Namespaces,
}

struct Placed {
    pod: Arc<PodInfo>,
    node: Arc<str>,
    assumed: bool,
}

/// The state at one moment.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    nodes: Vector<Arc<NodeInfo>>,
    positions: imbl::HashMap<Arc<str>, usize>,
    nominated: imbl::HashMap<Arc<str>, Vec<Arc<PodInfo>>>,
    namespaces: Namespaces,
}

impl Snapshot {
    /// The node with the pods on it that were promised room there and are at least as important as
    /// this one; none when there are none (upstream `addGENominatedPods`).
    pub(crate) fn with_nominated(&self, node: &NodeInfo, pod: &PodInfo) -> Option<NodeInfo> {
        if self.nominated.is_empty() {
            return None;
        }
        let promised = self.nominated.get(&node.name)?;
        let mut ahead = promised
            .iter()
            .filter(|other| other.uid != pod.uid && other.priority >= pod.priority)
            .peekable();
        ahead.peek()?;
        let mut node = node.clone();
        ahead.for_each(|other| node.add_pod(Arc::clone(other)));
        Some(node)
    }

    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<NodeInfo>> {
        self.nodes.iter()
    }

    /// All nodes, beginning with this one and coming round.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = &NodeInfo> {
        let (before, after) = self.nodes.focus().split_at(first);
        after.into_iter().chain(before).map(|node| &**node)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.nodes.get(*self.positions.get(name)?)
    }
}

impl Cache {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            nodes: self.nodes.clone(),
            positions: self.positions.clone(),
            nominated: self.nominated.clone(),
            namespaces: self.namespaces.clone(),
        }
    }

    /// Takes a node in, or its new version.
    pub(crate) fn set_node(&mut self, node: Arc<Node>) -> Arc<NodeInfo> {
        let name: Arc<str> = node.metadata.name.as_deref().unwrap_or_default().into();
        if let Some(position) = self.positions.get(&name) {
            let slot = self.nodes.get_mut(*position).expect("positions point into the vector");
            Arc::make_mut(slot).set_node(node);
            return Arc::clone(slot);
        }
        let mut info = self
            .homeless
            .remove(&name)
            .unwrap_or_else(|| NodeInfo::unknown(Arc::clone(&name)));
        info.set_node(node);
        let info = Arc::new(info);
        self.positions.insert(name, self.nodes.len());
        self.nodes.push_back(Arc::clone(&info));
        info
    }

    /// Forgets a node; its pods are remembered until they go too.
    pub(crate) fn remove_node(&mut self, name: &str) {
        let Some(position) = self.positions.remove(name) else {
            return;
        };
        let last = self.nodes.pop_back().expect("a positioned node is in the vector");
        let gone = if position == self.nodes.len() {
            last
        } else {
            self.positions.insert(Arc::clone(&last.name), position);
            self.nodes.set(position, last)
        };
        if !gone.pods.is_empty() {
            self.homeless.insert(Arc::clone(&gone.name), Arc::unwrap_or_clone(gone));
        }
    }

    /// Takes a namespace's labels in; none forgets it.
    pub(crate) fn set_namespace(&mut self, name: &str, labels: Option<BTreeMap<String, String>>) {
        match labels {
            Some(labels) => self.namespaces.insert(name.into(), Arc::new(labels)),
            None => self.namespaces.remove(name),
        };
    }

    /// Counts a pod on a node before the API server confirms it.
    pub(crate) fn assume(&mut self, pod: Arc<PodInfo>, node: &str) -> Result<(), &'static str> {
        if self.pods.contains_key(&pod.uid) {
            return Err("pod is in the cache already, so it cannot be assumed");
        }
        self.place(pod, node.into(), true);
        Ok(())
    }

    /// Takes back an assumption; false when the pod was not assumed (any more).
    pub(crate) fn forget(&mut self, uid: &str) -> bool {
        if !self.is_assumed(uid) {
            return false;
        }
        self.remove_pod(uid).is_some()
    }

    pub(crate) fn is_assumed(&self, uid: &str) -> bool {
        self.pods.get(uid).is_some_and(|placed| placed.assumed)
    }

    /// The API server says the pod is on its node: confirms an assumption, corrects a wrong one.
    /// Gives what was believed before.
    pub(crate) fn set_pod(&mut self, pod: Arc<PodInfo>) -> Option<Arc<PodInfo>> {
        let node = pod.node_name().map(Arc::<str>::from)?;
        if let Some(placed) = self
            .pods
            .get(&pod.uid)
            .filter(|placed| placed.assumed && placed.node != node)
        {
            tracing::warn!(pod = %pod.key(), assumed = %placed.node, actual = %node, "pod was bound to another node than assumed");
        }
        let before = self.remove_pod(&pod.uid);
        self.place(pod, node, false);
        before
    }

    /// The pod is gone.
    pub(crate) fn remove_pod(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let placed = self.pods.remove(uid)?;
        self.assumed -= usize::from(placed.assumed);
        if let Some(position) = self.positions.get(&placed.node) {
            let slot = self.nodes.get_mut(*position).expect("positions point into the vector");
            Arc::make_mut(slot).remove_pod(uid);
        } else if let Some(info) = self.homeless.get_mut(&placed.node) {
            info.remove_pod(uid);
            if info.pods.is_empty() {
                self.homeless.remove(&placed.node);
            }
        }
        Some(placed.pod)
    }

    /// Remembers that room is made for the pod on a node.
    pub(crate) fn nominate(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.withdraw(&pod.uid);
        self.nominated.entry(node.into()).or_default().push(pod);
    }

    /// Forgets a promise of room; true when there was one.
    pub(crate) fn withdraw(&mut self, uid: &str) -> bool {
        let Some(node) = self
            .nominated
            .iter()
            .find(|(_, pods)| pods.iter().any(|pod| &*pod.uid == uid))
            .map(|(n, _)| Arc::clone(n))
        else {
            return false;
        };
        let pods = self.nominated.get_mut(&node).expect("it was just found");
        pods.retain(|pod| &*pod.uid != uid);
        if pods.is_empty() {
            self.nominated.remove(&node);
        }
        true
    }

    /// Nodes, pods, and pods only assumed.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        [self.nodes.len(), self.pods.len(), self.assumed]
    }

    fn place(&mut self, pod: Arc<PodInfo>, node: Arc<str>, assumed: bool) {
        if let Some(position) = self.positions.get(&node) {
            let slot = self.nodes.get_mut(*position).expect("positions point into the vector");
            Arc::make_mut(slot).add_pod(Arc::clone(&pod));
        } else {
            self.homeless
                .entry(Arc::clone(&node))
                .or_insert_with(|| NodeInfo::unknown(Arc::clone(&node)))
                .add_pod(Arc::clone(&pod));
        }
        self.assumed += usize::from(assumed);
        self.pods.insert(Arc::clone(&pod.uid), Placed { pod, node, assumed });
    }
}
