//! A profile: the plugins one `schedulerName` runs, in order, with weights.

use std::collections::BTreeSet;

use super::event::{Event, Hint};
use super::plugin::{Cycle, Plugin, PostFiltered};
use super::pod_info::PodInfo;
use super::status::Status;

/// A plugin at work in a profile.
#[derive(Clone)]
pub(crate) struct Enabled {
    pub(crate) plugin: Plugin,
    /// Its part in the total score; 0 does not score.
    pub(crate) weight: i64,
}

/// The plugins of one `schedulerName`.
#[derive(Clone)]
pub(crate) struct Profile {
    pub(crate) scheduler_name: String,
    pub(crate) plugins: Vec<Enabled>,
    /// Share of the nodes to find feasible before scoring, 1..=100.
    pub(crate) percentage_of_nodes_to_score: u32,
}

impl Profile {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().map(|enabled| &enabled.plugin)
    }

    /// The first PreEnqueue refusal.
    pub(crate) fn gate(&self, pod: &PodInfo) -> Result<(), Status> {
        self.iter()
            .filter_map(|plugin| plugin.pre_enqueue.as_ref())
            .try_for_each(|gate| gate.pre_enqueue(pod))
    }

    /// Should a pod refused by these plugins be tried again after this event?
    pub(crate) fn hint(&self, refused_by: &BTreeSet<&'static str>, pod: &PodInfo, event: &Event) -> Hint {
        let worthwhile = self
            .iter()
            .filter(|plugin| refused_by.contains(plugin.name))
            .any(|plugin| {
                plugin
                    .requeue
                    .as_ref()
                    .is_none_or(|requeue| requeue.hint(pod, event) == Hint::Queue)
            });
        Hint::queue_if(worthwhile)
    }

    /// Runs the PostFilter plugins until one has a plan; messages are joined as upstream joins
    /// reasons.
    pub(crate) fn post_filter(&self, cycle: Cycle<'_>, diagnosis: &super::status::Diagnosis) -> PostFiltered {
        let mut messages = Vec::new();
        for plugin in self.iter() {
            let Some(point) = &plugin.post_filter else { continue };
            let outcome = point.post_filter(self, cycle, diagnosis);
            if outcome.plan.is_some() {
                return outcome;
            }
            if !outcome.message.is_empty() {
                messages.push(outcome.message);
            }
        }
        PostFiltered {
            plan: None,
            message: messages.join(", "),
        }
    }

    pub(crate) fn reserve(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        self.iter()
            .filter_map(|plugin| plugin.reserve.as_ref())
            .try_for_each(|point| point.reserve(pod, node))
    }

    pub(crate) fn unreserve(&self, pod: &PodInfo, node: &str) {
        let points: Vec<_> = self.iter().filter_map(|plugin| plugin.reserve.as_ref()).collect();
        points.into_iter().rev().for_each(|point| point.unreserve(pod, node));
    }

    pub(crate) async fn permit(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        for plugin in self.iter() {
            let Some(point) = &plugin.permit else { continue };
            tokio::time::timeout(point.timeout(), point.permit(pod, node))
                .await
                .unwrap_or_else(|_| Err(Status::unschedulable(plugin.name, "timeout on permit plugin")))?;
        }
        Ok(())
    }

    pub(crate) async fn pre_bind(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        for point in self.iter().filter_map(|plugin| plugin.pre_bind.as_ref()) {
            point.pre_bind(pod, node).await?;
        }
        Ok(())
    }

    pub(crate) async fn bind(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        for point in self.iter().filter_map(|plugin| plugin.bind.as_ref()) {
            if let Some(outcome) = point.bind(pod, node).await {
                return outcome;
            }
        }
        Err(Status::error("", "no bind plugin took the pod"))
    }

    pub(crate) fn post_bind(&self, pod: &PodInfo, node: &str) {
        self.iter()
            .filter_map(|plugin| plugin.post_bind.as_ref())
            .for_each(|point| point.post_bind(pod, node));
    }
}
