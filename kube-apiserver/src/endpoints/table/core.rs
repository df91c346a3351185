//! Nodes, events, namespaces, configuration, leases.

use serde_json::{Value, json};

use super::Cells;
use super::cells::{age, int, name, or, since};
use crate::objects::{items, text};

pub(super) const NODES: Cells = |o| {
    let address = |kind: &str| {
        let found = items(o, "/status/addresses").iter().find(|a| text(a, "/type") == kind);
        json!(found.map_or("<none>", |a| text(a, "/address")))
    };
    vec![
        name(o),
        json!(node_status(o)),
        json!(roles(o)),
        age(o),
        json!(text(o, "/status/nodeInfo/kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        json!(or(o, "/status/nodeInfo/osImage", "<unknown>")),
        json!(kernel(o)),
        json!(or(o, "/status/nodeInfo/containerRuntimeVersion", "<unknown>")),
    ]
};

fn kernel(o: &Value) -> String {
    let version = or(o, "/status/nodeInfo/kernelVersion", "<unknown>");
    match text(o, "/status/nodeInfo/architecture") {
        "" => version.to_owned(),
        architecture => format!("{version} ({architecture})"),
    }
}

fn node_status(o: &Value) -> String {
    let ready = items(o, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "Ready");
    let mut words = vec![match ready.map(|c| text(c, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if o.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true) {
        words.push("SchedulingDisabled");
    }
    words.join(",")
}

fn roles(o: &Value) -> String {
    let labels = o.pointer("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| match k.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role),
            _ if k == "kubernetes.io/role" => v.as_str().filter(|v| !v.is_empty()),
            _ => None,
        })
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

pub(super) const EVENTS: Cells = event;

/// Core and `events.k8s.io` events: the fields of the latter are renamed.
fn event(o: &Value) -> Vec<Value> {
    let pick = |pointers: &[&str]| {
        pointers
            .iter()
            .map(|p| text(o, p))
            .find(|t| !t.is_empty())
            .unwrap_or("")
    };
    let first = pick(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]);
    let series = text(o, "/series/lastObservedTime");
    let last = if series.is_empty() {
        pick(&["/lastTimestamp", "/deprecatedLastTimestamp"])
    } else {
        series
    };
    let last = if last.is_empty() { first } else { last };
    let count = if o.get("series").is_some_and(Value::is_object) {
        int(o, "/series/count")
    } else {
        (int(o, "/count") + int(o, "/deprecatedCount")).max(1)
    };
    let object = o
        .get("involvedObject")
        .or_else(|| o.get("regarding"))
        .unwrap_or(&Value::Null);
    let target = match text(object, "/name") {
        "" => text(object, "/kind").to_lowercase(),
        n => format!("{}/{n}", text(object, "/kind").to_lowercase()),
    };
    let component = pick(&[
        "/source/component",
        "/deprecatedSource/component",
        "/reportingComponent",
        "/reportingController",
    ]);
    let host = pick(&["/source/host", "/deprecatedSource/host", "/reportingInstance"]);
    let source = match host {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    vec![
        json!(since(last)),
        json!(text(o, "/type")),
        json!(text(o, "/reason")),
        json!(target),
        json!(text(object, "/fieldPath")),
        json!(source),
        json!(pick(&["/message", "/note"]).trim()),
        json!(since(first)),
        json!(count),
        name(o),
    ]
}

pub(super) const NAMESPACES: Cells = |o| vec![name(o), json!(text(o, "/status/phase")), age(o)];

pub(super) const SECRETS: Cells = |o| vec![name(o), json!(text(o, "/type")), json!(len(o, "/data")), age(o)];

pub(super) const CONFIG_MAPS: Cells = |o| vec![name(o), json!(len(o, "/data") + len(o, "/binaryData")), age(o)];

fn len(o: &Value, pointer: &str) -> usize {
    o.pointer(pointer)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}

pub(super) const COMPONENT_STATUSES: Cells = |o| {
    let healthy = items(o, "/conditions").iter().find(|c| text(c, "/type") == "Healthy");
    let status = match healthy.map(|c| text(c, "/status")) {
        Some("True") => "Healthy",
        Some(_) => "Unhealthy",
        None => "Unknown",
    };
    let field = |p: &str| json!(healthy.map_or("", |c| text(c, p)));
    vec![name(o), json!(status), field("/message"), field("/error")]
};

pub(super) const LEASES: Cells = |o| vec![name(o), json!(text(o, "/spec/holderIdentity")), age(o)];
