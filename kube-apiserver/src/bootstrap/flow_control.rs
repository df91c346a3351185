//! The FlowSchemas and PriorityLevelConfigurations every cluster starts with.
//!
//! Facts: upstream `apiserver/pkg/apis/flowcontrol/bootstrap/default.go`, table form own. They are
//! objects only: this server has no fairness queues yet.

use apimachinery::status::ApiError;
use component::flags::parse_bool;
use serde_json::{Value, json};

use crate::objects::{Objects, find, items, text};
use crate::registry::Registry;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";
/// `true`: the server keeps the spec as it is here.
const AUTOUPDATE: &str = "apf.kubernetes.io/autoupdate-spec";
/// Names of levels and schemas nobody can change. Upstream: `MandatoryFlowSchemas`,
/// `MandatoryPriorityLevelConfigurations`.
const MANDATORY: [&str; 2] = ["exempt", "catch-all"];

/// One row of [`LEVELS`].
type Level = (&'static str, i64, i64, Option<(i64, i64, i64)>);
/// One row of [`SCHEMAS`].
type Row = (
    &'static str,
    &'static str,
    i64,
    &'static str,
    &'static [&'static str],
    &'static [Rule],
);

/// Name, shares, lendable percent, queuing (queues, hand size, length); `None` rejects.
const LEVELS: [Level; 7] = [
    ("catch-all", 5, 0, None),
    ("system", 30, 33, Some((64, 6, 50))),
    ("node-high", 40, 25, Some((64, 6, 50))),
    ("leader-election", 10, 0, Some((16, 4, 50))),
    ("workload-high", 40, 50, Some((128, 6, 50))),
    ("workload-low", 100, 90, Some((128, 6, 50))),
    ("global-default", 20, 50, Some((128, 6, 50))),
];

/// Name, level, precedence, distinguisher, subjects (as in `rbac.txt`), rules.
const SCHEMAS: [Row; 13] = [
    ("exempt", "exempt", 1, "", &["g:system:masters"], ALL),
    (
        "probes",
        "exempt",
        2,
        "",
        EVERYBODY,
        &[Rule::Urls("get", &["/healthz", "/readyz", "/livez"])],
    ),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        &["u:system:kube-controller-manager", "u:system:kube-scheduler"],
        &[Rule::Objects(
            "get,create,update",
            "coordination.k8s.io",
            "leases",
            false,
        )],
    ),
    (
        "endpoint-controller",
        "workload-high",
        150,
        "ByUser",
        &[
            "u:system:kube-controller-manager",
            "s:kube-system/endpoint-controller",
            "s:kube-system/endpointslicemirroring-controller",
        ],
        &[Rule::Objects("get,create,update", "", "endpoints", false)],
    ),
    (
        "workload-leader-election",
        "leader-election",
        200,
        "ByUser",
        &["s:kube-system/*"],
        &[Rule::Objects(
            "get,create,update",
            "coordination.k8s.io",
            "leases",
            false,
        )],
    ),
    (
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        &["g:system:nodes"],
        &[
            Rule::Objects("*", "", "nodes,nodes/status", true),
            Rule::Objects("*", "coordination.k8s.io", "leases", false),
        ],
    ),
    ("system-nodes", "system", 500, "ByUser", &["g:system:nodes"], ALL),
    (
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        &["u:system:kube-controller-manager"],
        ALL,
    ),
    (
        "kube-scheduler",
        "workload-high",
        800,
        "ByNamespace",
        &["u:system:kube-scheduler"],
        ALL,
    ),
    (
        "kube-system-service-accounts",
        "workload-high",
        900,
        "ByNamespace",
        &["s:kube-system/*"],
        ALL,
    ),
    (
        "service-accounts",
        "workload-low",
        9000,
        "ByUser",
        &["g:system:serviceaccounts"],
        ALL,
    ),
    ("global-default", "global-default", 9900, "ByUser", EVERYBODY, ALL),
    ("catch-all", "catch-all", 10_000, "ByUser", EVERYBODY, ALL),
];

const EVERYBODY: &[&str] = &["g:system:unauthenticated", "g:system:authenticated"];
const ALL: &[Rule] = &[Rule::Objects("*", "*", "*", true), Rule::Urls("*", &["*"])];

#[derive(Clone, Copy)]
enum Rule {
    /// Verbs, group, resources, also cluster-scoped.
    Objects(&'static str, &'static str, &'static str, bool),
    /// Verbs, paths.
    Urls(&'static str, &'static [&'static str]),
}

/// Creates what is missing and corrects what is not an operator's own. Repeated each minute, as upstream does.
pub(crate) async fn reconcile(objects: &dyn Objects) -> Result<(), ApiError> {
    for (resource, wanted) in all() {
        let name = text(&wanted, "/metadata/name").to_owned();
        let result = match find(objects, GROUP, resource, "", &name).await? {
            None => objects.create(GROUP, resource, "", wanted).await,
            Some(have) => match revised(&have, &wanted) {
                Some(new) => objects.update(GROUP, resource, "", new).await,
                None => continue,
            },
        };
        match result {
            Err(e) if !e.is_already_exists() && !e.is_conflict() => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// The stored object as it should be; `None` when it may stay. Upstream: pkg/registry/flowcontrol/ensurer
/// `ReviseIfNeeded`, `plcSpecEqualish`.
fn revised(have: &Value, wanted: &Value) -> Option<Value> {
    let annotation = have.pointer("/metadata/annotations").and_then(|a| a.get(AUTOUPDATE));
    let said = annotation.and_then(Value::as_str).and_then(|v| parse_bool(v).ok());
    // Without a word about it, an object is ours until somebody changes its spec.
    let ours = MANDATORY.contains(&text(have, "/metadata/name"))
        || said.unwrap_or_else(|| have["metadata"]["generation"].as_i64() == Some(1));
    let mut spec = wanted["spec"].clone();
    if spec["type"] == "Exempt" {
        // What the exempt level lends is the operator's to say.
        for field in ["nominalConcurrencyShares", "lendablePercent"] {
            if let Some(value) = have.pointer("/spec/exempt").and_then(|exempt| exempt.get(field)) {
                spec["exempt"][field] = value.clone();
            }
        }
    }
    let mut new = have.clone();
    if ours {
        new["spec"] = spec;
    }
    if said != Some(ours) {
        new["metadata"]["annotations"][AUTOUPDATE] = ours.to_string().into();
    }
    (new != *have).then_some(new)
}

/// Says in the status of each FlowSchema that its level exists, as upstream's controller does.
pub(crate) async fn mark(registry: &Registry) -> Result<(), ApiError> {
    for schema in registry.list(GROUP, "flowschemas", "").await? {
        let level = text(&schema, "/spec/priorityLevelConfiguration/name").to_owned();
        let found = find(registry, GROUP, "prioritylevelconfigurations", "", &level)
            .await?
            .is_some();
        let (status, reason) = if found {
            ("False", "Found")
        } else {
            ("True", "NotFound")
        };
        let same = |c: &Value| text(c, "/type") == "Dangling" && text(c, "/status") == status;
        if items(&schema, "/status/conditions").iter().any(same) {
            continue;
        }
        let be = if found {
            "and it exists"
        } else {
            "but there is no such object"
        };
        let change = |old: &Value| {
            let mut new = old.clone();
            new["status"] = json!({"conditions": [{
                "type": "Dangling",
                "status": status,
                "reason": reason,
                "message": format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} {be}"),
                "lastTransitionTime": apimachinery::time::now_rfc3339(),
            }]});
            Ok(new)
        };
        registry
            .modify_status(GROUP, "flowschemas", "", text(&schema, "/metadata/name"), &change)
            .await?;
    }
    Ok(())
}

/// All objects with their resource: levels first, schemas refer to them.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let mut out = vec![(
        "prioritylevelconfigurations",
        object(
            "PriorityLevelConfiguration",
            "exempt",
            json!({
                "type": "Exempt",
                "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
            }),
        ),
    )];
    for (name, shares, lendable, queuing) in LEVELS {
        let response = match queuing {
            None => json!({"type": "Reject"}),
            Some((queues, hand, length)) => json!({
                "type": "Queue",
                "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": length},
            }),
        };
        let spec = json!({
            "type": "Limited",
            "limited": {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response},
        });
        out.push((
            "prioritylevelconfigurations",
            object("PriorityLevelConfiguration", name, spec),
        ));
    }
    for (name, level, precedence, distinguisher, subjects, rules) in SCHEMAS {
        let mut rule = json!({"subjects": subjects.iter().map(|s| subject(s)).collect::<Vec<_>>()});
        for r in rules {
            let (key, value) = r.value();
            match rule.get_mut(key).and_then(Value::as_array_mut) {
                Some(list) => list.push(value),
                None => rule[key] = json!([value]),
            }
        }
        let mut spec = json!({
            "priorityLevelConfiguration": {"name": level},
            "matchingPrecedence": precedence,
            "rules": [rule],
        });
        if !distinguisher.is_empty() {
            spec["distinguisherMethod"] = json!({"type": distinguisher});
        }
        out.push(("flowschemas", object("FlowSchema", name, spec)));
    }
    out
}

impl Rule {
    fn value(self) -> (&'static str, Value) {
        let words = |s: &str| s.split(',').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Rule::Objects(verbs, group, resources, cluster) => {
                let mut v = json!({
                    "verbs": words(verbs), "apiGroups": [group], "resources": words(resources), "namespaces": ["*"],
                });
                if cluster {
                    v["clusterScope"] = json!(true);
                }
                ("resourceRules", v)
            }
            Rule::Urls(verbs, paths) => (
                "nonResourceRules",
                json!({"verbs": words(verbs), "nonResourceURLs": paths}),
            ),
        }
    }
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}},
        "spec": spec,
    })
}

fn subject(word: &str) -> Value {
    let (kind, name) = word.split_once(':').expect("a subject has a kind");
    match kind {
        "u" => json!({"kind": "User", "user": {"name": name}}),
        "g" => json!({"kind": "Group", "group": {"name": name}}),
        _ => {
            let (namespace, name) = name.split_once('/').expect("s:NAMESPACE/NAME");
            json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_changes_stay_unless_the_object_is_mandatory_or_says_otherwise() {
        let stored = |name: &str, generation: i64, annotations: Value| {
            json!({"metadata": {"name": name, "generation": generation, "annotations": annotations},
                "spec": {"matchingPrecedence": 1}})
        };
        let wanted = json!({"spec": {"matchingPrecedence": 2}});
        // object; its precedence and its annotation afterwards
        for (have, precedence, says) in [
            (stored("probes", 4, json!({AUTOUPDATE: "true"})), 2, "true"),
            (stored("probes", 1, json!({AUTOUPDATE: "false"})), 1, "false"),
            (stored("probes", 4, json!({AUTOUPDATE: "1"})), 2, "1"),
            (stored("probes", 1, json!({AUTOUPDATE: "maybe"})), 2, "true"),
            (stored("probes", 1, Value::Null), 2, "true"),
            (stored("probes", 2, Value::Null), 1, "false"),
            (stored("catch-all", 2, json!({AUTOUPDATE: "false"})), 2, "true"),
        ] {
            let new = revised(&have, &wanted).unwrap_or_else(|| have.clone());
            assert_eq!(new["spec"]["matchingPrecedence"], precedence, "{have}");
            assert_eq!(new["metadata"]["annotations"][AUTOUPDATE], says, "{have}");
            assert_eq!(revised(&new, &wanted), None, "once is enough: {have}");
        }
        let exempt = |shares: i64| json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": shares, "lendablePercent": 0}});
        let tuned = json!({"metadata": {"name": "exempt", "annotations": {AUTOUPDATE: "true"}}, "spec": exempt(7)});
        assert_eq!(revised(&tuned, &json!({"spec": exempt(0)})), None);
    }
}
