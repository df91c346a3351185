//! What an autoscaler measures.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::is_path_segment_name;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget, ObjectMetricSource,
};

use super::{Versions, reference};
use crate::check::{dns_label, invalid_each, list, quantity};
use crate::core::v1::validation::container_resource_name;

const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

/// `validateMetrics`.
pub(super) fn metrics(errs: &mut ErrorList, spec: &HorizontalPodAutoscalerSpec, path: &Path, versions: Versions) {
    let all = list(&spec.metrics);
    for (index, metric) in all.iter().enumerate() {
        metric_spec(errs, metric, &path.index(index), versions);
    }
    let outside = all.iter().any(|m| matches!(m.type_.as_str(), "Object" | "External"));
    if spec.min_replicas == Some(0) && !outside {
        let rule = "must specify at least one Object or External metric to support scaling to zero replicas";
        errs.push(Error::forbidden(path, rule));
    }
}

/// `validateMetricSpec`: one source, the one the type names.
fn metric_spec(errs: &mut ErrorList, m: &MetricSpec, path: &Path, versions: Versions) {
    let kind = m.type_.as_str();
    let at = path.child("type");
    required_type(errs, kind, &at);
    let sources = [
        ("object", "Object", m.object.is_some()),
        ("external", "External", m.external.is_some()),
        ("pods", "Pods", m.pods.is_some()),
        ("resource", "Resource", m.resource.is_some()),
        ("containerResource", "ContainerResource", m.container_resource.is_some()),
    ];
    let given: Vec<&str> = sources
        .iter()
        .filter(|(_, _, set)| *set)
        .map(|(field, _, _)| *field)
        .collect();
    if let Some(first) = given.first() {
        source(errs, m, first, &path.child(first), versions);
    }
    match sources.iter().find(|(_, name, _)| *name == kind) {
        None => errs.push(Error::not_supported(&at, BadValue::named(kind), &TYPES)),
        Some((field, _, false)) => {
            let rule = "must populate information for the given metric source";
            errs.push(Error::required(&path.child(field), rule));
        }
        Some(_) => {}
    }
    if given.len() > 1 {
        let expected = sources
            .iter()
            .find(|(_, name, _)| *name == kind)
            .map(|(field, _, _)| *field);
        for field in given.iter().filter(|field| Some(**field) != expected) {
            let rule = "must populate the given metric source only";
            errs.push(Error::forbidden(&path.child(field), rule));
        }
    }
}

fn required_type(errs: &mut ErrorList, kind: &str, path: &Path) {
    if kind.is_empty() {
        errs.push(Error::required(path, "must specify a metric source type"));
    }
    if !TYPES.contains(&kind) {
        errs.push(Error::not_supported(path, BadValue::named(kind), &TYPES));
    }
}

fn source(errs: &mut ErrorList, m: &MetricSpec, first: &str, path: &Path, versions: Versions) {
    let at = path.child("target");
    match first {
        "object" => m.object.iter().for_each(|o| object(errs, o, path, versions)),
        "external" => m.external.iter().for_each(|e| {
            identifier(errs, &e.metric, path);
            target(errs, &e.target, &at);
            match (&e.target.value, &e.target.average_value) {
                (None, None) => {
                    let rule = "must set either a target value for metric or a per-pod target";
                    errs.push(Error::required(&at.child("averageValue"), rule));
                }
                (Some(_), Some(_)) => {
                    let rule = "may not set both a target value for metric and a per-pod target";
                    errs.push(Error::forbidden(&at.child("value"), rule));
                }
                _ => {}
            }
        }),
        "pods" => m.pods.iter().for_each(|p| {
            identifier(errs, &p.metric, path);
            target(errs, &p.target, &at);
            if p.target.average_value.is_none() {
                let rule = "must specify a positive target averageValue";
                errs.push(Error::required(&at.child("averageValue"), rule));
            }
        }),
        "resource" => m.resource.iter().for_each(|r| {
            named(errs, &r.name, path);
            utilization(errs, &r.target, &at);
        }),
        _ => m.container_resource.iter().for_each(|r| {
            named(errs, &r.name, path);
            if !r.name.is_empty() {
                container_resource_name(errs, &r.name, &path.child("name"));
            }
            if r.container.is_empty() {
                errs.push(Error::required(&path.child("container"), "must specify a container"));
            } else {
                dns_label(errs, &path.child("container"), &r.container);
            }
            utilization(errs, &r.target, &at);
        }),
    }
}

fn named(errs: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errs.push(Error::required(&path.child("name"), "must specify a resource name"));
    }
}

/// `validateObjectSource`.
fn object(errs: &mut ErrorList, o: &ObjectMetricSource, path: &Path, versions: Versions) {
    reference(errs, &o.described_object, &path.child("describedObject"), versions);
    identifier(errs, &o.metric, path);
    let at = path.child("target");
    target(errs, &o.target, &at);
    if o.target.value.is_none() && o.target.average_value.is_none() {
        let rule = "must set either a target value or averageValue";
        errs.push(Error::required(&at.child("averageValue"), rule));
    }
}

/// Of resources: a share or an amount, not both.
fn utilization(errs: &mut ErrorList, t: &MetricTarget, path: &Path) {
    target(errs, t, path);
    match (t.average_utilization, &t.average_value) {
        (None, None) => {
            let rule = "must set either a target raw value or a target utilization";
            errs.push(Error::required(&path.child("averageUtilization"), rule));
        }
        (Some(_), Some(_)) => {
            let rule = "may not set both a target raw value and a target utilization";
            errs.push(Error::forbidden(&path.child("averageValue"), rule));
        }
        _ => {}
    }
}

/// `validateMetricTarget`.
fn target(errs: &mut ErrorList, t: &MetricTarget, path: &Path) {
    let at = path.child("type");
    if t.type_.is_empty() {
        errs.push(Error::required(&at, "must specify a metric target type"));
    }
    if !matches!(t.type_.as_str(), "Utilization" | "Value" | "AverageValue") {
        let rule = "must be either Utilization, Value, or AverageValue";
        errs.push(Error::invalid(&at, BadValue::named(&t.type_), rule));
    }
    for (field, value) in [("value", &t.value), ("averageValue", &t.average_value)] {
        if let Some(value) = value.as_ref().map(quantity).filter(|v| v.sign() <= 0) {
            errs.push(Error::invalid(
                &path.child(field),
                value.to_string(),
                "must be positive",
            ));
        }
    }
    if let Some(percent) = t.average_utilization.filter(|p| *p < 1) {
        let rule = "must be greater than 0";
        errs.push(Error::invalid(&path.child("averageUtilization"), percent, rule));
    }
}

/// `validateMetricIdentifier`.
fn identifier(errs: &mut ErrorList, id: &MetricIdentifier, path: &Path) {
    let path = path.child("metric").child("name");
    if id.name.is_empty() {
        errs.push(Error::required(&path, "must specify a metric name"));
    } else {
        invalid_each(errs, &path, &id.name, is_path_segment_name(&id.name));
    }
}
