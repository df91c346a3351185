//! What happened in the cluster that may make a waiting pod schedulable.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::node_info::NodeInfo;
use super::pod_info::PodInfo;

/// One change (upstream `framework.ClusterEvent`). Cheap to clone: it is kept for the pods whose
/// cycle is running.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A node came.
    NodeAdded(Arc<NodeInfo>),
    /// A node changed.
    NodeUpdated { old: Arc<Node>, new: Arc<NodeInfo> },
    /// A pod is on a node now.
    PodAssigned(Arc<PodInfo>),
    /// A pod on a node changed.
    PodUpdated { old: Arc<PodInfo>, new: Arc<PodInfo> },
    /// A pod left its node, or its assumption was given up.
    PodDeleted(Arc<PodInfo>),
    /// The waiting pod itself changed.
    SelfUpdated { old: Arc<PodInfo>, new: Arc<PodInfo> },
}

impl Event {
    /// The label of the `queue_incoming_pods_total` metric.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::NodeAdded(_) => "NodeAdd",
            Self::NodeUpdated { .. } => "NodeUpdate",
            Self::PodAssigned(_) => "AssignedPodAdd",
            Self::PodUpdated { .. } => "AssignedPodUpdate",
            Self::PodDeleted(_) => "AssignedPodDelete",
            Self::SelfUpdated { .. } => "UnschedulablePodUpdate",
        }
    }
}

/// A plugin's opinion on an event (upstream `QueueingHint`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Try the pod again.
    Queue,
    /// This event changes nothing for it.
    Skip,
}

impl Hint {
    pub(crate) fn queue_if(worthwhile: bool) -> Self {
        if worthwhile { Self::Queue } else { Self::Skip }
    }
}
