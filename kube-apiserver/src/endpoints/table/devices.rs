//! Dynamic resource allocation.

use serde_json::{Value, json};

use super::Cells;
use super::cells::{age, name};
use crate::objects::{items, text};

pub(super) const CLAIMS: Cells = |o| vec![name(o), json!(state(o)), age(o)];

/// Upstream `resourceClaimState`.
fn state(o: &Value) -> String {
    let deleted = !text(o, "/metadata/deletionTimestamp").is_empty();
    let mut words = Vec::new();
    if deleted {
        words.push("deleted");
    }
    if o.pointer("/status/allocation").is_some_and(Value::is_object) {
        words.push("allocated");
        if !items(o, "/status/reservedFor").is_empty() {
            words.push("reserved");
        }
    } else if !deleted {
        words.push("pending");
    }
    words.join(",")
}

pub(super) const SLICES: Cells = |o| {
    vec![
        name(o),
        json!(text(o, "/spec/nodeName")),
        json!(text(o, "/spec/driver")),
        json!(text(o, "/spec/pool/name")),
        age(o),
    ]
};
