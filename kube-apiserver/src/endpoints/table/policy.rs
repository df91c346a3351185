//! Quotas, budgets, bindings, certificates, classes, flow control, registrations.

use std::collections::BTreeMap;

use apimachinery::labels::go_string;
use serde_json::{Value, json};

use super::Cells;
use super::cells::{age, flag, human, int, name, or, scalar};
use crate::objects::{items, text};

pub(super) const RESOURCE_QUOTAS: Cells = |o| {
    // By name, as the map is.
    let hard: BTreeMap<&String, &Value> = o
        .pointer("/status/hard")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .collect();
    let used = |k: &str| scalar(o.pointer("/status/used").and_then(|u| u.get(k)));
    let list = |limits: bool| {
        let parts: Vec<String> = hard
            .iter()
            .filter(|(k, _)| k.starts_with("limits.") == limits)
            .map(|(k, v)| format!("{k}: {}/{}", or_zero(used(k)), scalar(Some(v))))
            .collect();
        json!(parts.join(", "))
    };
    vec![name(o), list(false), list(true), age(o)]
};

fn or_zero(s: String) -> String {
    if s.is_empty() { "0".to_owned() } else { s }
}

pub(super) const DISRUPTION_BUDGETS: Cells = |o| {
    let side = |p: &str| match scalar(o.pointer(p)) {
        s if s.is_empty() => json!("N/A"),
        s => json!(s),
    };
    vec![
        name(o),
        side("/spec/minAvailable"),
        side("/spec/maxUnavailable"),
        json!(int(o, "/status/disruptionsAllowed")),
        age(o),
    ]
};

pub(super) const BINDINGS: Cells = |o| {
    let of = |kind: &str| {
        let names: Vec<String> = items(o, "/subjects")
            .iter()
            .filter(|s| text(s, "/kind") == kind)
            .map(|s| match kind {
                "ServiceAccount" => format!("{}/{}", text(s, "/namespace"), text(s, "/name")),
                _ => text(s, "/name").to_owned(),
            })
            .collect();
        json!(names.join(", "))
    };
    let role = format!("{}/{}", text(o, "/roleRef/kind"), text(o, "/roleRef/name"));
    vec![
        name(o),
        json!(role),
        age(o),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
};

pub(super) const SIGNING_REQUESTS: Cells = |o| {
    let conditions: Vec<&str> = items(o, "/status/conditions")
        .iter()
        .map(|c| text(c, "/type"))
        .collect();
    let mut state = match () {
        () if conditions.contains(&"Denied") => "Denied".to_owned(),
        () if conditions.contains(&"Approved") => "Approved".to_owned(),
        () => "Pending".to_owned(),
    };
    if conditions.contains(&"Failed") {
        state.push_str(",Failed");
    }
    if !text(o, "/status/certificate").is_empty() {
        state.push_str(",Issued");
    }
    let duration = o.pointer("/spec/expirationSeconds").and_then(Value::as_i64);
    let duration = duration.map_or_else(|| "<none>".to_owned(), human);
    vec![
        name(o),
        age(o),
        json!(or(o, "/spec/signerName", "<none>")),
        json!(text(o, "/spec/username")),
        json!(duration),
        json!(state),
    ]
};

pub(super) const PRIORITY_CLASSES: Cells = |o| {
    vec![
        name(o),
        json!(int(o, "/value")),
        flag(o, "/globalDefault", false),
        age(o),
        json!(text(o, "/preemptionPolicy")),
    ]
};

pub(super) const RUNTIME_CLASSES: Cells = |o| vec![name(o), json!(text(o, "/handler")), age(o)];

/// Upstream: kube-aggregator `pkg/registry/apiservice/etcd/etcd.go` `ConvertToTable`.
pub(super) const API_SERVICES: Cells = |o| {
    let service = match o.pointer("/spec/service") {
        Some(service) if !service.is_null() => format!("{}/{}", text(service, "/namespace"), text(service, "/name")),
        _ => "Local".to_owned(),
    };
    let available = items(o, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "Available");
    let status = match available.map(|c| (text(c, "/status"), text(c, "/reason"))) {
        None => "Unknown".to_owned(),
        Some((status @ "True", _) | (status, "")) => status.to_owned(),
        Some((status, reason)) => format!("{status} ({reason})"),
    };
    vec![name(o), json!(service), json!(status), age(o)]
};

pub(super) const FLOW_SCHEMAS: Cells = |o| {
    let dangling = items(o, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "Dangling");
    vec![
        name(o),
        json!(text(o, "/spec/priorityLevelConfiguration/name")),
        json!(int(o, "/spec/matchingPrecedence")),
        json!(or(o, "/spec/distinguisherMethod/type", "<none>")),
        age(o),
        json!(dangling.map_or("?", |c| text(c, "/status"))),
    ]
};

pub(super) const PRIORITY_LEVELS: Cells = |o| {
    let none = || json!("<none>");
    let limited = o.pointer("/spec/limited").filter(|l| l.is_object());
    let queuing = limited
        .and_then(|l| l.pointer("/limitResponse/queuing"))
        .filter(|q| q.is_object());
    let queues = |p: &str| queuing.map_or_else(none, |q| json!(int(q, p)));
    vec![
        name(o),
        json!(text(o, "/spec/type")),
        limited.map_or_else(none, |l| json!(int(l, "/nominalConcurrencyShares"))),
        queues("/queues"),
        queues("/handSize"),
        queues("/queueLengthLimit"),
        age(o),
    ]
};

pub(super) const WEBHOOKS: Cells = |o| vec![name(o), json!(items(o, "/webhooks").len()), age(o)];

pub(super) const VALIDATING_POLICIES: Cells = |o| policy(o, "/spec/validations");
pub(super) const MUTATING_POLICIES: Cells = |o| policy(o, "/spec/mutations");

fn policy(o: &Value, rules: &str) -> Vec<Value> {
    let kind = o.pointer("/spec/paramKind").filter(|k| k.is_object());
    let kind = kind.map_or_else(
        || "<unset>".to_owned(),
        |k| format!("{}/{}", text(k, "/apiVersion"), text(k, "/kind")),
    );
    vec![name(o), json!(items(o, rules).len()), json!(kind), age(o)]
}

/// Bindings of admission policies of both sorts.
pub(super) const POLICY_BINDINGS: Cells = |o| {
    let parameters = match o.pointer("/spec/paramRef") {
        Some(p) if !text(p, "/name").is_empty() => {
            format!("{}/{}", or(p, "/namespace", "*"), text(p, "/name"))
        }
        Some(p) if p["selector"].is_object() => serde_json::from_value(p["selector"].clone())
            .map_or_else(|_| "<unset>".to_owned(), |selector| go_string(&selector)),
        _ => "<unset>".to_owned(),
    };
    vec![name(o), json!(text(o, "/spec/policyName")), json!(parameters), age(o)]
};
