//! Cells many printers share.

use apimachinery::labels::Selector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::objects::{items, text};

/// `metadata.name`.
pub(crate) fn name(o: &Value) -> Value {
    json!(text(o, "/metadata/name"))
}

/// Time since creation.
pub(crate) fn age(o: &Value) -> Value {
    json!(since(text(o, "/metadata/creationTimestamp")))
}

/// Time since a timestamp, for people; `<unknown>` without one (upstream `translateTimestampSince`).
pub(crate) fn since(timestamp: &str) -> String {
    match timestamp.parse::<jiff::Timestamp>() {
        Ok(t) => human(jiff::Timestamp::now().as_second() - t.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration in seconds, in two units at most (upstream `apimachinery/pkg/util/duration` `HumanDuration`).
pub(crate) fn human(seconds: i64) -> String {
    let (m, h, d) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |a: i64, unit: &str, b: i64, small: &str| {
        if b == 0 {
            format!("{a}{unit}")
        } else {
            format!("{a}{unit}{b}{small}")
        }
    };
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    match seconds {
        ..=0 => "0s".to_owned(),
        s if s < 120 => format!("{s}s"),
        s if m < 10 => two(m, "m", s % 60, "s"),
        _ if m < 180 => format!("{m}m"),
        _ if h < 8 => two(h, "h", m % 60, "m"),
        _ if h < 48 => format!("{h}h"),
        _ if h < 24 * 8 => two(d, "d", h % 24, "h"),
        _ if h < 24 * 365 * 2 => format!("{d}d"),
        _ if h < 24 * 365 * 8 => two(d / 365, "y", d % 365, "d"),
        _ => format!("{}y", d / 365),
    }
}

/// An integer by pointer, 0 when absent.
pub(crate) fn int(o: &Value, pointer: &str) -> i64 {
    o.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// A text by pointer, `fallback` when absent or empty.
pub(crate) fn or<'a>(o: &'a Value, pointer: &str, fallback: &'a str) -> &'a str {
    match text(o, pointer) {
        "" => fallback,
        t => t,
    }
}

/// `<none>` for an empty text.
pub(crate) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// Any scalar as text.
pub(crate) fn scalar(v: Option<&Value>) -> String {
    match v {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(v) => v.to_string(),
    }
}

/// Names of the containers of a pod spec, and their images.
pub(crate) fn containers(spec: &Value) -> [Value; 2] {
    let join = |field: &str| {
        items(spec, "/containers")
            .iter()
            .map(|c| text(c, field))
            .collect::<Vec<_>>()
            .join(",")
    };
    [json!(join("/name")), json!(join("/image"))]
}

/// A label selector as kubectl writes it, `<none>` when it is empty (upstream `FormatLabelSelector`).
pub(crate) fn selector(v: Option<&Value>) -> String {
    or_none(selector_text(v).unwrap_or_else(|_| "<error>".to_owned()))
}

/// The requirements of a label selector (upstream `printDeployment`).
pub(crate) fn requirements(v: Option<&Value>) -> String {
    selector_text(v).unwrap_or_else(|_| "<invalid>".to_owned())
}

/// An absent selector has no requirements.
fn selector_text(v: Option<&Value>) -> Result<String, Box<dyn std::error::Error>> {
    let Some(v) = v.filter(|v| v.is_object()) else {
        return Ok(String::new());
    };
    let selector = LabelSelector::deserialize(v)?;
    Ok(Selector::from_label_selector(&selector)?.to_string())
}

/// A map as `a=b,c=d`.
pub(crate) fn labels(v: Option<&Value>) -> String {
    or_none(map_pairs(v).join(","))
}

fn map_pairs(v: Option<&Value>) -> Vec<String> {
    let map = v.and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", scalar(Some(v))))
        .collect()
}

/// A boolean by pointer, `default` when absent.
pub(crate) fn flag(o: &Value, pointer: &str, default: bool) -> Value {
    json!(o.pointer(pointer).and_then(Value::as_bool).unwrap_or(default))
}

/// The texts of a list by pointer.
pub(crate) fn texts<'a>(o: &'a Value, pointer: &str) -> Vec<&'a str> {
    items(o, pointer).iter().filter_map(Value::as_str).collect()
}

/// A quantity by pointer; Go prints an absent one as `0`.
pub(crate) fn quantity(o: &Value, pointer: &str) -> String {
    match scalar(o.pointer(pointer)) {
        s if s.is_empty() => "0".to_owned(),
        s => s,
    }
}

/// An annotation, if there is one.
pub(crate) fn annotation<'a>(o: &'a Value, key: &str) -> Option<&'a str> {
    o.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Addresses or names of a load balancer, sorted (upstream `loadBalancerStatusStringer`).
pub(crate) fn load_balancer(o: &Value) -> Vec<&str> {
    let mut all: Vec<&str> = items(o, "/status/loadBalancer/ingress")
        .iter()
        .map(|i| or(i, "/ip", text(i, "/hostname")))
        .filter(|s| !s.is_empty())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// At most `max` items joined, then how many more there are.
pub(crate) fn some_of(mut list: Vec<String>, max: usize) -> String {
    let total = list.len();
    if total <= max {
        return list.join(",");
    }
    list.truncate(max);
    format!("{} + {} more...", list.join(","), total - max)
}

/// Access modes in short form.
pub(crate) fn access_modes(modes: &[Value]) -> String {
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    known
        .iter()
        .filter(|(m, _)| modes.iter().any(|x| x == m))
        .map(|(_, s)| *s)
        .collect::<Vec<_>>()
        .join(",")
}
