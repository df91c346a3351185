//! The Node authorizer: a kubelet may read what the pods bound to its node need, and nothing else.
//!
//! Upstream: `plugin/pkg/auth/authorizer/node/node_authorizer.go` (with `AuthorizeNodeWithSelectors`).

use std::sync::Arc;

use async_trait::async_trait;

use super::rbac::rule::Rule;
use super::{Attributes, Authorizer, Decision};
use crate::request::{RequestInfo, UserInfo};

pub(crate) mod graph;

use graph::{Graph, Ref};

/// The group every node belongs to.
pub(crate) const NODES_GROUP: &str = "system:nodes";
const NODE_USER_PREFIX: &str = "system:node:";

/// Authorizes node users over a graph of pods and what they refer to.
pub(crate) struct NodeAuthorizer {
    graph: Arc<Graph>,
    rules: Vec<Rule>,
}

impl NodeAuthorizer {
    /// `rules` are the rules of ClusterRole `system:node`: what is allowed beyond the graph.
    pub(crate) fn new(graph: Arc<Graph>, rules: Vec<Rule>) -> Self {
        NodeAuthorizer { graph, rules }
    }

    fn decide(&self, node: &str, info: &RequestInfo) -> Decision {
        if !info.is_resource {
            return self.by_rules(info);
        }
        match (info.api_group.as_str(), info.resource.as_str()) {
            ("", "secrets") => self.read_namespaced(node, info, Ref::Secret),
            ("", "configmaps") => self.read_namespaced(node, info, Ref::ConfigMap),
            ("", "persistentvolumeclaims") if info.subresource == "status" => match info.verb.as_str() {
                "update" | "patch" => self.related(node, info, Ref::Claim),
                _ => no_opinion("can only get/update/patch this type"),
            },
            ("", "persistentvolumeclaims") => self.get_one(node, info, Ref::Claim),
            ("", "persistentvolumes") => self.get_one(node, info, Ref::Volume),
            ("resource.k8s.io", "resourceclaims") => self.get_one(node, info, Ref::ResourceClaim),
            ("storage.k8s.io", "volumeattachments") => self.get_one(node, info, Ref::Attachment),
            ("", "serviceaccounts") if info.subresource == "token" => {
                if info.verb != "create" || info.name.is_empty() {
                    return no_opinion("can only create tokens for individual service accounts");
                }
                self.related(node, info, Ref::ServiceAccount)
            }
            ("", "serviceaccounts") if info.subresource.is_empty() => self.get_one(node, info, Ref::ServiceAccount),
            ("coordination.k8s.io", "leases") => lease(node, info),
            ("storage.k8s.io", "csinodes") => csi_node(node, info),
            ("resource.k8s.io", "resourceslices") => resource_slice(node, info),
            ("", "nodes") => self.node(node, info),
            ("", "pods") => self.pod(node, info),
            _ => self.by_rules(info),
        }
    }

    fn by_rules(&self, info: &RequestInfo) -> Decision {
        if self.rules.iter().any(|r| r.allows(info)) {
            Decision::Allow(String::new())
        } else {
            no_opinion("")
        }
    }

    fn read_namespaced(&self, node: &str, info: &RequestInfo, to: Ref) -> Decision {
        if !matches!(info.verb.as_str(), "get" | "list" | "watch") || !info.subresource.is_empty() {
            return no_opinion("can only read resources of this type");
        }
        if info.namespace.is_empty() {
            return no_opinion("can only read namespaced object of this type");
        }
        if info.name.is_empty() {
            return no_opinion("No Object name found");
        }
        self.related(node, info, to)
    }

    fn get_one(&self, node: &str, info: &RequestInfo, to: Ref) -> Decision {
        if info.verb != "get" || info.name.is_empty() {
            return no_opinion("can only get individual resources of this type");
        }
        if !info.subresource.is_empty() {
            return no_opinion("cannot get subresource");
        }
        self.related(node, info, to)
    }

    fn related(&self, node: &str, info: &RequestInfo, to: Ref) -> Decision {
        if self.graph.has_path(node, to, &info.namespace, &info.name) {
            Decision::Allow(String::new())
        } else {
            Decision::NoOpinion(format!("no relationship found between node '{node}' and this object"))
        }
    }

    fn node(&self, node: &str, info: &RequestInfo) -> Decision {
        match (info.subresource.as_str(), info.verb.as_str()) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => self.by_rules(info),
            ("", "get" | "list" | "watch") => {
                if info.name == node {
                    Decision::Allow(String::new())
                } else {
                    Decision::NoOpinion(format!(
                        "node '{node}' cannot read '{}', only its own Node object",
                        info.name
                    ))
                }
            }
            _ => self.by_rules(info),
        }
    }

    fn pod(&self, node: &str, info: &RequestInfo) -> Decision {
        match (info.subresource.as_str(), info.verb.as_str()) {
            ("", "get") => self.related(node, info, Ref::Pod),
            ("", "list" | "watch") => {
                if selects_node(info, node) {
                    Decision::Allow(String::new())
                } else if !info.name.is_empty() && !info.namespace.is_empty() {
                    self.related(node, info, Ref::Pod)
                } else {
                    no_opinion("can only list/watch pods with spec.nodeName field selector")
                }
            }
            _ => self.by_rules(info),
        }
    }
}

#[async_trait]
impl Authorizer for NodeAuthorizer {
    async fn authorize(&self, attrs: &Attributes<'_>) -> Decision {
        match identify(attrs.user) {
            None => no_opinion(""),
            Some("") => Decision::NoOpinion(format!("unknown node for user {:?}", attrs.user.name)),
            Some(node) => self.decide(node, attrs.info),
        }
    }
}

/// The node name of a node user (empty when the user has none), `None` for all others.
pub(crate) fn identify(user: &UserInfo) -> Option<&str> {
    let name = user.name.strip_prefix(NODE_USER_PREFIX)?;
    user.groups.iter().any(|g| g == NODES_GROUP).then_some(name)
}

fn selects_node(info: &RequestInfo, node: &str) -> bool {
    info.exact_field("spec.nodeName").as_deref() == Some(node)
}

fn lease(node: &str, info: &RequestInfo) -> Decision {
    if !matches!(info.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return no_opinion("can only get, create, update, patch, or delete a node lease");
    }
    if info.namespace != "kube-node-lease" {
        return no_opinion("can only access leases in the \"kube-node-lease\" system namespace");
    }
    if info.verb != "create" && info.name != node {
        return no_opinion("can only access node lease with the same name as the requesting node");
    }
    Decision::Allow(String::new())
}

fn csi_node(node: &str, info: &RequestInfo) -> Decision {
    if !matches!(info.verb.as_str(), "get" | "create" | "update" | "patch" | "delete") {
        return no_opinion("can only get, create, update, patch, or delete a CSINode");
    }
    if !info.subresource.is_empty() {
        return no_opinion("cannot authorize CSINode subresources");
    }
    if info.verb != "create" && info.name != node {
        return no_opinion("can only access CSINode with the same name as the requesting node");
    }
    Decision::Allow(String::new())
}

fn resource_slice(node: &str, info: &RequestInfo) -> Decision {
    if !info.subresource.is_empty() {
        return no_opinion("cannot authorize ResourceSlice subresources");
    }
    match info.verb.as_str() {
        "create" | "get" | "update" | "patch" | "delete" => Decision::Allow(String::new()),
        "watch" | "list" | "deletecollection" if selects_node(info, node) => Decision::Allow(String::new()),
        "watch" | "list" | "deletecollection" => {
            no_opinion("can only list/watch/deletecollection resourceslices with spec.nodeName field selector")
        }
        _ => no_opinion(
            "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
        ),
    }
}

fn no_opinion(reason: &str) -> Decision {
    Decision::NoOpinion(reason.to_owned())
}
