//! Authorization: may this user do this? A chain of authorizers, the first opinion counts.
//!
//! `system:masters` is asked before all others (upstream `apiserver/pkg/authorization/union` and
//! `authorizerfactory.NewPrivilegedGroups`). Everything here answers from memory: the RBAC index
//! and the node graph are fed by watches.

use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::ApiError;
use async_trait::async_trait;

use crate::request::{RequestInfo, UserInfo};

pub(crate) mod config;
pub(crate) mod config_file;
pub(crate) mod feed;
pub(crate) mod modes;
pub(crate) mod node;
pub(crate) mod rbac;
pub(crate) mod reviews;

/// Who wants to do what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    /// The caller.
    pub(crate) user: &'a UserInfo,
    /// The request; for reviews, one made up from their spec.
    pub(crate) info: &'a RequestInfo,
}

/// An authorizer's answer, with a reason for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Allowed; no further authorizer is asked.
    Allow(String),
    /// Denied; no further authorizer is asked.
    #[expect(dead_code, reason = "only webhooks say it, and that mode is not there yet")]
    Deny(String),
    /// Not this authorizer's business; asks the next one.
    NoOpinion(String),
}

/// One authorization mode.
#[async_trait]
pub(crate) trait Authorizer: Send + Sync {
    /// Decides about one request.
    async fn authorize(&self, attrs: &Attributes<'_>) -> Decision;
}

/// Authorizers in order of `--authorization-mode`.
#[derive(Clone, Default)]
pub(crate) struct Union {
    authorizers: Vec<Arc<dyn Authorizer>>,
}

impl Union {
    /// Asks `authorizers` in order.
    pub(crate) fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Self {
        Union { authorizers }
    }

    /// Allows, or gives upstream's 403.
    pub(crate) async fn check(&self, user: &UserInfo, info: &RequestInfo) -> Result<(), ApiError> {
        let attrs = Attributes { user, info };
        match self.authorize(&attrs).await {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(&attrs, &reason)),
        }
    }

    /// Whether `user` may `verb` one thing; for checks inside admission.
    pub(crate) async fn allows(&self, user: &UserInfo, info: &RequestInfo) -> bool {
        self.check(user, info).await.is_ok()
    }
}

#[async_trait]
impl Authorizer for Union {
    async fn authorize(&self, attrs: &Attributes<'_>) -> Decision {
        let mut reasons = Vec::new();
        for a in &self.authorizers {
            match a.authorize(attrs).await {
                Decision::NoOpinion(reason) => {
                    if !reason.is_empty() {
                        reasons.push(reason);
                    }
                }
                decided => return decided,
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }
}

/// The 403 of a refused request (upstream `endpoints/handlers/responsewriters/errors.go`).
pub(crate) fn forbidden(attrs: &Attributes<'_>, reason: &str) -> ApiError {
    let mut message = describe(attrs);
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    let info = attrs.info;
    if info.is_resource {
        let gr = GroupResource::new(info.api_group.clone(), info.resource.clone());
        ApiError::forbidden(&gr, &info.name, &message)
    } else {
        ApiError::forbidden(&GroupResource::new("", ""), "", &message)
    }
}

fn describe(attrs: &Attributes<'_>) -> String {
    let (user, info) = (attrs.user, attrs.info);
    if !info.is_resource {
        return format!("User {:?} cannot {} path {:?}", user.name, info.verb, info.path);
    }
    let mut resource = info.resource.clone();
    if !info.subresource.is_empty() {
        resource = format!("{resource}/{}", info.subresource);
    }
    let scope = if info.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", info.namespace)
    };
    format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        user.name, info.verb, info.api_group
    )
}

#[cfg(test)]
mod tests;
