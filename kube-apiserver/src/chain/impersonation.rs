//! `Impersonate-*`: act as another user, when allowed to `impersonate` every part of it.
//!
//! Upstream: `apiserver/pkg/endpoints/filters/impersonation`.

use apimachinery::status::{ApiError, Result};
use http::{HeaderMap, HeaderName};

use crate::authn::service_account;
use crate::authn::{ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS};
use crate::authz::Union;
use crate::request::{RequestContext, RequestInfo, UserInfo, percent_decode};

const EXTRA_PREFIX: &str = "impersonate-extra-";

/// Replaces the context's user by the one the headers name.
pub(super) async fn apply(authorizer: &Union, ctx: &mut RequestContext, headers: &mut HeaderMap) -> Result<()> {
    let one = |h: &HeaderMap, name: &str| h.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let name = one(headers, "impersonate-user");
    let uid = one(headers, "impersonate-uid");
    let mut groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|v| v.to_str().ok().map(str::to_owned))
        .collect();
    let mut user = UserInfo {
        name: name.clone(),
        uid: uid.clone(),
        ..Default::default()
    };
    for (header, value) in headers.iter() {
        if let (Some(key), Ok(value)) = (header.as_str().strip_prefix(EXTRA_PREFIX), value.to_str()) {
            user.extra
                .entry(percent_decode(key))
                .or_default()
                .push(value.to_owned());
        }
    }
    if name.is_empty() {
        if groups.is_empty() && uid.is_empty() && user.extra.is_empty() {
            return Ok(());
        }
        return Err(ApiError::internal("requested [] without impersonating a user name"));
    }

    let mut checks = vec![];
    match service_account::split_user_name(&name) {
        Some((ns, account)) => {
            checks.push(check("", "serviceaccounts", "", ns, account));
            if groups.is_empty() {
                groups = service_account::groups(ns);
            }
        }
        None => checks.push(check("", "users", "", "", &name)),
    }
    let asked = headers.contains_key("impersonate-group");
    if asked {
        checks.extend(groups.iter().map(|g| check("", "groups", "", "", g)));
    }
    if !uid.is_empty() {
        checks.push(check("authentication.k8s.io", "uids", "", "", &uid));
    }
    for (key, values) in &user.extra {
        checks.extend(
            values
                .iter()
                .map(|v| check("authentication.k8s.io", "userextras", key, "", v)),
        );
    }
    for info in &checks {
        authorizer.check(&ctx.user, info).await?;
    }

    let everyone = if name == ANONYMOUS {
        ALL_UNAUTHENTICATED
    } else {
        ALL_AUTHENTICATED
    };
    if !groups
        .iter()
        .any(|g| g == ALL_AUTHENTICATED || g == ALL_UNAUTHENTICATED)
    {
        groups.push(everyone.to_owned());
    }
    user.groups = groups;
    ctx.user = user;
    let spent: Vec<HeaderName> = headers
        .keys()
        .filter(|k| k.as_str().starts_with("impersonate-"))
        .cloned()
        .collect();
    for header in spent {
        headers.remove(header);
    }
    Ok(())
}

fn check(group: &str, resource: &str, subresource: &str, namespace: &str, name: &str) -> RequestInfo {
    RequestInfo {
        verb: "impersonate".into(),
        api_group: group.into(),
        api_version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: name.into(),
        is_resource: true,
        ..Default::default()
    }
}
