//! The pods this kubelet has been told to run, and the mirrors of static ones
//! (upstream: pkg/kubelet/pod/pod_manager.go).

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::RwLock;

use super::PodExt;

/// See the module's text.
#[derive(Default)]
pub(crate) struct PodManager {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    pods: HashMap<String, Arc<Pod>>,
    /// By `namespace/name`, which a static pod and its mirror share.
    mirrors: HashMap<String, Arc<Pod>>,
}

impl PodManager {
    /// Takes a new or changed pod, or mirror.
    pub(crate) fn upsert(&self, pod: Arc<Pod>) {
        let mut state = self.state.write();
        if pod.is_mirror() {
            state.mirrors.insert(pod.key(), pod);
        } else {
            state.pods.insert(pod.uid().to_owned(), pod);
        }
    }

    /// Forgets a pod or mirror.
    pub(crate) fn remove(&self, pod: &Pod) {
        let mut state = self.state.write();
        if pod.is_mirror() {
            if state
                .mirrors
                .get(&pod.key())
                .is_some_and(|m| m.metadata.uid == pod.metadata.uid)
            {
                state.mirrors.remove(&pod.key());
            }
        } else {
            state.pods.remove(pod.uid());
        }
    }

    pub(crate) fn get(&self, uid: &str) -> Option<Arc<Pod>> {
        self.state.read().pods.get(uid).cloned()
    }

    /// The pod, not the mirror, of a name.
    pub(crate) fn by_name(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let state = self.state.read();
        state
            .pods
            .values()
            .find(|p| p.name() == name && p.namespace() == namespace)
            .cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Pod>> {
        self.state.read().pods.values().cloned().collect()
    }

    pub(crate) fn mirror_of(&self, pod: &Pod) -> Option<Arc<Pod>> {
        self.state.read().mirrors.get(&pod.key()).cloned()
    }

    /// The static pod a mirror stands for.
    pub(crate) fn behind_mirror(&self, mirror: &Pod) -> Option<Arc<Pod>> {
        self.by_name(mirror.namespace(), mirror.name())
            .filter(|p| p.is_static())
    }

    /// Mirrors without a static pod.
    pub(crate) fn orphaned_mirrors(&self) -> Vec<Arc<Pod>> {
        let state = self.state.read();
        let known = |m: &Pod| state.pods.values().any(|p| p.is_static() && p.key() == m.key());
        state.mirrors.values().filter(|m| !known(m)).cloned().collect()
    }
}
