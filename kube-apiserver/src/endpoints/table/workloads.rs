//! Deployments and their kin, jobs, autoscalers.

use serde_json::{Value, json};

use super::Cells;
use super::cells::{age, containers, human, int, labels, name, or, requirements, scalar, selector, since};
use crate::objects::{items, text};

pub(super) const DEPLOYMENTS: Cells = |o| {
    let [c, i] = template(o);
    vec![
        name(o),
        json!(format!(
            "{}/{}",
            int(o, "/status/readyReplicas"),
            int(o, "/spec/replicas")
        )),
        json!(int(o, "/status/updatedReplicas")),
        json!(int(o, "/status/availableReplicas")),
        age(o),
        c,
        i,
        json!(requirements(o.pointer("/spec/selector"))),
    ]
};

pub(super) const REPLICA_SETS: Cells = |o| replicas(o, selector(o.pointer("/spec/selector")));

pub(super) const REPLICATION_CONTROLLERS: Cells = |o| replicas(o, labels(o.pointer("/spec/selector")));

fn replicas(o: &Value, selector: String) -> Vec<Value> {
    let [c, i] = template(o);
    vec![
        name(o),
        json!(int(o, "/spec/replicas")),
        json!(int(o, "/status/replicas")),
        json!(int(o, "/status/readyReplicas")),
        age(o),
        c,
        i,
        json!(selector),
    ]
}

pub(super) const DAEMON_SETS: Cells = |o| {
    let [c, i] = template(o);
    vec![
        name(o),
        json!(int(o, "/status/desiredNumberScheduled")),
        json!(int(o, "/status/currentNumberScheduled")),
        json!(int(o, "/status/numberReady")),
        json!(int(o, "/status/updatedNumberScheduled")),
        json!(int(o, "/status/numberAvailable")),
        json!(labels(o.pointer("/spec/template/spec/nodeSelector"))),
        age(o),
        c,
        i,
        json!(selector(o.pointer("/spec/selector"))),
    ]
};

pub(super) const STATEFUL_SETS: Cells = |o| {
    let [c, i] = template(o);
    let ready = format!("{}/{}", int(o, "/status/readyReplicas"), int(o, "/spec/replicas"));
    vec![name(o), json!(ready), age(o), c, i]
};

pub(super) const CONTROLLER_REVISIONS: Cells = |o| {
    let owner = items(o, "/metadata/ownerReferences")
        .iter()
        .find(|r| r["controller"].as_bool() == Some(true));
    let controller = owner.map_or_else(
        || "<none>".to_owned(),
        |r| {
            let group = text(r, "/apiVersion").split_once('/').map_or("", |(g, _)| g);
            let kind = text(r, "/kind").to_lowercase();
            let kind = if group.is_empty() {
                kind
            } else {
                format!("{kind}.{group}")
            };
            format!("{kind}/{}", text(r, "/name"))
        },
    );
    vec![name(o), json!(controller), json!(int(o, "/revision")), age(o)]
};

pub(super) const POD_TEMPLATES: Cells = |o| {
    let [c, i] = containers(o.pointer("/template/spec").unwrap_or(&Value::Null));
    vec![name(o), c, i, json!(labels(o.pointer("/template/metadata/labels")))]
};

pub(super) const JOBS: Cells = |o| {
    let [c, i] = template(o);
    let done = int(o, "/status/succeeded");
    let completions = match (
        o.pointer("/spec/completions").and_then(Value::as_i64),
        int(o, "/spec/parallelism"),
    ) {
        (Some(n), _) => format!("{done}/{n}"),
        (None, p) if p > 1 => format!("{done}/1 of {p}"),
        _ => format!("{done}/1"),
    };
    let seconds = |p: &str| text(o, p).parse::<jiff::Timestamp>().ok().map(|t| t.as_second());
    let duration = match (seconds("/status/startTime"), seconds("/status/completionTime")) {
        (None, _) => String::new(),
        (Some(a), Some(b)) => human(b - a),
        (Some(_), None) => since(text(o, "/status/startTime")),
    };
    vec![
        name(o),
        json!(job_status(o)),
        json!(completions),
        json!(duration),
        age(o),
        c,
        i,
        json!(selector(o.pointer("/spec/selector"))),
    ]
};

fn job_status(o: &Value) -> &'static str {
    let is = |kind: &str| {
        items(o, "/status/conditions")
            .iter()
            .any(|c| text(c, "/type") == kind && text(c, "/status") == "True")
    };
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !text(o, "/metadata/deletionTimestamp").is_empty() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

pub(super) const CRON_JOBS: Cells = |o| {
    let [c, i] = containers(
        o.pointer("/spec/jobTemplate/spec/template/spec")
            .unwrap_or(&Value::Null),
    );
    let last = text(o, "/status/lastScheduleTime");
    vec![
        name(o),
        json!(text(o, "/spec/schedule")),
        json!(or(o, "/spec/timeZone", "<none>")),
        json!(match o.pointer("/spec/suspend").and_then(Value::as_bool) {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        }),
        json!(items(o, "/status/active").len()),
        json!(if last.is_empty() {
            "<none>".to_owned()
        } else {
            since(last)
        }),
        age(o),
        c,
        i,
        json!(selector(o.pointer("/spec/jobTemplate/spec/selector"))),
    ]
};

pub(super) const AUTOSCALERS: Cells = |o| {
    let min = scalar(o.pointer("/spec/minReplicas"));
    let reference = format!(
        "{}/{}",
        text(o, "/spec/scaleTargetRef/kind"),
        text(o, "/spec/scaleTargetRef/name")
    );
    vec![
        name(o),
        json!(reference),
        json!(super::metrics::targets(o)),
        json!(if min.is_empty() { "<unset>".to_owned() } else { min }),
        json!(int(o, "/spec/maxReplicas")),
        json!(int(o, "/status/currentReplicas")),
        age(o),
    ]
};

fn template(o: &Value) -> [Value; 2] {
    containers(o.pointer("/spec/template/spec").unwrap_or(&Value::Null))
}

/// The `scale` subresource, whatever it is of.
pub(super) const SCALES: Cells = |o| {
    vec![
        name(o),
        json!(int(o, "/spec/replicas")),
        json!(int(o, "/status/replicas")),
        age(o),
    ]
};
