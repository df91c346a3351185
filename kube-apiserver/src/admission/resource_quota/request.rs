//! What a write would take, and which quotas look at it: the evaluators of `rules::quota`, bound to one write.

use apimachinery::status::ApiError;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ScopedResourceSelectorRequirement, Service};
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim};
use k8s_openapi::jiff::Timestamp;
use rules::quota::resource_claims::Classes;
use rules::quota::{claims, count_name, number, old_name, pods, resource_claims, scopes, services};
use rules::resources::ResourceList;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::{Attributes, Operation};
use super::limited::{Demands, Limited};
use crate::objects::{Objects, find};

/// Whether such a write may take anything (the evaluators' `Handles`). Cheap: every write comes here.
pub(super) fn may_charge(a: &Attributes<'_>, obj: &Value) -> bool {
    let i = &a.ctx.info;
    let creates = a.operation == Operation::Create;
    match (i.api_group.as_str(), i.resource.as_str(), i.subresource.as_str()) {
        // An update may move a pod into another scope.
        ("", "pods", "") => creates || a.old.is_some_and(|old| has_deadline(old) != has_deadline(obj)),
        ("", "pods", "resize") => !creates,
        ("", "services" | "persistentvolumeclaims", "") | ("resource.k8s.io", "resourceclaims", "") => true,
        ("", "persistentvolumeclaims", "status") => true,
        (_, _, "") => creates,
        _ => false,
    }
}

/// [`pods::is_terminating`] of an object that is not parsed.
fn has_deadline(pod: &Value) -> bool {
    let seconds = pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
    seconds.is_some_and(|seconds| seconds >= 0)
}

/// An object as quotas see it.
pub(super) enum Subject {
    Pod(Box<Pod>),
    Service(Box<Service>),
    Claim(Box<PersistentVolumeClaim>),
    ResourceClaim {
        claim: Box<ResourceClaim>,
        classes: Classes,
        /// What the pod it was made for has been charged for.
        charged: ResourceList,
    },
    /// Only its number counts, under these names.
    Counted(Vec<String>),
}

impl Subject {
    async fn new(a: &Attributes<'_>, obj: &Value, objects: &dyn Objects) -> Result<Self, ApiError> {
        let i = &a.ctx.info;
        Ok(match (i.api_group.as_str(), i.resource.as_str()) {
            ("", "pods") => Subject::Pod(parsed(obj)?),
            ("", "services") => Subject::Service(parsed(obj)?),
            ("", "persistentvolumeclaims") => Subject::Claim(parsed(obj)?),
            ("resource.k8s.io", "resourceclaims") => {
                let claim: Box<ResourceClaim> = parsed(obj)?;
                let classes = list::<DeviceClass>(objects, "deviceclasses", "").await?;
                Subject::ResourceClaim {
                    classes: Classes::new(classes.iter()),
                    charged: charged(&claim, &i.namespace, objects).await?,
                    claim,
                }
            }
            (group, resource) => {
                let old = old_name(group, resource).map(str::to_owned);
                Subject::Counted(old.into_iter().chain([count_name(group, resource)]).collect())
            }
        })
    }

    /// Whether a quota's resource is one that such objects use (`MatchingResources`).
    pub(super) fn uses(&self, name: &str) -> bool {
        match self {
            Subject::Pod(_) => pods::uses(name),
            Subject::Service(_) => services::uses(name),
            Subject::Claim(_) => claims::uses(name),
            Subject::ResourceClaim { classes, .. } => resource_claims::uses(name, classes),
            Subject::Counted(names) => names.iter().any(|own| own == name),
        }
    }

    /// Whether all scopes look at it.
    pub(super) fn is_in(&self, all: &[ScopedResourceSelectorRequirement]) -> bool {
        match self {
            Subject::Pod(pod) => scopes::include_pod(all, pod),
            Subject::Claim(claim) => scopes::include_claim(all, claim),
            _ => all.is_empty(),
        }
    }

    /// Whether one scope looks at it (`MatchingScopes`).
    pub(super) fn is_scoped(&self, scope: &ScopedResourceSelectorRequirement) -> bool {
        self.is_in(std::slice::from_ref(scope))
    }

    /// What it leaves out although a quota limits it (`Constraints`).
    pub(super) fn missing<'a>(&self, limited: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
        match self {
            Subject::Pod(pod) => pods::missing(pod, limited),
            _ => None,
        }
    }

    fn usage(&self, now: Timestamp) -> ResourceList {
        match self {
            Subject::Pod(pod) => pods::usage(pod, now),
            Subject::Service(service) => services::usage(service),
            Subject::Claim(claim) => claims::usage(claim),
            Subject::ResourceClaim {
                claim,
                classes,
                charged,
            } => resource_claims::usage(claim, classes, charged),
            Subject::Counted(names) => names.iter().map(|name| (name.clone(), number(1))).collect(),
        }
    }
}

/// A write that takes something.
pub(super) struct Request {
    /// The new object.
    pub(super) subject: Subject,
    /// What it uses.
    pub(super) usage: ResourceList,
    /// What it replaces, and what that used.
    pub(super) old: Option<(Subject, ResourceList)>,
    /// What needs a quota.
    pub(super) demands: Demands,
    /// It reports what is so already: that is counted, not refused.
    pub(super) is_status: bool,
    /// Nothing is written.
    pub(super) dry_run: bool,
}

impl Request {
    pub(super) async fn new(
        a: &Attributes<'_>,
        obj: &Value,
        objects: &dyn Objects,
        rules: &[Limited],
    ) -> Result<Self, ApiError> {
        let now = Timestamp::now();
        let subject = Subject::new(a, obj, objects).await?;
        let old = match a.old.filter(|_| a.operation == Operation::Update) {
            Some(old) => {
                let old = Subject::new(a, old, objects).await?;
                let used = old.usage(now);
                Some((old, used))
            }
            None => None,
        };
        let usage = subject.usage(now);
        let i = &a.ctx.info;
        Ok(Request {
            demands: Demands::new(rules, &i.api_group, &i.resource, &subject, &usage),
            usage,
            subject,
            old,
            is_status: a.ctx.info.subresource == "status",
            dry_run: a.ctx.dry_run,
        })
    }
}

fn parsed<T: DeserializeOwned>(obj: &Value) -> Result<T, ApiError> {
    serde_json::from_value(obj.clone()).map_err(ApiError::internal)
}

async fn list<T: DeserializeOwned>(objects: &dyn Objects, resource: &str, namespace: &str) -> Result<Vec<T>, ApiError> {
    let all = objects.list("resource.k8s.io", resource, namespace).await?;
    all.iter().map(|one| parsed(one)).collect()
}

/// What the pod for which the scheduler made this claim has been charged for.
async fn charged(claim: &ResourceClaim, namespace: &str, objects: &dyn Objects) -> Result<ResourceList, ApiError> {
    let Some((pod, _)) = resource_claims::pod_of(claim) else {
        return Ok(ResourceList::new());
    };
    let Some(pod) = find(objects, "", "pods", namespace, pod).await? else {
        return Ok(ResourceList::new());
    };
    let claims = list::<ResourceClaim>(objects, "resourceclaims", namespace).await?;
    Ok(resource_claims::charged(
        claim,
        &parsed(&pod)?,
        claims.iter(),
        Timestamp::now(),
    ))
}
