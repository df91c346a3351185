//! The extension points. Each trait's doc is its contract (upstream `kube-scheduler/framework`
//! `interface.go`); a plugin implements some and lists them in a [`Plugin`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::event::{Event, Hint};
use super::node_info::NodeInfo;
use super::pod_info::PodInfo;
use super::profile::Profile;
use super::status::{Diagnosis, Status};
use crate::cache::Snapshot;

/// The best score of a node.
pub(crate) const MAX_SCORE: i64 = 100;

/// What a cycle looks at: one pod, one snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Cycle<'a> {
    pub(crate) pod: &'a PodInfo,
    pub(crate) snapshot: &'a Snapshot,
}

/// May the pod be tried at all? Asked before each entry into the active queue; must be cheap.
pub(crate) trait PreEnqueue: Send + Sync {
    fn pre_enqueue(&self, pod: &PodInfo) -> Result<(), Status>;
}

/// Looks at the pod once per cycle and makes the filter for it.
pub(crate) trait PreFilter: Send + Sync {
    fn pre_filter<'a>(&'a self, cycle: Cycle<'a>) -> PreFiltered<'a>;
}

/// What a PreFilter found.
pub(crate) enum PreFiltered<'a> {
    /// Nothing to filter for this pod.
    Skip,
    /// No node can do.
    Reject(Status),
    /// Ask this filter; only the named nodes can do, when names are given.
    Check {
        filter: Box<dyn Filter + 'a>,
        nodes: Option<BTreeSet<String>>,
    },
}

impl<'a> PreFiltered<'a> {
    pub(crate) fn check(filter: impl Filter + 'a) -> Self {
        Self::Check {
            filter: Box::new(filter),
            nodes: None,
        }
    }
}

/// Can the node run the pod? Looks at the given node only, never at the snapshot's: during
/// preemption they differ.
pub(crate) trait Filter {
    fn filter(&self, node: &NodeInfo) -> Result<(), Status>;

    /// A pod joined or left a node hypothetically (preemption); filters that count across nodes
    /// override it.
    fn account(&mut self, _pod: &PodInfo, _node: &NodeInfo, _joined: bool) {}
}

/// Runs when no node fits; may decide to make room. The first plan wins; messages are joined.
pub(crate) trait PostFilter: Send + Sync {
    fn post_filter(&self, profile: &Profile, cycle: Cycle<'_>, diagnosis: &Diagnosis) -> PostFiltered;
}

/// What a PostFilter decided.
#[derive(Debug, Default)]
pub(crate) struct PostFiltered {
    pub(crate) plan: Option<Preemption>,
    pub(crate) message: String,
}

/// Room to be made: these pods go, then the pod fits there.
#[derive(Clone, Debug)]
pub(crate) struct Preemption {
    pub(crate) node: Arc<str>,
    pub(crate) victims: Vec<Arc<PodInfo>>,
}

/// Looks at the feasible nodes once and makes the scorer, or none when it has no opinion.
pub(crate) trait PreScore: Send + Sync {
    fn pre_score<'a>(&'a self, cycle: Cycle<'a>, nodes: &[&NodeInfo]) -> Option<Box<dyn Score + 'a>>;
}

/// How good is a node? After `normalize` a score is within 0..=100.
pub(crate) trait Score {
    fn score(&self, node: &NodeInfo) -> i64;

    fn normalize(&self, _scores: &mut [i64]) {}
}

/// Holds things for the pod on the chosen node. `unreserve` must be idempotent and cannot fail.
pub(crate) trait Reserve: Send + Sync {
    fn reserve(&self, pod: &PodInfo, node: &str) -> Result<(), Status>;
    fn unreserve(&self, pod: &PodInfo, node: &str);
}

/// Last word before binding.
#[async_trait]
pub(crate) trait Permit: Send + Sync {
    /// How long the answer may take.
    fn timeout(&self) -> Duration;
    async fn permit(&self, pod: &PodInfo, node: &str) -> Result<(), Status>;
}

/// Work that must be done before binding (volumes).
#[async_trait]
pub(crate) trait PreBind: Send + Sync {
    async fn pre_bind(&self, pod: &PodInfo, node: &str) -> Result<(), Status>;
}

/// Binds the pod; `None` leaves it to the next binder.
#[async_trait]
pub(crate) trait Bind: Send + Sync {
    async fn bind(&self, pod: &PodInfo, node: &str) -> Option<Result<(), Status>>;
}

/// Told after a successful bind.
pub(crate) trait PostBind: Send + Sync {
    fn post_bind(&self, pod: &PodInfo, node: &str);
}

/// Which events may undo this plugin's refusal (upstream `EnqueueExtensions`, queueing hints). A
/// plugin that refuses but implements none is asked again on every event.
pub(crate) trait Requeue: Send + Sync {
    fn hint(&self, pod: &PodInfo, event: &Event) -> Hint;
}

/// A plugin: its name and the extension points it fills.
#[derive(Clone, Default)]
pub(crate) struct Plugin {
    pub(crate) name: &'static str,
    pub(crate) pre_enqueue: Option<Arc<dyn PreEnqueue>>,
    pub(crate) pre_filter: Option<Arc<dyn PreFilter>>,
    pub(crate) post_filter: Option<Arc<dyn PostFilter>>,
    pub(crate) pre_score: Option<Arc<dyn PreScore>>,
    pub(crate) reserve: Option<Arc<dyn Reserve>>,
    pub(crate) permit: Option<Arc<dyn Permit>>,
    pub(crate) pre_bind: Option<Arc<dyn PreBind>>,
    pub(crate) bind: Option<Arc<dyn Bind>>,
    pub(crate) post_bind: Option<Arc<dyn PostBind>>,
    pub(crate) requeue: Option<Arc<dyn Requeue>>,
}

impl Plugin {
    pub(crate) fn named(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}

/// Stretches scores to 0..=100 by the largest; `reverse` turns best into worst
/// (upstream `helper.DefaultNormalizeScore`).
pub(crate) fn default_normalize(scores: &mut [i64], reverse: bool) {
    let largest = scores.iter().copied().max().unwrap_or(0);
    if largest == 0 {
        if reverse {
            scores.fill(MAX_SCORE);
        }
        return;
    }
    for score in scores {
        *score = MAX_SCORE * *score / largest;
        if reverse {
            *score = MAX_SCORE - *score;
        }
    }
}
