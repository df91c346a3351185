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
    state: RwLock<State>,
}

/// Namespace (empty: cluster scope) and name.
type Key = (String, String);

#[derive(Default)]
struct State {
    roles: HashMap<Key, Arc<Vec<Rule>>>,
    bindings: HashMap<Key, Binding>,
    /// Namespace -> subject -> names of the bindings that name it.
    by_subject: HashMap<String, HashMap<Subject, BTreeSet<String>>>,
}

#[derive(Clone)]
struct Binding {
    subjects: Vec<(Subject, String)>,
    cluster_role: bool,
    role: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

impl Rbac {
    /// Feeds one change: the object's new state, or `None` when it is gone.
    pub(crate) fn apply(&self, resource: &str, namespace: &str, name: &str, obj: Option<&Value>) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut state = self.state.write();
        match resource {
            "roles" | "clusterroles" => match obj {
                Some(o) => {
                    let rules = items(o, "/rules").iter().map(Rule::from_value).collect();
                    state.roles.insert(key, Arc::new(rules));
                }
                None => {
                    state.roles.remove(&key);
                }
            },
            "rolebindings" | "clusterrolebindings" => state.set_binding(key, obj.map(binding)),
            _ => {}
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
        let state = self.state.read();
        let mut errors = Vec::new();
        let mut scopes = vec![""];
        if !namespace.is_empty() {
            scopes.push(namespace);
        }
        for scope in scopes {
            let Some(index) = state.by_subject.get(scope) else {
                continue;
            };
            let names: BTreeSet<&String> = subjects_of(user).filter_map(|s| index.get(&s)).flatten().collect();
            for name in names {
                let Some(b) = state.bindings.get(&(scope.to_owned(), name.clone())) else {
                    continue;
                };
                let role_ns = if b.cluster_role { "" } else { scope };
                let Some(rules) = state.roles.get(&(role_ns.to_owned(), b.role.clone())) else {
                    let kind = if b.cluster_role { "clusterrole" } else { "role" };
                    errors.push(format!("{kind}.{GROUP} {:?} not found", b.role));
                    continue;
                };
                let source = Source {
                    scope,
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
        self.state
            .read()
            .roles
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }
}

/// Where a rule comes from.
struct Source<'a> {
    scope: &'a str,
    name: &'a str,
    binding: &'a Binding,
    user: &'a UserInfo,
}

impl Source<'_> {
    fn describe(&self) -> String {
        let (kind, name) = if self.scope.is_empty() {
            ("ClusterRoleBinding", self.name.to_owned())
        } else {
            ("RoleBinding", format!("{}/{}", self.name, self.scope))
        };
        let role_kind = if self.binding.cluster_role {
            "ClusterRole"
        } else {
            "Role"
        };
        let mine: Vec<Subject> = subjects_of(self.user).collect();
        let subject = self
            .binding
            .subjects
            .iter()
            .find(|(s, _)| mine.contains(s))
            .map_or("", |(_, d)| d.as_str());
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

impl State {
    fn set_binding(&mut self, key: Key, new: Option<Binding>) {
        if let Some(old) = self.bindings.remove(&key)
            && let Some(index) = self.by_subject.get_mut(&key.0)
        {
            for (s, _) in &old.subjects {
                if let Some(names) = index.get_mut(s) {
                    names.remove(&key.1);
                    if names.is_empty() {
                        index.remove(s);
                    }
                }
            }
            if index.is_empty() {
                self.by_subject.remove(&key.0);
            }
        }
        if let Some(b) = new {
            let index = self.by_subject.entry(key.0.clone()).or_default();
            for (s, _) in &b.subjects {
                index.entry(s.clone()).or_default().insert(key.1.clone());
            }
            self.bindings.insert(key, b);
        }
    }
}

fn subjects_of(user: &UserInfo) -> impl Iterator<Item = Subject> + '_ {
    std::iter::once(Subject::User(user.name.clone())).chain(user.groups.iter().map(|g| Subject::Group(g.clone())))
}

fn binding(obj: &Value) -> Binding {
    let ns = text(obj, "/metadata/namespace");
    let subjects = items(obj, "/subjects")
        .iter()
        .filter_map(|s| {
            let name = text(s, "/name");
            Some(match text(s, "/kind") {
                "User" => (Subject::User(name.to_owned()), format!("User {name:?}")),
                "Group" => (Subject::Group(name.to_owned()), format!("Group {name:?}")),
                "ServiceAccount" => {
                    let sa_ns = Some(text(s, "/namespace")).filter(|n| !n.is_empty()).unwrap_or(ns);
                    (
                        Subject::User(format!("system:serviceaccount:{sa_ns}:{name}")),
                        format!("ServiceAccount {:?}", format!("{name}/{sa_ns}")),
                    )
                }
                _ => return None,
            })
        })
        .collect();
    Binding {
        subjects,
        cluster_role: text(obj, "/roleRef/kind") == "ClusterRole",
        role: text(obj, "/roleRef/name").to_owned(),
    }
}

/// Rules a user has, grouped for display: resource rules and URL rules.
pub(crate) fn split_rules(rules: &[Rule]) -> (Vec<&Rule>, Vec<&Rule>) {
    rules.iter().partition(|r| !r.resources.is_empty())
}

/// Roles and bindings named in `bindings`, for tests and bootstrap: feeds many objects at once.
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
