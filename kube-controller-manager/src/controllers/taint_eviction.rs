//! taint-eviction-controller: pods leave a node with a NoExecute taint that they do not tolerate, at
//! once or after their toleration ends.
//!
//! Upstream: pkg/controller/tainteviction/taint_eviction.go. Key: `namespace/name` of the pod.

use std::{sync::Arc, time::Duration};

use client::{
    Api, Client, DeleteOptions, Patch, Preconditions, controller::Outcome, events, events::Recorder, informer::Event,
    informer::Reader, object, workqueue::WorkQueue,
};
use k8s_openapi::{
    api::core::v1::{Node, Pod, Taint},
    jiff::Timestamp,
};
use serde_json::json;

use super::{
    name, namespace,
    node_lifecycle::{BY_NODE, add_node_index},
    uid,
};
use crate::context::{ControllerContext, Work};

struct Controller {
    client: Client,
    recorder: Recorder,
    nodes: Reader<Node>,
    pods: Reader<Pod>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    let queue = WorkQueue::new("taint-eviction");
    let pods = ctx.informers.informer::<Pod>();
    add_node_index(&pods);
    pods.add_handler({
        let queue = queue.clone();
        move |event| {
            let pod = match event {
                Event::Added(pod) => pod,
                Event::Updated { old, new } if tolerations_or_node_changed(&old, &new) => new,
                _ => return,
            };
            queue.add(object::key_of(&*pod));
        }
    });
    let nodes = ctx.informers.informer::<Node>();
    nodes.add_handler({
        let (queue, pods) = (queue.clone(), pods.reader());
        move |event| {
            let node = match event {
                Event::Added(node) if !no_execute(&node).is_empty() => node,
                Event::Updated { old, new } if no_execute(&old) != no_execute(&new) => new,
                _ => return,
            };
            for pod in pods.by_index(BY_NODE, name(&*node)) {
                queue.add(object::key_of(&*pod));
            }
        }
    });
    let controller = Arc::new(Controller {
        client: ctx.client("node-controller"),
        recorder: ctx.recorder("taint-eviction-controller"),
        nodes: nodes.reader(),
        pods: pods.reader(),
    });
    Some(ctx.work("taint-eviction-controller", queue, 4, move |key| {
        let controller = controller.clone();
        async move { controller.reconcile(&key).await }
    }))
}

fn tolerations_or_node_changed(old: &Pod, new: &Pod) -> bool {
    let of = |pod: &Pod| {
        pod.spec
            .as_ref()
            .map(|spec| (spec.node_name.clone(), spec.tolerations.clone()))
    };
    of(old) != of(new)
}

fn no_execute(node: &Node) -> Vec<Taint> {
    let taints = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    taints.into_iter().filter(|taint| taint.effect == "NoExecute").collect()
}

/// When a pod has to go.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Stay,
    /// After this time, if nothing changes.
    Later(Duration),
    Evict,
}

/// Every taint must be tolerated; the shortest limited toleration, counted from the time that its
/// taint was added, decides (`processPodOnNode`).
fn plan(pod: &Pod, taints: &[Taint], now: Timestamp) -> Plan {
    if taints.is_empty() || pod.metadata.deletion_timestamp.is_some() || rules::pods::is_pod_terminal(pod) {
        return Plan::Stay;
    }
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.clone())
        .unwrap_or_default();
    let mut earliest: Option<Duration> = None;
    for taint in taints {
        let matching: Vec<_> = tolerations
            .iter()
            .filter(|toleration| rules::taints::tolerates(toleration, taint))
            .collect();
        if matching.is_empty() {
            return Plan::Evict;
        }
        let Some(seconds) = rules::taints::min_toleration_seconds(&matching) else {
            continue;
        };
        let since = taint.time_added.as_ref().map_or(now, |time| time.0);
        let passed = now.duration_since(since).as_secs().max(0);
        let left = u64::try_from(seconds - passed).unwrap_or(0);
        earliest = Some(earliest.unwrap_or(Duration::MAX).min(Duration::from_secs(left)));
    }
    match earliest {
        None => Plan::Stay,
        Some(left) if left.is_zero() => Plan::Evict,
        Some(left) => Plan::Later(left),
    }
}

impl Controller {
    async fn reconcile(&self, key: &str) -> anyhow::Result<Outcome> {
        let Some(pod) = self.pods.get_by_key(key) else {
            return Ok(Outcome::Done);
        };
        let node = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_deref())
            .unwrap_or_default();
        let Some(node) = self.nodes.get("", node) else {
            return Ok(Outcome::Done);
        };
        match plan(&pod, &no_execute(&node), Timestamp::now()) {
            Plan::Stay => Ok(Outcome::Done),
            Plan::Later(left) => Ok(Outcome::After(left)),
            Plan::Evict => self.evict(&pod).await,
        }
    }

    /// Marks why, then deletes (`addConditionAndDeletePod`).
    async fn evict(&self, pod: &Pod) -> anyhow::Result<Outcome> {
        let api = Api::<Pod>::namespaced(self.client.clone(), namespace(pod));
        let message = format!("Marking for deletion Pod {}", object::key_of(pod));
        self.recorder
            .normal(&events::reference(pod), "TaintManagerEviction", message);
        let condition = json!({
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        let patch = Patch::Strategic(json!({"metadata": {"uid": uid(pod)}, "status": {"conditions": [condition]}}));
        match api.patch(name(pod), &patch, Some("status")).await {
            Err(error) if error.is_not_found() || error.is_conflict() => return Ok(Outcome::Done),
            other => drop(other?),
        }
        let preconditions = Some(Preconditions {
            uid: Some(uid(pod).to_owned()),
            resource_version: None,
        });
        match api
            .delete(
                name(pod),
                &DeleteOptions {
                    preconditions,
                    ..DeleteOptions::default()
                },
            )
            .await
        {
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error.into()),
            _ => Ok(Outcome::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::Toleration, apimachinery::pkg::apis::meta::v1::Time};

    use super::*;

    fn taint(key: &str, added: i64) -> Taint {
        let time_added = Some(Time(Timestamp::from_second(added).unwrap()));
        Taint {
            key: key.to_owned(),
            effect: "NoExecute".to_owned(),
            time_added,
            value: None,
        }
    }

    fn pod(tolerations: &[(&str, Option<i64>)]) -> Pod {
        let toleration = |&(key, seconds): &(&str, Option<i64>)| Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some("NoExecute".to_owned()),
            toleration_seconds: seconds,
            ..Toleration::default()
        };
        let mut pod = Pod::default();
        pod.spec.get_or_insert_default().tolerations = Some(tolerations.iter().map(toleration).collect());
        pod
    }

    #[test]
    fn shortest_toleration_of_every_taint_decides() {
        let now = Timestamp::from_second(1000).unwrap();
        let check = |tolerations: &[(&str, Option<i64>)], taints: &[Taint], expected| {
            assert_eq!(
                plan(&pod(tolerations), taints, now),
                expected,
                "{tolerations:?} {taints:?}"
            );
        };
        check(&[], &[], Plan::Stay);
        check(&[], &[taint("a", 1000)], Plan::Evict);
        check(&[("a", None)], &[taint("a", 1000)], Plan::Stay);
        check(&[("a", None)], &[taint("a", 1000), taint("b", 1000)], Plan::Evict);
        check(
            &[("a", Some(300))],
            &[taint("a", 900)],
            Plan::Later(Duration::from_secs(200)),
        );
        check(
            &[("a", Some(300)), ("b", Some(10))],
            &[taint("a", 1000), taint("b", 1000)],
            Plan::Later(Duration::from_secs(10)),
        );
        check(&[("a", Some(100))], &[taint("a", 900)], Plan::Evict);
        check(&[("a", Some(0))], &[taint("a", 1000)], Plan::Evict);
    }
}
