//! Validation of events in both groups (pkg/apis/core/validation/events.go), on core's form: the paths of
//! errors are core's in both.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};

use crate::check::{IMMUTABLE, dns_subdomain, immutable, immutable_part, qualified_name, required, text};
use crate::meta;

/// Longest action, reason and reporting instance, in bytes.
const FIELD_MAX: usize = 128;
/// Longest message, in bytes (`NoteLengthLimit`).
const MESSAGE_MAX: usize = 1024;

/// A new event; `strict` by way of events.k8s.io (`ValidateEventCreate`).
pub fn event_create(obj: &Event, strict: bool) -> ErrorList {
    let mut errs = legacy(obj, strict);
    if !strict {
        return errs;
    }
    errs.extend(meta::create(&obj.metadata, true, meta::name_subdomain));
    series(&mut errs, obj);
    if micro(&obj.event_time).is_none() {
        errs.push(Error::required(&Path::new("eventTime"), ""));
    }
    let type_ = text(&obj.type_);
    if !matches!(type_, "Normal" | "Warning") {
        let rule = format!("has invalid value: {type_}");
        errs.push(Error::invalid(&Path::new("type"), "", rule));
    }
    let source = obj.source.clone().unwrap_or_default();
    for (field, set) in [
        ("firstTimestamp", time(&obj.first_timestamp).is_some()),
        ("lastTimestamp", time(&obj.last_timestamp).is_some()),
        ("count", obj.count.unwrap_or(0) != 0),
        (
            "source",
            !text(&source.component).is_empty() || !text(&source.host).is_empty(),
        ),
    ] {
        if set {
            errs.push(Error::invalid(&Path::new(field), "", "needs to be unset"));
        }
    }
    errs
}

/// A changed event; by way of events.k8s.io only its series and metadata may change
/// (`ValidateEventUpdate`).
pub fn event_update(new: &Event, old: &Event, strict: bool) -> ErrorList {
    let mut errs = legacy(new, strict);
    if !strict {
        return errs;
    }
    errs.extend(meta::update(&new.metadata, &old.metadata));
    if new.series != old.series {
        series(&mut errs, new);
    }
    let errs_of = &mut errs;
    let at = Path::new;
    const REFERENCE: &str = "core.ObjectReference";
    let (about, before) = (&new.involved_object, &old.involved_object);
    immutable_part(errs_of, &at("involvedObject"), REFERENCE, about, before);
    unchanged(errs_of, "reason", &new.reason, &old.reason);
    unchanged(errs_of, "message", &new.message, &old.message);
    let (source, before) = (new.source.as_ref(), old.source.as_ref());
    let (source, before) = (source.cloned().unwrap_or_default(), before.cloned().unwrap_or_default());
    immutable_part(errs_of, &at("source"), "core.EventSource", &source, &before);
    immutable(
        errs_of,
        &at("firstTimestamp"),
        &time(&new.first_timestamp),
        &time(&old.first_timestamp),
    );
    immutable(
        errs_of,
        &at("lastTimestamp"),
        &time(&new.last_timestamp),
        &time(&old.last_timestamp),
    );
    if new.count.unwrap_or(0) != old.count.unwrap_or(0) {
        errs_of.push(Error::invalid(&at("count"), new.count.unwrap_or(0), IMMUTABLE));
    }
    // Twice, as upstream.
    unchanged(errs_of, "reason", &new.reason, &old.reason);
    unchanged(errs_of, "type", &new.type_, &old.type_);
    immutable(
        errs_of,
        &at("eventTime"),
        &micro(&new.event_time),
        &micro(&old.event_time),
    );
    unchanged(errs_of, "action", &new.action, &old.action);
    immutable_part(
        errs_of,
        &at("related"),
        "*core.ObjectReference",
        &new.related,
        &old.related,
    );
    unchanged(
        errs_of,
        "reportingController",
        &new.reporting_component,
        &old.reporting_component,
    );
    unchanged(
        errs_of,
        "reportingInstance",
        &new.reporting_instance,
        &old.reporting_instance,
    );
    errs
}

fn unchanged(errs: &mut ErrorList, field: &str, new: &Option<String>, old: &Option<String>) {
    if text(new) != text(old) {
        errs.push(Error::invalid(&Path::new(field), text(new), IMMUTABLE));
    }
}

/// Zero times are no times.
fn micro(time: &Option<MicroTime>) -> Option<&MicroTime> {
    time.as_ref().filter(|t| t.0.as_nanosecond() > YEAR_ONE)
}

fn time(time: &Option<Time>) -> Option<&Time> {
    time.as_ref().filter(|t| t.0.as_nanosecond() > YEAR_ONE)
}

/// Go's zero time, in nanoseconds since 1970.
const YEAR_ONE: i128 = -62_135_596_800 * 1_000_000_000;

/// `validateV1EventSeries`.
fn series(errs: &mut ErrorList, obj: &Event) {
    let Some(series) = &obj.series else { return };
    if series.count.unwrap_or(0) < 2 {
        errs.push(Error::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    if micro(&series.last_observed_time).is_none() {
        errs.push(Error::required(&Path::new("series.lastObservedTime"), ""));
    }
}

/// `legacyValidateEvent`, which every event passes.
fn legacy(obj: &Event, strict: bool) -> ErrorList {
    let mut errs = ErrorList::new();
    let namespace = text(&obj.metadata.namespace);
    let about = text(&obj.involved_object.namespace);
    let new_style = micro(&obj.event_time).is_some();
    let agrees = match (new_style, about.is_empty()) {
        (false, true) => matches!(namespace, "" | "default"),
        (false, false) => about == namespace,
        (true, true) => matches!(namespace, "default" | "kube-system"),
        (true, false) => true,
    };
    if !agrees {
        let path = Path::new("involvedObject").child("namespace");
        errs.push(Error::invalid(&path, about, "does not match event.namespace"));
    }
    if new_style {
        let path = Path::new(if strict {
            "reportingController"
        } else {
            "reportingComponent"
        });
        let controller = text(&obj.reporting_component);
        required(&mut errs, &path, controller);
        qualified_name(&mut errs, &path, controller);
        for (field, value) in [
            ("reportingInstance", &obj.reporting_instance),
            ("action", &obj.action),
            ("reason", &obj.reason),
        ] {
            let path = Path::new(field);
            required(&mut errs, &path, text(value));
            limited(&mut errs, &path, text(value), FIELD_MAX);
        }
        limited(&mut errs, &Path::new("message"), text(&obj.message), MESSAGE_MAX);
    }
    dns_subdomain(&mut errs, &Path::new("namespace"), namespace);
    errs
}

fn limited(errs: &mut ErrorList, path: &Path, value: &str, max: usize) {
    if value.len() > max {
        errs.push(Error::invalid(path, "", format!("can have at most {max} characters")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cases::{creates, updates};

    fn event() -> Value {
        json!({"metadata": {"name": "e", "namespace": "n", "resourceVersion": "1"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "n"},
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "x.io/c", "reportingInstance": "i",
            "action": "Act", "reason": "Because", "type": "Normal"})
    }

    #[test]
    fn events_of_core_are_checked_loosely() {
        creates(
            &event(),
            |_| {},
            |obj| event_create(obj, false),
            &[
                ("a good event", json!({"/count": 3, "/type": "Odd"}), &[]),
                (
                    "an old event about another namespace",
                    json!({"/eventTime": null, "/involvedObject/namespace": "m"}),
                    &["involvedObject.namespace: Invalid value: \"m\": does not match event.namespace"],
                ),
                (
                    "an event about the cluster in a namespace",
                    json!({"/involvedObject/namespace": null}),
                    &["involvedObject.namespace: Invalid value: \"\": does not match event.namespace"],
                ),
                (
                    "a new event without an actor",
                    json!({"/reportingComponent": "", "/action": "", "/reason": "r".repeat(129), "/message": "m".repeat(1025)}),
                    &[
                        "reportingComponent: Required value",
                        "reportingComponent: Invalid value: \"\": name part must be non-empty",
                        "reportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                        "action: Required value",
                        "reason: Invalid value: \"\": can have at most 128 characters",
                        "message: Invalid value: \"\": can have at most 1024 characters",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn events_of_their_own_group_are_checked_strictly() {
        creates(
            &event(),
            |_| {},
            |obj| event_create(obj, true),
            &[
                ("a good event", json!({}), &[]),
                ("no time", json!({"/eventTime": null}), &["eventTime: Required value"]),
                (
                    "what is deprecated, an unknown type",
                    json!({"/type": "Odd", "/firstTimestamp": "2026-01-01T00:00:00Z", "/lastTimestamp": "2026-01-01T00:00:00Z", "/count": 1, "/source": {"component": "c"}}),
                    &[
                        "type: Invalid value: \"\": has invalid value: Odd",
                        "firstTimestamp: Invalid value: \"\": needs to be unset",
                        "lastTimestamp: Invalid value: \"\": needs to be unset",
                        "count: Invalid value: \"\": needs to be unset",
                        "source: Invalid value: \"\": needs to be unset",
                    ],
                ),
                (
                    "a series of one",
                    json!({"/series": {"count": 1}}),
                    &[
                        "series.count: Invalid value: \"\": should be at least 2",
                        "series.lastObservedTime: Required value",
                    ],
                ),
            ],
        );
        updates(
            &event(),
            |_| {},
            |new, old| event_update(new, old, true),
            &[
                (
                    "its series",
                    json!({"/series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}),
                    &[],
                ),
                (
                    "what it is about, as Go shows it",
                    json!({"/involvedObject/name": "q", "/related": {"kind": "Pod", "name": "<"}, "/firstTimestamp": null}),
                    &[
                        "involvedObject: Invalid value: {\"Kind\":\"Pod\",\"Namespace\":\"n\",\"Name\":\"q\",\"UID\":\"\",\"APIVersion\":\"\",\"ResourceVersion\":\"\",\"FieldPath\":\"\"}: field is immutable",
                        "related: Invalid value: {\"Kind\":\"Pod\",\"Namespace\":\"\",\"Name\":\"\\u003c\",\"UID\":\"\",\"APIVersion\":\"\",\"ResourceVersion\":\"\",\"FieldPath\":\"\"}: field is immutable",
                    ],
                ),
                (
                    "its reason and type",
                    json!({"/reason": "Other", "/type": "Warning"}),
                    &[
                        "reason: Invalid value: \"Other\": field is immutable",
                        "reason: Invalid value: \"Other\": field is immutable",
                        "type: Invalid value: \"Warning\": field is immutable",
                    ],
                ),
            ],
        );
    }
}
