//! Parses `rbac.txt` into RBAC objects.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::authz::rbac::aggregate;
use crate::authz::rbac::rule::Rule;
use crate::objects::{items, text};

const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
const API_GROUP: &str = "rbac.authorization.k8s.io";
const AGGREGATE_LABEL: &str = "rbac.authorization.k8s.io/aggregate-to-";
/// Set to anything but `true` by an administrator: the object is then left alone.
pub(crate) const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// The bootstrap objects.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// ClusterRoles; aggregated ones carry the rules they aggregate.
    pub(crate) cluster_roles: Vec<Value>,
    /// ClusterRoleBindings.
    pub(crate) cluster_role_bindings: Vec<Value>,
    /// Roles, with their namespaces.
    pub(crate) roles: Vec<Value>,
    /// RoleBindings, with their namespaces.
    pub(crate) role_bindings: Vec<Value>,
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| parse(include_str!("rbac.txt")));

/// The bootstrap objects.
pub(crate) fn policy() -> &'static Policy {
    &POLICY
}

/// The rules of one bootstrap ClusterRole; empty for an unknown name.
pub(crate) fn role_rules(name: &str) -> Vec<Rule> {
    let role = policy()
        .cluster_roles
        .iter()
        .find(|r| text(r, "/metadata/name") == name);
    role.map(|r| items(r, "/rules").iter().map(Rule::from_value).collect())
        .unwrap_or_default()
}

/// Which list the rules that follow belong to.
#[derive(Clone, Copy)]
enum Open {
    Cluster,
    Namespaced,
}

fn parse(table: &str) -> Policy {
    let mut p = Policy::default();
    let mut open = Open::Cluster;
    for line in table.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
        if let Some(rule) = line.strip_prefix("  ") {
            let list = match open {
                Open::Cluster => &mut p.cluster_roles,
                Open::Namespaced => &mut p.roles,
            };
            let role = list.last_mut().expect("rbac.txt: a rule stands under a role");
            role["rules"]
                .as_array_mut()
                .expect("rbac.txt: only plain roles have rules")
                .push(parse_rule(rule));
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["clusterrole", name, rest @ ..] => {
                open = Open::Cluster;
                p.cluster_roles.push(cluster_role(name, rest));
            }
            ["aggregate", name, rest @ ..] => p.cluster_roles.push(aggregated(name, rest)),
            ["controller", name] => {
                open = Open::Cluster;
                let role = format!("system:controller:{name}");
                p.cluster_roles.push(cluster_role(&role, &[]));
                let subject = format!("s:kube-system/{name}");
                p.cluster_role_bindings
                    .push(binding("", &role, "ClusterRole", &role, &[&subject]));
            }
            ["role", namespace, name] => {
                open = Open::Namespaced;
                let mut role = object("Role", name);
                role["metadata"]["namespace"] = json!(namespace);
                role["rules"] = json!([]);
                p.roles.push(role);
            }
            ["bind", name, subjects @ ..] => {
                p.cluster_role_bindings
                    .push(binding("", name, "ClusterRole", name, subjects));
            }
            ["bindns", namespace, name, role, subjects @ ..] => {
                p.role_bindings.push(binding(namespace, name, "Role", role, subjects));
            }
            _ => panic!("rbac.txt: {line}"),
        }
    }
    fill_aggregates(&mut p.cluster_roles);
    p
}

fn object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {AUTOUPDATE: "true"},
        },
    })
}

fn cluster_role(name: &str, options: &[&str]) -> Value {
    let mut role = object("ClusterRole", name);
    for target in options
        .iter()
        .filter_map(|o| o.strip_prefix("to="))
        .flat_map(|t| t.split(','))
    {
        role["metadata"]["labels"][format!("{AGGREGATE_LABEL}{target}")] = json!("true");
    }
    role["rules"] = json!([]);
    role
}

fn aggregated(name: &str, options: &[&str]) -> Value {
    let mut role = cluster_role(name, options);
    let of = options.iter().find_map(|o| o.strip_prefix("of=")).unwrap_or(name);
    let label = format!("{AGGREGATE_LABEL}{of}");
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
    role
}

/// The aggregation controller's work done in advance, so that the roles mean something before it
/// runs. Roles that aggregate aggregated ones need a second and a third round.
fn fill_aggregates(roles: &mut [Value]) {
    for _ in 0..3 {
        for i in 0..roles.len() {
            let Some(labels) = roles[i]
                .pointer("/aggregationRule/clusterRoleSelectors/0/matchLabels")
                .cloned()
            else {
                continue;
            };
            let wanted = labels.as_object().expect("made by aggregated()");
            let sources: BTreeMap<String, Vec<Value>> = roles
                .iter()
                .enumerate()
                .filter(|(j, r)| *j != i && wanted.iter().all(|(k, v)| r["metadata"]["labels"].get(k) == Some(v)))
                .map(|(_, r)| (text(r, "/metadata/name").to_owned(), items(r, "/rules").to_vec()))
                .collect();
            roles[i]["rules"] = json!(aggregate(&sources));
        }
    }
}

fn verbs(word: &str) -> Vec<String> {
    let list: &[&str] = match word {
        "R" => &["get", "list", "watch"],
        "W" => &["create", "delete", "deletecollection", "patch", "update"],
        "RW" => &[
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ],
        "RU" => &["get", "list", "patch", "update", "watch"],
        other => return other.split(',').map(str::to_owned).collect(),
    };
    list.iter().map(|v| (*v).to_owned()).collect()
}

fn parse_rule(line: &str) -> Value {
    let sorted = |mut v: Vec<String>| {
        v.sort();
        v
    };
    if line == "events" {
        return parse_rule("create,patch,update | core,events.k8s.io | events");
    }
    if let Some((verb, urls)) = line.split_once(" url ") {
        let urls = sorted(urls.split_whitespace().map(str::to_owned).collect());
        return Rule {
            verbs: sorted(verbs(verb)),
            urls,
            ..Default::default()
        }
        .to_value();
    }
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let words = |c: &str| sorted(c.split_whitespace().map(str::to_owned).collect());
    Rule {
        verbs: sorted(verbs(cells[0])),
        groups: sorted(
            cells[1]
                .split(',')
                .map(|g| if g == "core" { String::new() } else { g.to_owned() })
                .collect(),
        ),
        resources: words(cells[2]),
        names: cells.get(3).map(|c| words(c)).unwrap_or_default(),
        urls: vec![],
    }
    .to_value()
}

fn binding(namespace: &str, name: &str, role_kind: &str, role: &str, subjects: &[&str]) -> Value {
    let kind = if namespace.is_empty() {
        "ClusterRoleBinding"
    } else {
        "RoleBinding"
    };
    let mut b = object(kind, name);
    if !namespace.is_empty() {
        b["metadata"]["namespace"] = json!(namespace);
    }
    b["roleRef"] = json!({"apiGroup": API_GROUP, "kind": role_kind, "name": role});
    let subjects: Vec<Value> = subjects.iter().map(|s| subject(s)).collect();
    if !subjects.is_empty() {
        b["subjects"] = json!(subjects);
    }
    b
}

fn subject(word: &str) -> Value {
    let (kind, name) = word.split_once(':').expect("rbac.txt: a subject has a kind");
    match kind {
        "u" => json!({"apiGroup": API_GROUP, "kind": "User", "name": name}),
        "g" => json!({"apiGroup": API_GROUP, "kind": "Group", "name": name}),
        _ => {
            let (namespace, name) = name.split_once('/').expect("rbac.txt: s:NAMESPACE/NAME");
            json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
        }
    }
}

#[cfg(test)]
mod tests;
