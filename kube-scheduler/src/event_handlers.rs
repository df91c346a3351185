//! From watches to cache and queue (upstream `eventhandlers.go`).

use std::sync::Arc;

use client::informer::Event as Change;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};

use crate::framework::event::Event;
use crate::framework::pod_info::PodInfo;
use crate::metrics;
use crate::scheduler::Scheduler;

impl Scheduler {
    /// A node came, changed or went.
    pub(crate) fn node_changed(&self, change: Change<Node>) {
        match change {
            Change::Added(node) => {
                let info = self.cache.lock().set_node(node);
                self.tell(&Event::NodeAdded(info));
            }
            Change::Updated { old, new } => {
                let info = self.cache.lock().set_node(Arc::clone(&new));
                if matters(&old, &new) {
                    self.tell(&Event::NodeUpdated { old, new: info });
                }
            }
            Change::Deleted(node) => {
                self.cache
                    .lock()
                    .remove_node(node.metadata.name.as_deref().unwrap_or_default());
            }
        }
    }

    /// A namespace came, changed or went: affinity may select pods by its labels.
    pub(crate) fn namespace_changed(&self, change: Change<Namespace>) {
        let (namespace, there) = match &change {
            Change::Added(namespace) | Change::Updated { new: namespace, .. } => (namespace, true),
            Change::Deleted(namespace) => (namespace, false),
        };
        let labels = there.then(|| namespace.metadata.labels.clone().unwrap_or_default());
        self.cache
            .lock()
            .set_namespace(namespace.metadata.name.as_deref().unwrap_or_default(), labels);
    }

    /// A pod came, changed or went.
    pub(crate) fn pod_changed(&self, change: Change<Pod>) {
        match change {
            Change::Added(pod) => self.pod_added(pod),
            Change::Updated { old, new } => self.pod_updated(old, new),
            Change::Deleted(pod) => self.pod_deleted(pod),
        }
    }

    fn pod_added(&self, pod: Arc<Pod>) {
        if rules::pods::is_pod_terminal(&pod) {
            return;
        }
        let info = Arc::new(PodInfo::new(pod));
        if info.node_name().is_some() {
            self.cache.lock().set_pod(Arc::clone(&info));
            self.tell(&Event::PodAssigned(info));
        } else if self.responsible(&info) {
            self.note_nomination(&info);
            metrics::INCOMING
                .with_label_values(&["active", "UnscheduledPodAdd"])
                .inc();
            self.queue.add(info);
        }
    }

    fn pod_updated(&self, old: Arc<Pod>, new: Arc<Pod>) {
        if rules::pods::is_pod_terminal(&new) {
            return self.pod_deleted(new);
        }
        if old.metadata.uid != new.metadata.uid {
            // Deleted and made again between two looks.
            self.pod_deleted(old);
            return self.pod_added(new);
        }
        let new = Arc::new(PodInfo::new(new));
        if new.node_name().is_some() {
            let unbound = old
                .spec
                .as_ref()
                .is_none_or(|spec| spec.node_name.as_deref().unwrap_or_default().is_empty());
            let mut cache = self.cache.lock();
            cache.withdraw(&new.uid);
            let before = cache.set_pod(Arc::clone(&new));
            drop(cache);
            match before.filter(|_| !unbound) {
                Some(old) => self.tell(&Event::PodUpdated { old, new }),
                None => {
                    self.queue.delete(&new.uid);
                    self.tell(&Event::PodAssigned(new));
                }
            }
        } else if self.responsible(&new) && !self.cache.lock().is_assumed(&new.uid) {
            self.note_nomination(&new);
            self.queue.update(Arc::new(PodInfo::new(old)), new);
        }
    }

    fn pod_deleted(&self, pod: Arc<Pod>) {
        let info = Arc::new(PodInfo::new(pod));
        let mut cache = self.cache.lock();
        let promised = cache.withdraw(&info.uid);
        let placed = cache.remove_pod(&info.uid).is_some();
        drop(cache);
        self.queue.delete(&info.uid);
        if placed || promised {
            self.tell(&Event::PodDeleted(info));
        }
    }

    fn tell(&self, event: &Event) {
        self.queue.event(event);
    }

    fn responsible(&self, pod: &PodInfo) -> bool {
        self.profile_of(pod).is_some()
    }

    fn note_nomination(&self, pod: &Arc<PodInfo>) {
        let node = pod
            .pod
            .status
            .as_ref()
            .and_then(|status| status.nominated_node_name.as_deref());
        if let Some(node) = node.filter(|node| !node.is_empty()) {
            self.cache.lock().nominate(Arc::clone(pod), node);
        }
    }
}

/// True when the change of a node may let a pod in; heartbeats do not.
fn matters(old: &Node, new: &Node) -> bool {
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    old.spec != new.spec
        || old.metadata.labels != new.metadata.labels
        || old.metadata.annotations != new.metadata.annotations
        || allocatable(old) != allocatable(new)
}
