//! pod-garbage-collector-controller: deletes pods nobody will finish: those over the threshold of terminated pods,
//! those on nodes that are gone or out of service, and those deleted before they were scheduled.
//!
//! Looks at all pods every 20 seconds, as upstream does, but only when something changed or a node is gone.
//! Upstream: pkg/controller/podgc/gc_controller.go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::informer::Reader;
use client::{Api, Client, DeleteOptions, Patch, Preconditions};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use rules::pods::{is_pod_terminal, phase};
use rules::taints::NODE_OUT_OF_SERVICE;
use serde_json::json;
use tokio::time::Instant;

use crate::context::{ControllerContext, Work};

/// Upstream: `gcCheckPeriod`.
const PERIOD: Duration = Duration::from_secs(20);
/// A node must be gone for this long before its pods are deleted. Upstream: `quarantineTime`.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Asks for informers; the work checks periodically.
pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let pods = ctx.informers.informer::<Pod>();
    let nodes = ctx.informers.informer::<Node>();
    let mut collector = Collector {
        pods: pods.reader(),
        nodes: nodes.reader(),
        client: ctx.client("pod-garbage-collector"),
        threshold: ctx.config.terminated_pod_gc_threshold,
        missing: HashMap::new(),
    };
    let changed = Arc::new(tokio::sync::Notify::new());
    let (on_pod, on_node) = (changed.clone(), changed.clone());
    pods.add_handler(move |_| on_pod.notify_one());
    nodes.add_handler(move |_| on_node.notify_one());
    let (informers, shutdown) = (ctx.informers.clone(), ctx.shutdown.clone());
    Some(Box::pin(async move {
        if !informers.wait_synced().await {
            return;
        }
        loop {
            let next = Instant::now() + PERIOD;
            if let Err(error) = collector.collect(Instant::now()).await {
                tracing::warn!(error = %format!("{error:#}"), "pod garbage collection failed");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
            // An idle cluster is left alone until something happens; a node in quarantine is something.
            if collector.missing.is_empty() {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = changed.notified() => {}
                }
            }
        }
    }))
}

struct Collector {
    pods: Reader<Pod>,
    nodes: Reader<Node>,
    client: Client,
    threshold: usize,
    /// Nodes that pods name and that are not there, and since when.
    missing: HashMap<String, Instant>,
}

impl Collector {
    async fn collect(&mut self, now: Instant) -> anyhow::Result<()> {
        let pods = self.pods.list();
        let mut first_error = None;
        let mut doomed: Vec<(Arc<Pod>, Option<&'static str>)> = over_threshold(&pods, self.threshold)
            .into_iter()
            .map(|p| (p, None))
            .collect();
        for pod in &pods {
            if let Some(reason) = self.stranded(pod, now) {
                doomed.push((pod.clone(), reason));
            }
        }
        for node in self.gone_nodes(&pods, now).await? {
            let message = "PodGC: node no longer exists";
            doomed.extend(
                pods.iter()
                    .filter(|p| node_name(p) == node)
                    .map(|p| (p.clone(), Some(message))),
            );
        }
        for (pod, why) in doomed {
            if let Err(error) = self.delete(&pod, why).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Being deleted with no kubelet to finish it. `Some(None)`: no condition is needed.
    #[allow(clippy::option_option)]
    fn stranded(&self, pod: &Pod, _now: Instant) -> Option<Option<&'static str>> {
        pod.metadata.deletion_timestamp.as_ref()?;
        let node = node_name(pod);
        if node.is_empty() {
            return Some(None);
        }
        let node = self.nodes.get("", node)?;
        let out = node
            .spec
            .as_ref()
            .and_then(|s| s.taints.as_ref())
            .is_some_and(|t| t.iter().any(|t| t.key == NODE_OUT_OF_SERVICE));
        let ready = node
            .status
            .as_ref()
            .and_then(|s| s.conditions.as_ref())
            .is_some_and(|c| c.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
        (out && !ready).then_some(None)
    }

    /// Nodes named by pods that were missing for the whole quarantine and that the API does not have either.
    async fn gone_nodes(&mut self, pods: &[Arc<Pod>], now: Instant) -> anyhow::Result<Vec<String>> {
        let mut seen: HashMap<String, Instant> = HashMap::new();
        for pod in pods {
            let name = node_name(pod);
            if !name.is_empty() && self.nodes.get("", name).is_none() {
                let since = self.missing.get(name).copied().unwrap_or(now);
                seen.insert(name.to_owned(), since);
            }
        }
        self.missing = seen;
        let mut gone = Vec::new();
        let api: Api<Node> = Api::all(self.client.clone());
        for (name, since) in &self.missing {
            if now.duration_since(*since) >= QUARANTINE && api.get_opt(name).await?.is_none() {
                gone.push(name.clone());
            }
        }
        Ok(gone)
    }

    /// Upstream: `markFailedAndDeletePodWithCondition`.
    async fn delete(&self, pod: &Pod, why: Option<&str>) -> anyhow::Result<()> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        tracing::info!(pod = %format!("{namespace}/{name}"), why, "deleting pod");
        if !is_pod_terminal(pod) {
            let now = Timestamp::now().to_string();
            let mut status = json!({"phase": "Failed"});
            if let Some(message) = why {
                status["conditions"] = json!([{"type": "DisruptionTarget", "status": "True",
                    "reason": "DeletionByPodGC", "message": message, "lastTransitionTime": now}]);
            }
            let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
            match api.patch(name, &Patch::Strategic(patch), Some("status")).await {
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteOptions::default()
        };
        match api.delete(name, &options).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => Ok(other?),
        }
    }
}

fn node_name(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|s| s.node_name.as_deref())
        .unwrap_or_default()
}

/// Terminated pods beyond the threshold, evicted ones first, then the oldest. Upstream: `gcTerminated`.
fn over_threshold(pods: &[Arc<Pod>], threshold: usize) -> Vec<Arc<Pod>> {
    let terminated = |pod: &Pod| !matches!(phase(pod), "Pending" | "Running" | "Unknown" | "");
    let mut done: Vec<Arc<Pod>> = pods.iter().filter(|p| terminated(p)).cloned().collect();
    let excess = done.len().saturating_sub(threshold);
    if excess == 0 {
        return Vec::new();
    }
    let evicted = |p: &Pod| p.status.as_ref().and_then(|s| s.reason.as_deref()) == Some("Evicted");
    done.sort_by(|a, b| {
        evicted(b)
            .cmp(&evicted(a))
            .then_with(|| a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp))
            .then_with(|| a.metadata.name.cmp(&b.metadata.name))
    });
    done.truncate(excess);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PodStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn pod(name: &str, phase: &str, created: i64, reason: Option<&str>) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
        let reason = reason.map(str::to_owned);
        pod.status = Some(PodStatus {
            phase: Some(phase.into()),
            reason,
            ..PodStatus::default()
        });
        Arc::new(pod)
    }

    #[test]
    fn the_oldest_terminated_pods_over_the_threshold_go_evicted_first() {
        let pods = [
            pod("run", "Running", 1, None),
            pod("old", "Succeeded", 2, None),
            pod("new", "Failed", 9, None),
            pod("evicted", "Failed", 10, Some("Evicted")),
        ];
        let names = |n| {
            over_threshold(&pods, n)
                .iter()
                .map(|p| p.metadata.name.clone().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), ["evicted", "old"]);
        assert!(names(3).is_empty());
    }
}
