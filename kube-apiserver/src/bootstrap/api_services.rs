//! APIServices of the group versions this server serves itself: registered at start, always available.
//!
//! Upstream: `cmd/kube-apiserver/app/aggregator.go` and `pkg/controlplane/apiserver/aggregator.go`
//! (priorities), `kube-aggregator/pkg/controllers/{autoregister,status/local}`.

use std::sync::Arc;

use apimachinery::meta;
use apimachinery::status::ApiError;
use serde_json::{Value, json};

use crate::objects::{Objects, items, text};
use crate::registry::Registry;
use crate::resources;

const GROUP: &str = "apiregistration.k8s.io";
const RESOURCE: &str = "apiservices";
/// How an APIService wants to be kept; ours are settled once, at start.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
const ON_START: &str = "onstart";

/// Group, version, priority of the group, priority of the version within it.
const PRIORITIES: [(&str, &str, i64, i64); 45] = [
    ("", "v1", 18000, 1),
    ("apps", "v1", 17800, 15),
    ("events.k8s.io", "v1", 17750, 15),
    ("events.k8s.io", "v1beta1", 17750, 5),
    ("authentication.k8s.io", "v1", 17700, 15),
    ("authentication.k8s.io", "v1beta1", 17700, 9),
    ("authentication.k8s.io", "v1alpha1", 17700, 1),
    ("authorization.k8s.io", "v1", 17600, 15),
    ("autoscaling", "v1", 17500, 15),
    ("autoscaling", "v2", 17500, 30),
    ("batch", "v1", 17400, 15),
    ("batch", "v1beta1", 17400, 9),
    ("certificates.k8s.io", "v1", 17300, 15),
    ("certificates.k8s.io", "v1beta1", 17300, 9),
    ("certificates.k8s.io", "v1alpha1", 17300, 1),
    ("networking.k8s.io", "v1", 17200, 15),
    ("networking.k8s.io", "v1beta1", 17200, 9),
    ("policy", "v1", 17100, 15),
    ("policy", "v1beta1", 17100, 9),
    ("rbac.authorization.k8s.io", "v1", 17000, 15),
    ("storage.k8s.io", "v1", 16800, 15),
    ("storage.k8s.io", "v1beta1", 16800, 9),
    ("storage.k8s.io", "v1alpha1", 16800, 1),
    ("apiextensions.k8s.io", "v1", 16700, 15),
    ("admissionregistration.k8s.io", "v1", 16700, 15),
    ("admissionregistration.k8s.io", "v1beta1", 16700, 12),
    ("admissionregistration.k8s.io", "v1alpha1", 16700, 9),
    ("scheduling.k8s.io", "v1", 16600, 15),
    ("scheduling.k8s.io", "v1alpha2", 16600, 2),
    ("coordination.k8s.io", "v1", 16500, 15),
    ("coordination.k8s.io", "v1beta1", 16500, 13),
    ("coordination.k8s.io", "v1alpha2", 16500, 12),
    ("node.k8s.io", "v1", 16300, 15),
    ("discovery.k8s.io", "v1", 16200, 15),
    ("resource.k8s.io", "v1", 16200, 21),
    ("resource.k8s.io", "v1beta2", 16200, 15),
    ("resource.k8s.io", "v1beta1", 16200, 9),
    ("resource.k8s.io", "v1alpha3", 16200, 1),
    ("flowcontrol.apiserver.k8s.io", "v1", 16100, 21),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", 16100, 18),
    ("internal.apiserver.k8s.io", "v1alpha1", 16000, 9),
    ("storagemigration.k8s.io", "v1beta1", 15800, 9),
    ("node.k8s.io", "v1beta1", 16300, 9),
    ("node.k8s.io", "v1alpha1", 16300, 1),
    ("discovery.k8s.io", "v1beta1", 16200, 12),
];

/// Those that are served. The group of the APIServices themselves has none, as upstream's.
fn wanted() -> Vec<Value> {
    PRIORITIES
        .iter()
        .filter(|(group, version, ..)| resources::group_version_served(group, version))
        .map(|(group, version, minimum, priority)| {
            json!({
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": format!("{version}.{group}"), "labels": {MANAGED: ON_START}},
                "spec": {
                    "group": group,
                    "version": version,
                    "groupPriorityMinimum": minimum,
                    "versionPriority": priority,
                },
            })
        })
        .collect()
}

/// One write that brings the stored objects nearer to the wanted ones.
#[derive(Debug, PartialEq)]
enum Step {
    Create(Value),
    Update(Value),
    Delete(String),
}

/// Only objects that carry our label are touched.
fn plan(have: &[Arc<Value>], wanted: &[Value]) -> Vec<Step> {
    let mut steps = vec![];
    for want in wanted {
        match have.iter().find(|h| meta::name(h) == meta::name(want)) {
            None => steps.push(Step::Create(want.clone())),
            Some(h) if meta::label(h, MANAGED) == Some(ON_START) && h["spec"] != want["spec"] => {
                let mut new = (**h).clone();
                new["spec"] = want["spec"].clone();
                steps.push(Step::Update(new));
            }
            Some(_) => {}
        }
    }
    let ours = have.iter().filter(|h| meta::label(h, MANAGED) == Some(ON_START));
    let stale = ours.filter(|h| !wanted.iter().any(|w| meta::name(w) == meta::name(h)));
    steps.extend(stale.map(|h| Step::Delete(meta::name(h).to_owned())));
    steps
}

/// Registers what is served, forgets what no longer is.
pub(crate) async fn register(registry: &Registry) -> Result<(), ApiError> {
    let have = registry.list(GROUP, RESOURCE, "").await?;
    for step in plan(&have, &wanted()) {
        let done = match step {
            Step::Create(o) => registry.create(GROUP, RESOURCE, "", o).await.map(drop),
            Step::Update(o) => registry.update(GROUP, RESOURCE, "", o).await.map(drop),
            Step::Delete(name) => registry.delete(GROUP, RESOURCE, "", &name).await,
        };
        match done {
            // Another server was faster.
            Err(e) if !e.is_already_exists() && !e.is_conflict() && !e.is_not_found() => return Err(e),
            _ => {}
        }
    }
    mark_available(registry).await
}

/// Whether an APIService is served here and does not say so.
fn unmarked(service: &Value) -> bool {
    service["spec"]["service"].is_null()
        && !items(service, "/status/conditions")
            .iter()
            .any(|c| c["type"] == "Available" && c["status"] == "True" && text(c, "/reason") == "Local")
}

/// Says of every APIService without a Service that it is available.
pub(crate) async fn mark_available(registry: &Registry) -> Result<(), ApiError> {
    for service in registry.list(GROUP, RESOURCE, "").await?.iter().filter(|s| unmarked(s)) {
        let change = |old: &Value| {
            let mut new = old.clone();
            let mut conditions = items(old, "/status/conditions").to_vec();
            conditions.retain(|c| c["type"] != "Available");
            conditions.push(json!({
                "type": "Available",
                "status": "True",
                "lastTransitionTime": apimachinery::time::now_rfc3339(),
                "reason": "Local",
                "message": "Local APIServices are always available",
            }));
            new["status"]["conditions"] = Value::Array(conditions);
            Ok(new)
        };
        match registry
            .modify_status(GROUP, RESOURCE, "", meta::name(service), &change)
            .await
        {
            Err(e) if !e.is_conflict() && !e.is_not_found() => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_group_version_has_its_priority() {
        for row in resources::resources().iter().filter(|r| r.group != GROUP) {
            let found = PRIORITIES.iter().any(|(g, v, ..)| (*g, *v) == (row.group, row.version));
            assert!(found, "{}/{}", row.group, row.version);
        }
        let names: Vec<String> = wanted().iter().map(|w| meta::name(w).to_owned()).collect();
        assert!(names.contains(&"v1.".to_owned()) && names.contains(&"v2.autoscaling".to_owned()));
        assert!(
            !names.iter().any(|n| n.contains("v1alpha") || n.ends_with(GROUP)),
            "{names:?}"
        );
    }

    #[test]
    fn only_our_own_registrations_are_mended() {
        let object = |name: &str, label: &str, priority: i64| {
            Arc::new(json!({"metadata": {"name": name, "labels": {MANAGED: label}},
                "spec": {"versionPriority": priority}}))
        };
        let want = |name: &str| (*object(name, ON_START, 1)).clone();
        let have = [
            object("v1.same", ON_START, 1),
            object("v1.changed", ON_START, 9),
            object("v1.taken", "false", 9),
            object("v1.old", ON_START, 1),
            object("v1.crd", "true", 1),
        ];
        let wanted = [want("v1.same"), want("v1.changed"), want("v1.taken"), want("v1.new")];
        assert_eq!(
            plan(&have, &wanted),
            [
                Step::Update(want("v1.changed")),
                Step::Create(want("v1.new")),
                Step::Delete("v1.old".into())
            ]
        );
    }
}
