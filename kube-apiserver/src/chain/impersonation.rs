//! `Impersonate-*`: act as another user, when allowed to.
//!
//! Two ways lead there. The old one asks for the verb `impersonate` on every part of the wanted user. The constrained
//! ones ([`Mode`]) ask for `impersonate:<mode>` on the parts and for `impersonate-on:<mode>:<verb>` on the request
//! itself; they are tried first, and the first refusal is the one that is answered.
//! Upstream: `apiserver/pkg/endpoints/filters/impersonation` (`WithConstrainedImpersonation`, on by default).

mod mode;

use std::time::Instant;

use apimachinery::status::{ApiError, Result};
use http::{HeaderMap, HeaderName};

use crate::authn::request_header::text;
use crate::authz::Union;
use crate::metrics::impersonation as metrics;
use crate::request::{RequestContext, UserInfo, percent_decode};

use mode::Mode;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// Replaces the context's user by the one the headers name, and takes those headers away.
pub(super) async fn apply(authorizer: &Union, ctx: &mut RequestContext, headers: &mut HeaderMap) -> Result<()> {
    match wanted(headers)? {
        // Boxed: few requests need it.
        Some(wanted) => Box::pin(become_user(authorizer, ctx, headers, wanted)).await,
        None => Ok(()),
    }
}

async fn become_user(
    authorizer: &Union,
    ctx: &mut RequestContext,
    headers: &mut HeaderMap,
    wanted: UserInfo,
) -> Result<()> {
    let (mut refusal, begun) = (None, Instant::now());
    for mode in Mode::ALL {
        match mode.check(authorizer, &wanted, ctx).await {
            Ok(None) => {}
            Ok(Some(user)) => {
                metrics::attempt(Some(mode.label()), begun.elapsed());
                ctx.user = user;
                remove(headers);
                return Ok(());
            }
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    metrics::attempt(None, begun.elapsed());
    Err(refusal.unwrap_or_else(|| ApiError::internal("all impersonation modes failed")))
}

/// The user the headers name, as they name it; none without headers.
fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>> {
    let one = |name: &str| headers.get(name).map(text).unwrap_or_default();
    let mut user = UserInfo {
        name: one(USER),
        uid: one(UID),
        groups: headers.get_all(GROUP).iter().map(text).collect(),
        ..Default::default()
    };
    for (header, value) in headers {
        if let Some(key) = header.as_str().strip_prefix(EXTRA_PREFIX) {
            user.extra.entry(percent_decode(key)).or_default().push(text(value));
        }
    }
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    if user == UserInfo::default() {
        return Ok(None);
    }
    Err(ApiError::bad_request(format!(
        "requested {} without impersonating a user name",
        go_syntax(&user)
    )))
}

/// What Go's `%#v` prints of a `user.DefaultInfo`.
fn go_syntax(user: &UserInfo) -> String {
    let list = |values: &[String]| {
        let quoted: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
        format!("[]string{{{}}}", quoted.join(", "))
    };
    let groups = match user.groups.as_slice() {
        [] => "[]string(nil)".to_owned(),
        groups => list(groups),
    };
    let extra: Vec<String> = user.extra.iter().map(|(k, v)| format!("{k:?}:{}", list(v))).collect();
    let extra = match extra.as_slice() {
        [] => "map[string][]string(nil)".to_owned(),
        all => format!("map[string][]string{{{}}}", all.join(", ")),
    };
    let (name, uid) = (&user.name, &user.uid);
    format!("&user.DefaultInfo{{Name:{name:?}, UID:{uid:?}, Groups:{groups}, Extra:{extra}}}")
}

/// Nothing behind this filter shall see that it was here.
fn remove(headers: &mut HeaderMap) {
    let ours =
        |name: &&HeaderName| matches!(name.as_str(), USER | UID | GROUP) || name.as_str().starts_with(EXTRA_PREFIX);
    let spent: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    for header in spent {
        headers.remove(header);
    }
}

#[cfg(test)]
mod tests;
