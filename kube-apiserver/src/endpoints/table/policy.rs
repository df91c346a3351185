//! Quotas, budgets, bindings, certificates, classes, flow control, registrations.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cells::{age, human, int, name, or, or_none, scalar};
use super::{Printer, number, text as column, wide};
use crate::objects::{items, text};

pub(super) const RESOURCE_QUOTAS: Printer = Printer {
    columns: &[column("Name"), column("Request"), column("Limit"), column("Age")],
    cells: |o| {
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
                .filter(|(k, _)| k.starts_with("limits") == limits)
                .map(|(k, v)| format!("{k}: {}/{}", or_zero(used(k)), scalar(Some(v))))
                .collect();
            json!(parts.join(", "))
        };
        vec![name(o), list(false), list(true), age(o)]
    },
};

fn or_zero(s: String) -> String {
    if s.is_empty() { "0".to_owned() } else { s }
}

pub(super) const DISRUPTION_BUDGETS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Min Available"),
        column("Max Unavailable"),
        number("Allowed Disruptions"),
        column("Age"),
    ],
    cells: |o| {
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
    },
};

pub(super) const BINDINGS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Role"),
        column("Age"),
        wide("Users"),
        wide("Groups"),
        wide("ServiceAccounts"),
    ],
    cells: |o| {
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
    },
};

pub(super) const SIGNING_REQUESTS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Age"),
        column("SignerName"),
        column("Requestor"),
        column("RequestedDuration"),
        column("Condition"),
    ],
    cells: |o| {
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
        let duration = match int(o, "/spec/expirationSeconds") {
            0 => "<none>".to_owned(),
            s => human(s),
        };
        vec![
            name(o),
            age(o),
            json!(or(o, "/spec/signerName", "<none>")),
            json!(text(o, "/spec/username")),
            json!(duration),
            json!(state),
        ]
    },
};

pub(super) const PRIORITY_CLASSES: Printer = Printer {
    columns: &[
        column("Name"),
        number("Value"),
        column("Global-Default"),
        column("Age"),
        column("PreemptionPolicy"),
    ],
    cells: |o| {
        vec![
            name(o),
            json!(int(o, "/value")),
            json!(
                o.get("globalDefault")
                    .and_then(Value::as_bool)
                    .unwrap_or(false)
                    .to_string()
            ),
            age(o),
            json!(or(o, "/preemptionPolicy", "PreemptLowerPriority")),
        ]
    },
};

pub(super) const RUNTIME_CLASSES: Printer = Printer {
    columns: &[column("Name"), column("Handler"), column("Age")],
    cells: |o| vec![name(o), json!(text(o, "/handler")), age(o)],
};

pub(super) const FLOW_SCHEMAS: Printer = Printer {
    columns: &[
        column("Name"),
        column("PriorityLevel"),
        number("MatchingPrecedence"),
        column("DistinguisherMethod"),
        column("Age"),
        column("MissingPL"),
    ],
    cells: |o| {
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
    },
};

pub(super) const PRIORITY_LEVELS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("NominalConcurrencyShares"),
        column("Queues"),
        column("HandSize"),
        column("QueueLengthLimit"),
        column("Age"),
    ],
    cells: |o| {
        let cell = |p: &str| json!(or_none(scalar(o.pointer(p))));
        let queuing = "/spec/limited/limitResponse/queuing";
        vec![
            name(o),
            json!(text(o, "/spec/type")),
            cell("/spec/limited/nominalConcurrencyShares"),
            cell(&format!("{queuing}/queues")),
            cell(&format!("{queuing}/handSize")),
            cell(&format!("{queuing}/queueLengthLimit")),
            age(o),
        ]
    },
};

pub(super) const WEBHOOKS: Printer = Printer {
    columns: &[column("Name"), number("Webhooks"), column("Age")],
    cells: |o| vec![name(o), json!(items(o, "/webhooks").len()), age(o)],
};

pub(super) const API_SERVICES: Printer = Printer {
    columns: &[column("Name"), column("Service"), column("Available"), column("Age")],
    cells: |o| {
        let service = o
            .pointer("/spec/service")
            .filter(|s| s.is_object())
            .map_or("Local".to_owned(), |s| {
                format!("{}/{}", text(s, "/namespace"), text(s, "/name"))
            });
        let available = items(o, "/status/conditions")
            .iter()
            .find(|c| text(c, "/type") == "Available");
        let available = available.map_or("Unknown".to_owned(), |c| match text(c, "/status") {
            "True" => "True".to_owned(),
            other => format!("{other} ({})", text(c, "/reason")),
        });
        vec![name(o), json!(service), json!(available), age(o)]
    },
};
