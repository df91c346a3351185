//! LimitRanger: defaults and bounds for what containers, pods and claims may ask for.
//!
//! Upstream: `plugin/pkg/admission/limitranger/admission.go`. Ratios and all types of limits are
//! checked; the annotation `kubernetes.io/limit-ranger` says what was defaulted.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::quantity::Quantity;
use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, items, text};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// The plugin.
pub(crate) struct LimitRanger {
    objects: Arc<dyn Objects>,
}

impl LimitRanger {
    /// Looks LimitRanges up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        LimitRanger {
            objects: world.objects.clone(),
        }
    }

    /// All `spec.limits` of the namespace.
    async fn limits(&self, namespace: &str) -> Result<Vec<Value>, ApiError> {
        let ranges = self.objects.list("", "limitranges", namespace).await?;
        Ok(ranges.iter().flat_map(|r| items(r, "/spec/limits").to_vec()).collect())
    }
}

#[async_trait]
impl Plugin for LimitRanger {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    async fn admit(&self, a: &Attributes<'_>, pod: &mut Value) -> Result<(), ApiError> {
        if a.operation != Operation::Create || !a.is("", "pods", "") {
            return Ok(());
        }
        let limits = self.limits(a.namespace()).await?;
        let notes = default_pod(pod, &limits);
        if !notes.is_empty() {
            pod["metadata"]["annotations"][ANNOTATION] = json!(format!("LimitRanger plugin set: {}", notes.join("; ")));
        }
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>, obj: &Value) -> Result<(), ApiError> {
        let errors = if a.is("", "pods", "") && a.operation == Operation::Create {
            check_pod(obj, &self.limits(a.namespace()).await?)
        } else if a.is("", "persistentvolumeclaims", "") {
            check_claim(obj, &self.limits(a.namespace()).await?)
        } else {
            return Ok(());
        };
        match errors.as_slice() {
            [] => Ok(()),
            [one] => Err(a.forbidden(obj, one)),
            many => Err(a.forbidden(obj, format!("[{}]", many.join(", ")))),
        }
    }
}

/// Sets default requests and limits of containers; says what it set.
fn default_pod(pod: &mut Value, limits: &[Value]) -> Vec<String> {
    let mut notes = Vec::new();
    for list in ["containers", "initContainers"] {
        let label = if list == "containers" {
            "container"
        } else {
            "init container"
        };
        for c in pod["spec"]
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let name = text(c, "/name").to_owned();
            for (field, source, word) in [
                ("limits", "default", "limit"),
                ("requests", "defaultRequest", "request"),
            ] {
                let mut set = Vec::new();
                for limit in limits.iter().filter(|l| text(l, "/type") == "Container") {
                    for (resource, q) in limit.get(source).and_then(Value::as_object).into_iter().flatten() {
                        if c["resources"][field].get(resource).is_none() {
                            // An explicit limit is the request when none is given, before the default.
                            let explicit = (field == "requests")
                                .then(|| c["resources"]["limits"].get(resource).cloned())
                                .flatten();
                            let had_limit =
                                explicit.is_some() && limit.get("default").and_then(|d| d.get(resource)).is_none();
                            c["resources"][field][resource] = if had_limit {
                                explicit.unwrap_or_default()
                            } else {
                                q.clone()
                            };
                            set.push(resource.clone());
                        }
                    }
                }
                if !set.is_empty() {
                    set.sort();
                    notes.push(format!("{} {word} for {label} {name}", set.join(", ")));
                }
            }
        }
    }
    notes
}

type Amounts = BTreeMap<String, Quantity>;

fn amounts(v: Option<&Value>) -> Amounts {
    let map: Option<&Map<String, Value>> = v.and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(k, q)| Some((k.clone(), q.as_str()?.parse().ok()?)))
        .collect()
}

fn sum(into: &mut Amounts, more: &Amounts) {
    for (k, q) in more {
        let total = into.get(k).map_or(*q, |have| have.add(*q));
        into.insert(k.clone(), total);
    }
}

fn check_pod(pod: &Value, limits: &[Value]) -> Vec<String> {
    let mut errors = Vec::new();
    let mut total = (Amounts::new(), Amounts::new());
    for list in ["/spec/containers", "/spec/initContainers"] {
        for c in items(pod, list) {
            let requests = amounts(c.pointer("/resources/requests"));
            let maxima = amounts(c.pointer("/resources/limits"));
            for l in limits.iter().filter(|l| text(l, "/type") == "Container") {
                check(l, "Container", &requests, &maxima, &mut errors);
            }
            if list == "/spec/containers" || text(c, "/restartPolicy") == "Always" {
                sum(&mut total.0, &requests);
                sum(&mut total.1, &maxima);
            } else {
                for (have, more) in [(&mut total.0, &requests), (&mut total.1, &maxima)] {
                    for (k, q) in more {
                        if have.get(k).is_none_or(|h| h < q) {
                            have.insert(k.clone(), *q);
                        }
                    }
                }
            }
        }
    }
    for l in limits.iter().filter(|l| text(l, "/type") == "Pod") {
        check(l, "Pod", &total.0, &total.1, &mut errors);
    }
    errors
}

fn check_claim(claim: &Value, limits: &[Value]) -> Vec<String> {
    let mut errors = Vec::new();
    let requests = amounts(claim.pointer("/spec/resources/requests"));
    for l in limits.iter().filter(|l| text(l, "/type") == "PersistentVolumeClaim") {
        for (resource, min) in amounts(l.get("min")) {
            bound(
                "minimum",
                "PersistentVolumeClaim",
                &resource,
                &min,
                requests.get(&resource),
                true,
                false,
                &mut errors,
            );
        }
        for (resource, max) in amounts(l.get("max")) {
            bound(
                "maximum",
                "PersistentVolumeClaim",
                &resource,
                &max,
                requests.get(&resource),
                false,
                false,
                &mut errors,
            );
        }
    }
    errors
}

/// One `spec.limits` item against what is asked for.
fn check(limit: &Value, kind: &str, requests: &Amounts, maxima: &Amounts, errors: &mut Vec<String>) {
    for (resource, min) in amounts(limit.get("min")) {
        bound(
            "minimum",
            kind,
            &resource,
            &min,
            requests.get(&resource),
            true,
            false,
            errors,
        );
        if let Some(l) = maxima.get(&resource) {
            bound("minimum", kind, &resource, &min, Some(l), true, true, errors);
        }
    }
    for (resource, max) in amounts(limit.get("max")) {
        bound(
            "maximum",
            kind,
            &resource,
            &max,
            maxima.get(&resource),
            false,
            true,
            errors,
        );
        if let Some(r) = requests.get(&resource).filter(|r| **r > max) {
            bound("maximum", kind, &resource, &max, Some(r), false, false, errors);
        }
    }
    for (resource, ratio) in amounts(limit.get("maxLimitRequestRatio")) {
        match (requests.get(&resource), maxima.get(&resource)) {
            (Some(r), Some(l)) if r.sign() > 0 => {
                let actual = l.as_f64() / r.as_f64();
                if actual > ratio.as_f64() {
                    errors.push(format!(
                        "{resource} max limit to request ratio per {kind} is {ratio}, but provided ratio is {actual:.6}"
                    ));
                }
            }
            _ => errors.push(format!(
                "{resource} max limit to request ratio per {kind} is {ratio}, but no request is specified or request is 0."
            )),
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn bound(
    word: &str,
    kind: &str,
    resource: &str,
    edge: &Quantity,
    given: Option<&Quantity>,
    lower: bool,
    limit: bool,
    errors: &mut Vec<String>,
) {
    let what = if limit { "limit" } else { "request" };
    match given {
        None => errors.push(format!(
            "{word} {resource} usage per {kind} is {edge}. No {what} is specified"
        )),
        Some(g) if (lower && g < edge) || (!lower && g > edge) => {
            errors.push(format!(
                "{word} {resource} usage per {kind} is {edge}, but {what} is {g}"
            ));
        }
        _ => {}
    }
}
