//! RBAC over an in-memory index of roles and bindings.
//!
//! Bindings are indexed by subject, so a decision looks only at the bindings of the user and its
//! groups. Upstream: `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/registry/rbac/validation/rule.go`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use serde_json::Value;

pub(crate) mod escalation;
pub(crate) mod rule;

use super::{Attributes, Authorizer, Decision};
use crate::objects::{items, text};
use crate::request::UserInfo;
use rule::Rule;

/// The API group of roles and bindings.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

/// The resources this index is fed with.
pub(crate) const RESOURCES: [&str; 4] = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];

/// The RBAC authorizer.
#[derive(Default)]
pub(crate) struct Rbac {
    /// By namespace; the empty one holds cluster roles and their bindings.
    scopes: RwLock<HashMap<String, Scope>>,
}

/// Roles and bindings of one namespace. Everything is looked up by borrowed text: decisions are made
/// on every request.
#[derive(Default)]
struct Scope {
    roles: HashMap<String, Arc<Vec<Rule>>>,
    bindings: HashMap<String, Binding>,
    /// User name -> names of the bindings that name it.
    users: HashMap<String, BTreeSet<String>>,
    /// Group -> names of the bindings that name it.
    groups: HashMap<String, BTreeSet<String>>,
}

#[derive(Clone)]
struct Binding {
    subjects: Vec<Subject>,
    cluster_role: bool,
    role: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    group: bool,
    /// User or group; of a service account its user name.
    name: String,
    /// For the reason of a decision: `Group "system:masters"`.
    description: String,
}

impl Rbac {
    /// Feeds one change: the object's new state, or `None` when it is gone.
    pub(crate) fn apply(&self, resource: &str, namespace: &str, name: &str, obj: Option<&Value>) {
        let mut scopes = self.scopes.write();
        let scope = scopes.entry(namespace.to_owned()).or_default();
        match resource {
            "roles" | "clusterroles" => match obj {
                Some(o) => {
                    let rules = items(o, "/rules").iter().map(Rule::from_value).collect();
                    scope.roles.insert(name.to_owned(), Arc::new(rules));
                }
                None => {
                    scope.roles.remove(name);
                }
            },
            "rolebindings" | "clusterrolebindings" => scope.set_binding(name, obj.map(binding)),
            _ => {}
        }
        if scope.roles.is_empty() && scope.bindings.is_empty() {
            scopes.remove(namespace);
        }
    }

    /// Calls `visit` with each rule that applies to `user` in `namespace` (and at cluster scope),
    /// until it returns false; gives back the errors met on the way.
    fn visit(
        &self,
        user: &UserInfo,
        namespace: &str,
        mut visit: impl FnMut(&Source<'_>, &Rule) -> bool,
    ) -> Vec<String> {
        let scopes = self.scopes.read();
        let mut errors = Vec::new();
        let cluster = scopes.get("");
        for ns in ["", namespace]
            .into_iter()
            .take(if namespace.is_empty() { 1 } else { 2 })
        {
            let Some(scope) = scopes.get(ns) else { continue };
            let by_group = user.groups.iter().filter_map(|g| scope.groups.get(g)).flatten();
            let mut names: Vec<&String> = scope
                .users
                .get(&user.name)
                .into_iter()
                .flatten()
                .chain(by_group)
                .collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let Some(b) = scope.bindings.get(name) else { continue };
                let roles = if b.cluster_role { cluster } else { Some(scope) };
                let Some(rules) = roles.and_then(|s| s.roles.get(&b.role)) else {
                    let kind = if b.cluster_role { "clusterrole" } else { "role" };
                    errors.push(format!("{kind}.{GROUP} {:?} not found", b.role));
                    continue;
                };
                let source = Source {
                    namespace: ns,
                    name,
                    binding: b,
                    user,
                };
                for rule in rules.iter() {
                    if !visit(&source, rule) {
                        return errors;
                    }
                }
            }
        }
        errors
    }

    /// All rules that apply to a user in a namespace, and the errors met (SelfSubjectRulesReview,
    /// escalation check).
    pub(crate) fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let mut rules = Vec::new();
        let errors = self.visit(user, namespace, |_, r| {
            rules.push(r.clone());
            true
        });
        (rules, errors)
    }

    /// The rules of a role, for the check of who may bind it.
    pub(crate) fn role_rules(&self, namespace: &str, name: &str) -> Option<Arc<Vec<Rule>>> {
        self.scopes.read().get(namespace)?.roles.get(name).cloned()
    }
}

/// Where a rule comes from.
struct Source<'a> {
    namespace: &'a str,
    name: &'a str,
    binding: &'a Binding,
    user: &'a UserInfo,
}

impl Source<'_> {
    fn describe(&self) -> String {
        let (kind, name) = if self.namespace.is_empty() {
            ("ClusterRoleBinding", self.name.to_owned())
        } else {
            ("RoleBinding", format!("{}/{}", self.name, self.namespace))
        };
        let role_kind = if self.binding.cluster_role {
            "ClusterRole"
        } else {
            "Role"
        };
        let mine = |s: &&Subject| {
            if s.group {
                self.user.groups.contains(&s.name)
            } else {
                self.user.name == s.name
            }
        };
        let subject = self
            .binding
            .subjects
            .iter()
            .find(mine)
            .map_or("", |s| s.description.as_str());
        format!("{kind} {name:?} of {role_kind} {:?} to {subject}", self.binding.role)
    }
}

#[async_trait]
impl Authorizer for Rbac {
    async fn authorize(&self, attrs: &Attributes<'_>) -> Decision {
        let mut reason = None;
        let namespace = if attrs.info.is_resource {
            attrs.info.namespace.as_str()
        } else {
            ""
        };
        let errors = self.visit(attrs.user, namespace, |source, rule| {
            if rule.allows(attrs.info) {
                reason = Some(format!("RBAC: allowed by {}", source.describe()));
            }
            reason.is_none()
        });
        match (reason, errors.as_slice()) {
            (Some(reason), _) => Decision::Allow(reason),
            (None, []) => Decision::NoOpinion(String::new()),
            (None, [one]) => Decision::NoOpinion(format!("RBAC: {one}")),
            (None, many) => Decision::NoOpinion(format!("RBAC: [{}]", many.join(", "))),
        }
    }
}

impl Scope {
    fn set_binding(&mut self, name: &str, new: Option<Binding>) {
        for s in self.bindings.remove(name).into_iter().flat_map(|b| b.subjects) {
            let index = if s.group { &mut self.groups } else { &mut self.users };
            if let Some(names) = index.get_mut(&s.name) {
                names.remove(name);
                if names.is_empty() {
                    index.remove(&s.name);
                }
            }
        }
        if let Some(b) = new {
            for s in &b.subjects {
                let index = if s.group { &mut self.groups } else { &mut self.users };
                index.entry(s.name.clone()).or_default().insert(name.to_owned());
            }
            self.bindings.insert(name.to_owned(), b);
        }
    }
}

fn binding(obj: &Value) -> Binding {
    let namespace = text(obj, "/metadata/namespace");
    Binding {
        subjects: items(obj, "/subjects")
            .iter()
            .filter_map(|s| subject(s, namespace))
            .collect(),
        cluster_role: text(obj, "/roleRef/kind") == "ClusterRole",
        role: text(obj, "/roleRef/name").to_owned(),
    }
}

fn subject(s: &Value, binding_namespace: &str) -> Option<Subject> {
    let name = text(s, "/name");
    let kind = text(s, "/kind");
    Some(match kind {
        "User" | "Group" => Subject {
            group: kind == "Group",
            name: name.to_owned(),
            description: format!("{kind} {name:?}"),
        },
        "ServiceAccount" => {
            let ns = Some(text(s, "/namespace"))
                .filter(|n| !n.is_empty())
                .unwrap_or(binding_namespace);
            Subject {
                group: false,
                name: format!("system:serviceaccount:{ns}:{name}"),
                description: format!("ServiceAccount {:?}", format!("{name}/{ns}")),
            }
        }
        _ => return None,
    })
}

/// Rules a user has, grouped for display: resource rules and URL rules.
pub(crate) fn split_rules(rules: &[Rule]) -> (Vec<&Rule>, Vec<&Rule>) {
    rules.iter().partition(|r| !r.resources.is_empty())
}

/// Feeds many objects, given with their resource.
#[cfg(test)]
pub(crate) fn feed<'a>(rbac: &Rbac, objects: impl IntoIterator<Item = (&'a str, &'a Value)>) {
    for (resource, obj) in objects {
        rbac.apply(
            resource,
            text(obj, "/metadata/namespace"),
            text(obj, "/metadata/name"),
            Some(obj),
        );
    }
}

/// Sums rules of roles by name order without repeats, as the aggregation controller does.
pub(crate) fn aggregate(sources: &BTreeMap<String, Vec<Value>>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for rule in sources.values().flatten() {
        if !out.contains(rule) {
            out.push(rule.clone());
        }
    }
    out
}
