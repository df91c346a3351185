//! Reconciles the bootstrap RBAC objects: creates what is missing, adds rules and subjects that were
//! taken away, never removes what was added.
//!
//! Upstream: `component-helpers/auth/rbac/reconciliation`, `pkg/registry/rbac/rest/storage_rbac.go`.

use apimachinery::status::ApiError;
use serde_json::{Value, json};

use super::policy::{AUTOUPDATE, policy};
use crate::authz::rbac::GROUP;
use crate::objects::{Objects, find, items, text};

/// Writes what differs. Safe to run again and by several servers.
pub(crate) async fn reconcile(objects: &dyn Objects) -> Result<(), ApiError> {
    let p = policy();
    for (resource, list) in [
        ("clusterroles", &p.cluster_roles),
        ("clusterrolebindings", &p.cluster_role_bindings),
        ("roles", &p.roles),
        ("rolebindings", &p.role_bindings),
    ] {
        for wanted in list {
            one(objects, resource, wanted).await?;
        }
    }
    Ok(())
}

async fn one(objects: &dyn Objects, resource: &str, wanted: &Value) -> Result<(), ApiError> {
    let (ns, name) = (text(wanted, "/metadata/namespace"), text(wanted, "/metadata/name"));
    // A write between our read and ours is another server doing the same.
    for _ in 0..3 {
        let result = match find(objects, GROUP, resource, ns, name).await? {
            None => objects.create(GROUP, resource, ns, wanted.clone()).await,
            Some(have) => match merged(&have, wanted) {
                None => return Ok(()),
                // A binding's role cannot be changed: it is made anew.
                Some(new) if new.get("roleRef") != have.get("roleRef") => {
                    objects.delete(GROUP, resource, ns, name).await?;
                    objects.create(GROUP, resource, ns, wanted.clone()).await
                }
                Some(new) => objects.update(GROUP, resource, ns, new).await,
            },
        };
        match result {
            Ok(_) => return Ok(()),
            Err(e) if e.is_already_exists() || e.is_conflict() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// What `have` must become; `None` when nothing is missing or it is protected from updates.
pub(crate) fn merged(have: &Value, wanted: &Value) -> Option<Value> {
    let protected = have
        .pointer("/metadata/annotations")
        .and_then(|a| a.get(AUTOUPDATE))
        .is_some_and(|v| v != "true");
    if protected {
        return None;
    }
    let mut new = have.clone();
    for field in ["labels", "annotations"] {
        for (k, v) in wanted["metadata"][field].as_object().into_iter().flatten() {
            new["metadata"][field][k] = v.clone();
        }
    }
    if wanted.get("aggregationRule").is_some() && new.get("aggregationRule") != wanted.get("aggregationRule") {
        new["aggregationRule"] = wanted["aggregationRule"].clone();
    }
    for field in ["rules", "subjects"] {
        let mut list = items(have, &format!("/{field}")).to_vec();
        let before = list.len();
        for item in items(wanted, &format!("/{field}")) {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        if list.len() > before {
            new[field] = json!(list);
        }
    }
    if let Some(role) = wanted.get("roleRef") {
        new["roleRef"] = role.clone();
    }
    (new != *have).then_some(new)
}
