//! One way to be allowed to act as another user. Upstream: `filters/impersonation/mode.go`.

use std::time::Instant;

use apimachinery::status::{ApiError, Result};
use apimachinery::validation::is_dns1123_subdomain;

use crate::authn::service_account;
use crate::authn::{ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS};
use crate::authz::modes::MASTERS;
use crate::authz::node::NODES_GROUP;
use crate::authz::{Attributes, Union, forbidden};
use crate::metrics::impersonation as metrics;
use crate::request::{RequestContext, RequestInfo, UserInfo};

/// Whom a mode is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The node a service account's pod runs on.
    AssociatedNode,
    /// Any node.
    ArbitraryNode,
    /// Service accounts.
    ServiceAccount,
    /// All others, with all of their parts.
    UserInfo,
    /// Everybody, by the verb `impersonate` alone.
    Legacy,
}

const GROUP: &str = "authentication.k8s.io";
const NODE_PREFIX: &str = "system:node:";
/// Where a token says which node its pod runs on.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// From so many parts on the right to all of them is asked for first.
const MANY: usize = 4;

impl Mode {
    /// In the order they are tried.
    pub(super) const ALL: [Mode; 5] = [
        Mode::AssociatedNode,
        Mode::ArbitraryNode,
        Mode::ServiceAccount,
        Mode::UserInfo,
        Mode::Legacy,
    ];

    fn name(self) -> &'static str {
        match self {
            Mode::AssociatedNode => "associated-node",
            Mode::ArbitraryNode => "arbitrary-node",
            Mode::ServiceAccount => "serviceaccount",
            Mode::UserInfo => "user-info",
            Mode::Legacy => "",
        }
    }

    fn verb(self) -> String {
        match self {
            Mode::Legacy => "impersonate".to_owned(),
            mode => format!("impersonate:{}", mode.name()),
        }
    }

    /// Its name in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Mode::Legacy => "legacy",
            mode => mode.name(),
        }
    }

    async fn measured(self, check: impl Future<Output = Result<()>>) -> Result<()> {
        let begun = Instant::now();
        let outcome = check.await;
        metrics::check(self.label(), outcome.is_ok(), begun.elapsed());
        outcome
    }

    /// Whether this mode is for `wanted` at all.
    fn concerns(self, wanted: &UserInfo, requestor: &UserInfo) -> bool {
        let only_name = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let (node, account) = (node_name(&wanted.name), service_account::split_user_name(&wanted.name));
        match self {
            Mode::AssociatedNode => {
                let own = match requestor.extra.get(NODE_NAME).map(Vec::as_slice) {
                    Some([one]) => Some(one.as_str()),
                    _ => None,
                };
                only_name
                    && node.is_some()
                    && service_account::split_user_name(&requestor.name).is_some()
                    && own == node
            }
            Mode::ArbitraryNode => only_name && node.is_some(),
            Mode::ServiceAccount => only_name && account.is_some(),
            Mode::UserInfo => node.is_none() && account.is_none(),
            Mode::Legacy => true,
        }
    }

    /// The user to be, if this mode allows it; none when it does not concern such users.
    pub(super) async fn check(
        self,
        authorizer: &Union,
        wanted: &UserInfo,
        ctx: &RequestContext,
    ) -> Result<Option<UserInfo>> {
        if !self.concerns(wanted, &ctx.user) {
            return Ok(None);
        }
        if self != Mode::Legacy {
            let verb = format!("impersonate-on:{}:{}", self.name(), ctx.info.verb);
            let info = RequestInfo {
                verb,
                ..ctx.info.clone()
            };
            self.measured(authorizer.check(&ctx.user, &info)).await?;
        }
        let parts = Parts {
            mode: self,
            authorizer,
            requestor: &ctx.user,
        };
        let mut user = wanted.clone();
        parts.name(&mut user).await?;
        if !wanted.uid.is_empty() {
            parts.ask(GROUP, "uids", "", "", &wanted.uid).await?;
        }
        parts.groups(&wanted.groups).await?;
        parts.extra(wanted).await?;
        let everyone = if user.name == ANONYMOUS {
            Some(ALL_UNAUTHENTICATED)
        } else {
            Some(ALL_AUTHENTICATED).filter(|_| !user.groups.iter().any(|g| g == ALL_UNAUTHENTICATED))
        };
        if let Some(group) = everyone.filter(|everyone| !user.groups.iter().any(|g| g == everyone)) {
            user.groups.push(group.to_owned());
        }
        Ok(Some(user))
    }
}

/// The checks of the parts of a user.
struct Parts<'a> {
    mode: Mode,
    authorizer: &'a Union,
    requestor: &'a UserInfo,
}

impl Parts<'_> {
    fn info(&self, group: &str, resource: &str, subresource: &str, namespace: &str, name: &str) -> RequestInfo {
        RequestInfo {
            verb: self.mode.verb(),
            api_group: group.to_owned(),
            api_version: "v1".to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            is_resource: true,
            ..Default::default()
        }
    }

    async fn ask(&self, group: &str, resource: &str, sub: &str, namespace: &str, name: &str) -> Result<()> {
        let info = self.info(group, resource, sub, namespace, name);
        self.mode.measured(self.authorizer.check(self.requestor, &info)).await
    }

    fn refuse(&self, info: &RequestInfo, why: &str) -> ApiError {
        let attrs = Attributes {
            user: self.requestor,
            info,
        };
        forbidden(&attrs, why)
    }

    /// Users and groups were core resources when impersonation began.
    fn group(&self) -> &'static str {
        if self.mode == Mode::Legacy { "" } else { GROUP }
    }

    /// The name, and the groups that come with it.
    async fn name(&self, user: &mut UserInfo) -> Result<()> {
        let name = user.name.clone();
        let node = node_name(&name).filter(|_| self.mode != Mode::Legacy);
        if let Some(node) = node {
            user.groups = vec![NODES_GROUP.to_owned()];
            // Of its own node a service account needs no name: the right is to be whichever it is on.
            let named = if self.mode == Mode::AssociatedNode { "*" } else { node };
            return self.ask(self.group(), "nodes", "", "", named).await;
        }
        if let Some((ns, account)) = service_account::split_user_name(&name) {
            if user.groups.is_empty() {
                user.groups = service_account::groups(ns);
            }
            return self.ask(self.group(), "serviceaccounts", "", ns, account).await;
        }
        self.ask(self.group(), "users", "", "", &name).await
    }

    async fn groups(&self, groups: &[String]) -> Result<()> {
        let constrained = self.mode != Mode::Legacy;
        if constrained {
            for (group, why) in [
                ("", "impersonating the empty string group is not allowed"),
                (MASTERS, "impersonating the system:masters group is not allowed"),
            ] {
                if groups.iter().any(|g| g == group) {
                    return Err(self.refuse(&self.info(self.group(), "groups", "", "", group), why));
                }
            }
            if groups.len() >= MANY && self.ask(self.group(), "groups", "", "", "*").await.is_ok() {
                return Ok(());
            }
        }
        for group in groups {
            self.ask(self.group(), "groups", "", "", group).await?;
        }
        Ok(())
    }

    async fn extra(&self, wanted: &UserInfo) -> Result<()> {
        let extra = &wanted.extra;
        if self.mode != Mode::Legacy {
            let info = self.info(GROUP, "userextras", "", "", "");
            for (key, values) in extra {
                wrong_extra(key, values).map_or(Ok(()), |why| Err(self.refuse(&info, &why)))?;
            }
            let count: usize = extra.values().map(|values| values.len().max(1)).sum();
            if count >= MANY && self.ask(GROUP, "userextras", "*", "", "*").await.is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            for value in values {
                self.ask(GROUP, "userextras", key, "", value).await?;
            }
        }
        Ok(())
    }
}

/// What is wrong with an extra of a constrained impersonation (upstream `validateExtra`).
fn wrong_extra(key: &str, values: &[String]) -> Option<String> {
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".to_owned());
    }
    let domain = key
        .split_once('/')
        .filter(|(domain, path)| !domain.is_empty() && !path.is_empty());
    let why = match domain {
        None => Some("must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()),
        Some((domain, _)) => is_dns1123_subdomain(domain).into_iter().next(),
    };
    if let Some(why) = why {
        return Some(format!(
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {key:?}: {why}"
        ));
    }
    if key.chars().any(char::is_uppercase) {
        return Some(format!(
            "impersonating a non-lowercase key in extra is not allowed: {key:?}"
        ));
    }
    values
        .iter()
        .any(String::is_empty)
        .then(|| "impersonating the empty string value in extra is not allowed".to_owned())
}

/// The node of a node's user name.
fn node_name(user: &str) -> Option<&str> {
    user.strip_prefix(NODE_PREFIX)
        .filter(|name| is_dns1123_subdomain(name).is_empty())
}
