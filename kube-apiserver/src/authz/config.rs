//! From `--authorization-mode` to a chain of authorizers with their feeds running.

use std::sync::Arc;

use apimachinery::fields::Selector;
use tokio_util::sync::CancellationToken;

use super::feed::{Synced, follow};
use super::modes::{AlwaysAllow, AlwaysDeny, Privileged};
use super::node::NodeAuthorizer;
use super::node::graph::{self, Graph};
use super::rbac::{self, Rbac};
use super::{Authorizer, Union};
use crate::bootstrap::policy;
use crate::registry::Registry;

/// Modes upstream knows (`pkg/kubeapiserver/authorizer/modes`).
pub(super) const MODES: [&str; 6] = ["AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"];

/// The authorizers of a server.
#[derive(Clone, Default)]
pub(crate) struct Authorization {
    /// In order, `system:masters` first.
    pub(crate) union: Union,
    /// The RBAC index, when that mode is on.
    pub(crate) rbac: Option<Arc<Rbac>>,
    /// When the indexes are filled.
    pub(crate) synced: Synced,
}

/// All that is wrong with the flag.
pub(crate) fn validate(modes: &[String]) -> Vec<String> {
    let mut errors = Vec::new();
    if modes.is_empty() {
        errors.push("at least one authorization-mode must be passed".to_owned());
    }
    for (i, m) in modes.iter().enumerate() {
        if !MODES.contains(&m.as_str()) {
            errors.push(format!("authorization-mode {m:?} is not a valid mode"));
        } else if m == "ABAC" || m == "Webhook" {
            errors.push(format!("authorization-mode {m} is not supported by this build"));
        }
        if modes[..i].contains(m) {
            errors.push(format!(
                "authorization-mode {modes:?} has mode specified more than once"
            ));
        }
    }
    errors
}

/// Builds the chain and starts the feeds of its indexes.
pub(crate) fn build(modes: &[String], registry: &Registry, shutdown: &CancellationToken) -> Authorization {
    let mut out = Authorization::default();
    let mut chain: Vec<Arc<dyn Authorizer>> = vec![Arc::new(Privileged)];
    for mode in modes {
        match mode.as_str() {
            "AlwaysAllow" => chain.push(Arc::new(AlwaysAllow)),
            "AlwaysDeny" => chain.push(Arc::new(AlwaysDeny)),
            "RBAC" => {
                let index = Arc::new(Rbac::default());
                for resource in rbac::RESOURCES {
                    if let Some(store) = registry.store(rbac::GROUP, resource) {
                        let index = index.clone();
                        let apply =
                            Box::new(move |ns: &str, name: &str, obj: Option<&_>| index.apply(resource, ns, name, obj));
                        out.synced
                            .push(follow(store.clone(), Selector::default(), shutdown.clone(), apply));
                    }
                }
                out.rbac = Some(index.clone());
                chain.push(index);
            }
            "Node" => {
                let index = Arc::new(Graph::default());
                for (group, resource, fields) in graph::RESOURCES {
                    if let Some(store) = registry.store(group, resource) {
                        let index = index.clone();
                        let apply =
                            Box::new(move |ns: &str, name: &str, obj: Option<&_>| index.apply(resource, ns, name, obj));
                        let fields = Selector::parse(fields).expect("selectors of the table parse");
                        out.synced.push(follow(store.clone(), fields, shutdown.clone(), apply));
                    }
                }
                chain.push(Arc::new(NodeAuthorizer::new(index, policy::role_rules("system:node"))));
            }
            _ => {}
        }
    }
    out.union = Union::new(chain);
    out
}
