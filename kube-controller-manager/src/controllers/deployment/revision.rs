//! Which ReplicaSet is of the current template, and the annotations that carry revisions and sizes. Pure.
//!
//! Upstream: pkg/controller/deployment/util/deployment_util.go.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::plan::{self, HASH_LABEL};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of a Deployment that its ReplicaSets do not get. Upstream: `annotationsToSkip`.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// The revision in the annotations, 0 when there is none.
pub(super) fn of(meta: &ObjectMeta) -> i64 {
    annotation(meta, REVISION).and_then(|t| t.parse().ok()).unwrap_or(0)
}

/// The size of the Deployment when the ReplicaSet was last scaled by it.
pub(super) fn desired_annotation(set: &ReplicaSet) -> Option<i32> {
    annotation(&set.metadata, DESIRED)?.parse().ok()
}

/// Size and surge of the Deployment when the ReplicaSet was last scaled by it.
pub(super) fn max_annotation(set: &ReplicaSet) -> Option<i32> {
    annotation(&set.metadata, MAX)?.parse().ok()
}

fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Templates are equal but for the hash label. Upstream: `EqualIgnoreHash`.
pub(super) fn same_template(a: &PodTemplateSpec, b: &PodTemplateSpec) -> bool {
    let canonical = |template: &PodTemplateSpec| {
        let mut template = template.clone();
        if let Some(labels) = template.metadata.as_mut().and_then(|m| m.labels.as_mut()) {
            labels.remove(HASH_LABEL);
        }
        let mut value = serde_json::to_value(&template).unwrap_or_default();
        prune(&mut value);
        value
    };
    canonical(a) == canonical(b)
}

/// Absent and empty are the same, as for upstream's semantic equality.
fn prune(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, v| match v {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
            // An empty object may mean something (`emptyDir: {}`), but not where upstream's type is a map or a
            // struct that is always there.
            for name in [
                "labels",
                "annotations",
                "resources",
                "limits",
                "requests",
                "nodeSelector",
            ] {
                if map
                    .get(name)
                    .and_then(Value::as_object)
                    .is_some_and(serde_json::Map::is_empty)
                {
                    map.remove(name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// The oldest ReplicaSet of the Deployment's template; `sets` is oldest first. Upstream: `FindNewReplicaSet`.
pub(super) fn find_new(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let template = &deployment.spec.as_ref()?.template;
    sets.iter().position(|set| {
        set.spec
            .as_ref()
            .and_then(|s| s.template.as_ref())
            .is_some_and(|t| same_template(t, template))
    })
}

/// The annotations a new or current ReplicaSet should have; the second is true when they differ from what it has.
/// Upstream: `SetNewReplicaSetAnnotations`.
pub(super) fn annotate(deployment: &Deployment, set: &ReplicaSet, revision: i64, exists: bool) -> (ReplicaSet, bool) {
    let mut next = set.clone();
    let annotations = next.metadata.annotations.get_or_insert_default();
    for (name, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&name.as_str()) {
            annotations.insert(name.clone(), value.clone());
        }
    }
    // Only a higher revision is written: the controller may see its own writes late.
    let old = annotations.get(REVISION).cloned();
    let old_number = old.as_deref().and_then(|t| t.parse::<i64>().ok());
    if old_number.unwrap_or(0) < revision {
        annotations.insert(REVISION.to_owned(), revision.to_string());
        if let Some(old) = old.filter(|_| old_number.is_some()) {
            let history = annotations.entry(HISTORY.to_owned()).or_default();
            if history.is_empty() {
                *history = old;
            } else {
                let total = history.len() + old.len() + 1;
                if total > 2000 {
                    let keep = history
                        .split_once(',')
                        .map_or(String::new(), |(_, rest)| rest.to_owned());
                    *history = keep;
                }
                history.push(',');
                history.push_str(&old);
            }
        }
    }
    if !exists {
        set_sizes(annotations, deployment);
    }
    let changed = set.metadata.annotations.clone().unwrap_or_default() != *annotations;
    (next, changed)
}

fn set_sizes(annotations: &mut std::collections::BTreeMap<String, String>, deployment: &Deployment) {
    let desired = plan::desired(deployment);
    annotations.insert(DESIRED.to_owned(), desired.to_string());
    annotations.insert(MAX.to_owned(), (desired + plan::max_surge(deployment)).to_string());
}

/// The ReplicaSet at a size, with the annotations of the Deployment's; `None` when it is so already.
pub(super) fn at_size(deployment: &Deployment, set: &ReplicaSet, replicas: i32) -> Option<ReplicaSet> {
    let mut next = set.clone();
    set_sizes(next.metadata.annotations.get_or_insert_default(), deployment);
    next.spec.get_or_insert_default().replicas = Some(replicas);
    let same = plan::wanted(set) == replicas && next.metadata.annotations == set.metadata.annotations;
    (!same).then_some(next)
}

/// The ReplicaSet to create for the Deployment's template. Upstream: `getNewReplicaSet`.
pub(super) fn new_set(deployment: &Deployment, revision: i64, total: i32) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let collisions = deployment.status.as_ref().and_then(|s| s.collision_count);
    let hash = rules::hash::template_hash(&spec.template, collisions);
    let mut template = spec.template;
    let metadata = template.metadata.get_or_insert_default();
    metadata
        .labels
        .get_or_insert_default()
        .insert(HASH_LABEL.to_owned(), hash.clone());
    let labels = metadata.labels.clone();
    let mut selector = spec.selector;
    selector
        .match_labels
        .get_or_insert_default()
        .insert(HASH_LABEL.to_owned(), hash.clone());
    let mut set = ReplicaSet::default();
    set.metadata.name = Some(format!(
        "{}-{hash}",
        deployment.metadata.name.as_deref().unwrap_or_default()
    ));
    set.metadata.namespace = deployment.metadata.namespace.clone();
    set.metadata.labels = labels;
    set.metadata.owner_references = Some(vec![rules::owners::new_controller_ref::<Deployment>(
        &deployment.metadata,
    )]);
    set.spec = Some(k8s_openapi::api::apps::v1::ReplicaSetSpec {
        replicas: Some(plan::new_set_replicas(deployment, total, 0)),
        min_ready_seconds: spec.min_ready_seconds,
        selector,
        template: Some(template),
    });
    annotate(deployment, &set, revision, false).0
}
