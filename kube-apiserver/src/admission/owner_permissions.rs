//! OwnerReferencesPermissionEnforcement: who names an owner may delete the object, and who makes the owner wait for it
//! may hold the owner back.
//!
//! Upstream: `plugin/pkg/admission/gc/gc_admission.go`.

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::Value;

use super::{Attributes, Operation, Plugin, World};
use crate::authz::{self, Authorizer as _, Decision, Union};
use crate::objects::{items, text};
use crate::request::RequestInfo;
use crate::resources;

/// The plugin.
pub(crate) struct OwnerReferencesPermissionEnforcement {
    authorizer: Union,
}

impl OwnerReferencesPermissionEnforcement {
    /// Asks the authorizer of `world`.
    pub(crate) fn new(world: &World) -> Self {
        OwnerReferencesPermissionEnforcement {
            authorizer: world.authorizer.clone(),
        }
    }

    /// Why the user may not, `None` if it may.
    async fn refused(&self, a: &Attributes<'_>, info: &RequestInfo) -> Option<String> {
        let asked = authz::Attributes {
            user: &a.ctx.user,
            info,
        };
        match self.authorizer.authorize(&asked).await {
            Decision::Allow(_) => None,
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Some(reason),
        }
    }
}

#[async_trait]
impl Plugin for OwnerReferencesPermissionEnforcement {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        // The strategy of a pod's status keeps its owners.
        if a.is("", "pods", "status") || a.old.map(owners).unwrap_or_default() == owners(obj) {
            return Ok(());
        }
        // Who creates an object could have left it.
        if a.operation != Operation::Create {
            let delete = RequestInfo {
                verb: "delete".to_owned(),
                is_resource: true,
                ..a.ctx.info.clone()
            };
            if let Some(reason) = self.refused(a, &delete).await {
                let why = format!("cannot set an ownerRef on a resource you can't delete: {reason}, <nil>");
                return Err(a.forbidden(obj, why));
            }
        }
        let blocking: Vec<&Value> = newly_blocking(obj, a.old).collect();
        // One question for those who may do everything: the owners' kinds need not be known then.
        if blocking.is_empty() || self.refused(a, &finalize("*", "*", "*", "*", "")).await.is_none() {
            return Ok(());
        }
        for owner in blocking {
            let records = of_owner(a, owner).map_err(|why| {
                let (version, kind) = (text(owner, "/apiVersion"), text(owner, "/kind"));
                let why = format!(
                    "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion \
                     {version} Kind {kind}: {why}"
                );
                a.forbidden(obj, why)
            })?;
            for record in records {
                if let Some(reason) = self.refused(a, &record).await {
                    let why = format!(
                        "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set \
                         finalizers on: {reason}, <nil>"
                    );
                    return Err(a.forbidden(obj, why));
                }
            }
        }
        Ok(())
    }
}

fn owners(obj: &Value) -> &[Value] {
    items(obj, "/metadata/ownerReferences")
}

fn is_blocking(owner: &Value) -> bool {
    owner.get("blockOwnerDeletion").and_then(Value::as_bool) == Some(true)
}

/// Owners that have to wait for the object and had not before.
fn newly_blocking<'a>(obj: &'a Value, old: Option<&'a Value>) -> impl Iterator<Item = &'a Value> {
    let before = old.map(owners).unwrap_or_default();
    let blocked = move |owner: &Value| {
        // Of several references to one owner the last counts.
        let had = before.iter().rev().find(|had| text(had, "/uid") == text(owner, "/uid"));
        had.is_some_and(is_blocking)
    };
    owners(obj)
        .iter()
        .filter(move |owner| is_blocking(owner) && !blocked(owner))
}

/// The right to change finalizers.
fn finalize(group: &str, version: &str, resource: &str, name: &str, namespace: &str) -> RequestInfo {
    RequestInfo {
        verb: "update".to_owned(),
        api_group: group.to_owned(),
        api_version: version.to_owned(),
        resource: resource.to_owned(),
        subresource: "finalizers".to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        is_resource: true,
        ..RequestInfo::default()
    }
}

/// The rights to finalize an owner, of each resource its kind may be.
fn of_owner(a: &Attributes<'_>, owner: &Value) -> Result<Vec<RequestInfo>, String> {
    let (api_version, kind) = (text(owner, "/apiVersion"), text(owner, "/kind"));
    if api_version.matches('/').count() > 1 {
        return Err(format!("unexpected GroupVersion string: {api_version}"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let records: Vec<RequestInfo> = resources::served()
        .filter(|row| row.group == group && row.version == version && row.kind == kind)
        .map(|row| {
            // An owner in a namespace is in that of its dependents.
            let namespace = if row.namespaced { a.namespace() } else { "" };
            finalize(group, version, row.plural, text(owner, "/name"), namespace)
        })
        .collect();
    if records.is_empty() {
        return Err(format!("no matches for kind {kind:?} in version {api_version:?}"));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::objects::memory::MemoryObjects;
    use crate::request::{RequestContext, UserInfo};

    /// Allows what a user's name spells: `<verb> <resource>[/<subresource>]`, separated by commas.
    struct ByName;

    #[async_trait]
    impl authz::Authorizer for ByName {
        async fn authorize(&self, asked: &authz::Attributes<'_>) -> Decision {
            let info = asked.info;
            let mut what = format!("{} {}", info.verb, info.resource);
            if !info.subresource.is_empty() {
                what = format!("{what}/{}", info.subresource);
            }
            if asked.user.name.split(',').any(|allowed| allowed == what) {
                Decision::Allow(String::new())
            } else {
                Decision::NoOpinion("no".to_owned())
            }
        }
    }

    #[tokio::test]
    async fn owners_are_named_by_those_who_may_delete_and_blocked_by_those_who_may_finalize() {
        let plugin = OwnerReferencesPermissionEnforcement::new(&World {
            objects: MemoryObjects::with(&[]),
            authorizer: Union::new(vec![Arc::new(ByName)]),
            rbac: None,
            toleration_seconds: Default::default(),
            configurations: Default::default(),
        });
        let owner = |kind: &str, uid: &str, blocking: Option<bool>| {
            let mut owner = json!({"apiVersion": "v1", "kind": kind, "name": "o", "uid": uid});
            if let Some(blocking) = blocking {
                owner["blockOwnerDeletion"] = json!(blocking);
            }
            owner
        };
        let pod = |owners: &[Value]| json!({"metadata": {"name": "p", "ownerReferences": owners}});
        let plain = owner("ConfigMap", "1", None);
        let blocking = owner("ConfigMap", "1", Some(true));
        let (none, delete, finalize) = ("", "delete pods", "delete pods,update configmaps/finalizers");
        let no_delete = "cannot set an ownerRef on a resource you can't delete: no, <nil>";
        let no_finalize = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set \
            finalizers on: no, <nil>";
        let no_kind = "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion v1 \
            Kind Nothing: no matches for kind \"Nothing\" in version \"v1\"";
        let nothing = owner("Nothing", "2", Some(true));
        let cases = [
            (none, None, vec![], None),
            (none, None, vec![plain.clone()], None),
            (none, None, vec![blocking.clone()], Some(no_finalize)),
            (finalize, None, vec![blocking.clone()], None),
            (none, Some(vec![plain.clone()]), vec![plain.clone()], None),
            (none, Some(vec![plain.clone()]), vec![], Some(no_delete)),
            (delete, Some(vec![plain.clone()]), vec![], None),
            (
                delete,
                Some(vec![plain.clone()]),
                vec![blocking.clone()],
                Some(no_finalize),
            ),
            (
                delete,
                Some(vec![blocking.clone()]),
                vec![blocking.clone(), owner("Pod", "2", None)],
                None,
            ),
            (finalize, Some(vec![]), vec![blocking.clone()], None),
            (finalize, Some(vec![]), vec![nothing.clone()], Some(no_kind)),
            ("update */finalizers", None, vec![nothing], None),
        ];
        for (user, old, new, wanted) in cases {
            let mut ctx = RequestContext::internal_for("create", "", "v1", "pods", "ns", "p");
            ctx.user = UserInfo::new(user, &[]);
            let old = old.map(|old| pod(&old));
            let operation = if old.is_some() {
                Operation::Update
            } else {
                Operation::Create
            };
            let attrs = Attributes {
                ctx: &ctx,
                operation,
                old: old.as_ref(),
            };
            let outcome = plugin.validate(&attrs, &pod(&new)).await;
            let wanted = wanted.map(|why| format!("pods \"p\" is forbidden: {why}"));
            assert_eq!(outcome.err().map(|e| e.message), wanted, "{user} {old:?} {new:?}");
        }
    }
}
