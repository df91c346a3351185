//! What an autoscaler wants and has.

use serde_json::Value;

use super::cells::scalar;
use crate::objects::{items, text};

/// `have/want` of every metric, two at most (upstream `formatHPAMetrics`).
pub(super) fn targets(o: &Value) -> String {
    const MAX: usize = 2;
    let specs = items(o, "/spec/metrics");
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let current = items(o, "/status/currentMetrics");
    let mut list: Vec<String> = specs.iter().zip(0..).map(|(m, i)| metric(m, current.get(i))).collect();
    if list.len() <= MAX {
        return list.join(", ");
    }
    let more = list.len() - MAX;
    list.truncate(MAX);
    format!("{} + {more} more...", list.join(", "))
}

fn metric(spec: &Value, current: Option<&Value>) -> String {
    let source = match text(spec, "/type") {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let spec = &spec[source];
    let have = current.map(|c| &c[source]).filter(|c| c.is_object());
    let unknown = || "<unknown>".to_owned();
    let average = spec.pointer("/target/averageValue").is_some();
    match source {
        "resource" | "containerResource" => {
            let (have, want) = if average {
                let have = have.map(|h| amount(h, "/current/averageValue"));
                (have.unwrap_or_else(unknown), amount(spec, "/target/averageValue"))
            } else {
                let percent = |v: &Value, p: &str| v.pointer(p).and_then(Value::as_i64).map(|n| format!("{n}%"));
                let have = have.and_then(|h| percent(h, "/current/averageUtilization"));
                let want = percent(spec, "/target/averageUtilization");
                (
                    have.unwrap_or_else(unknown),
                    want.unwrap_or_else(|| "<auto>".to_owned()),
                )
            };
            format!("{}: {have}/{want}", text(spec, "/name"))
        }
        "pods" => {
            let have = have.map(|h| amount(h, "/current/averageValue"));
            let have = have.unwrap_or_else(unknown);
            format!("{have}/{}", amount(spec, "/target/averageValue"))
        }
        _ if average => {
            let have = have.filter(|h| h.pointer("/current/averageValue").is_some());
            let have = have.map(|h| amount(h, "/current/averageValue"));
            let have = have.unwrap_or_else(unknown);
            format!("{have}/{} (avg)", amount(spec, "/target/averageValue"))
        }
        _ => {
            let have = have.map(|h| amount(h, "/current/value"));
            let have = have.unwrap_or_else(unknown);
            format!("{have}/{}", amount(spec, "/target/value"))
        }
    }
}

/// A quantity by pointer; Go prints the pointer to an absent one so.
fn amount(o: &Value, pointer: &str) -> String {
    match scalar(o.pointer(pointer)) {
        s if s.is_empty() => "<nil>".to_owned(),
        s => s,
    }
}
