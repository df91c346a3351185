//! What the annotations hold: metrics in v1's own types, conditions, and the behavior as upstream's
//! internal type prints.

use apimachinery::field::escape_html;
use apimachinery::quantity;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerCondition, MetricSpec, MetricStatus,
};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A field of v1, where it is in v2, and v1's zero when it is always there.
type Field = (&'static str, &'static str, Option<&'static str>);

/// The sources of a metric and their fields.
type Sources = [(&'static str, &'static [Field]); 5];

const NAME: Field = ("metricName", "/metric/name", Some(""));
const SELECTOR: Field = ("selector", "/metric/selector", None);
const METRIC_SELECTOR: Field = ("metricSelector", "/metric/selector", None);
const OBJECT: Field = ("target", "/describedObject", None);
const RESOURCE: Field = ("name", "/name", Some(""));
const CONTAINER: Field = ("container", "/container", Some(""));

const TARGET_UTILIZATION: Field = ("targetAverageUtilization", "/target/averageUtilization", None);
const TARGET_AVERAGE: Field = ("targetAverageValue", "/target/averageValue", None);

/// `MetricSpec`.
pub(super) const SPEC: Sources = [
    (
        "object",
        &[
            OBJECT,
            NAME,
            ("targetValue", "/target/value", Some("0")),
            SELECTOR,
            ("averageValue", "/target/averageValue", None),
        ],
    ),
    (
        "pods",
        &[
            NAME,
            ("targetAverageValue", "/target/averageValue", Some("0")),
            SELECTOR,
        ],
    ),
    ("resource", &[RESOURCE, TARGET_UTILIZATION, TARGET_AVERAGE]),
    (
        "containerResource",
        &[RESOURCE, TARGET_UTILIZATION, TARGET_AVERAGE, CONTAINER],
    ),
    (
        "external",
        &[
            NAME,
            METRIC_SELECTOR,
            ("targetValue", "/target/value", None),
            TARGET_AVERAGE,
        ],
    ),
];

const CURRENT_UTILIZATION: Field = ("currentAverageUtilization", "/current/averageUtilization", None);
const CURRENT_VALUE: Field = ("currentValue", "/current/value", Some("0"));
const CURRENT_AVERAGE: Field = ("currentAverageValue", "/current/averageValue", Some("0"));

/// `MetricStatus`.
pub(super) const STATUS: Sources = [
    (
        "object",
        &[
            OBJECT,
            NAME,
            CURRENT_VALUE,
            SELECTOR,
            ("averageValue", "/current/averageValue", None),
        ],
    ),
    ("pods", &[NAME, CURRENT_AVERAGE, SELECTOR]),
    ("resource", &[RESOURCE, CURRENT_UTILIZATION, CURRENT_AVERAGE]),
    (
        "containerResource",
        &[RESOURCE, CURRENT_UTILIZATION, CURRENT_AVERAGE, CONTAINER],
    ),
    (
        "external",
        &[
            NAME,
            METRIC_SELECTOR,
            CURRENT_VALUE,
            ("currentAverageValue", "/current/averageValue", None),
        ],
    ),
];

/// A metric of v2 in v1's type.
pub(super) fn metric_v1(sources: &Sources, metric: &Value) -> Value {
    let mut out = json!({"type": metric["type"]});
    for (source, fields) in sources {
        let Some(from) = metric.get(source).filter(|s| s.is_object()) else {
            continue;
        };
        let mut to = Map::new();
        for (field, pointer, zero) in *fields {
            let value = from.pointer(pointer).filter(|v| !v.is_null());
            let value = value.map(|v| canonical(field, v)).or_else(|| zero.map(Value::from));
            to.extend(value.map(|v| ((*field).to_owned(), v)));
        }
        out[source] = Value::Object(to);
    }
    out
}

/// Amounts are written in their canonical form.
fn canonical(field: &str, value: &Value) -> Value {
    let amount = value.as_str().filter(|_| field.ends_with("Value"));
    let text = amount.and_then(|text| quantity::canonical(text).ok());
    text.map_or_else(|| value.clone(), |text| text.into())
}

/// Metrics of v1's type in v2; `None` when they are no such metrics.
pub(super) fn metrics_v2(sources: &Sources, metrics: Value) -> Option<Vec<Value>> {
    let specs = sources == &SPEC;
    let Value::Array(metrics) = metrics else { return None };
    let mut out = vec![];
    for metric in metrics {
        let mut new = json!({"type": metric.get("type")?});
        for (source, fields) in sources {
            let Some(from) = metric.get(source).filter(|s| !s.is_null()) else {
                continue;
            };
            let mut to = Map::new();
            for (field, pointer, zero) in *fields {
                let value = from.get(field).filter(|v| !v.is_null()).cloned();
                if let Some(value) = value.or_else(|| zero.map(Value::from)) {
                    put(&mut to, pointer, value);
                }
            }
            if specs {
                let target = map(to.entry("target").or_insert(Value::Null));
                target_type(source, target);
            } else {
                to.entry("current").or_insert_with(|| json!({}));
            }
            new[source] = Value::Object(to);
        }
        let well_formed = if specs {
            is::<MetricSpec>(&new)
        } else {
            is::<MetricStatus>(&new)
        };
        if !well_formed {
            return None;
        }
        out.push(new);
    }
    Some(out)
}

/// v1 does not say what its target is: it follows from what is set.
fn target_type(source: &str, target: &mut Map<String, Value>) {
    let kind = match source {
        "object" if target.contains_key("averageValue") => {
            // v1 cannot leave its value out, and v2 does not take 0.
            let zero = |v: &Value| matches!(v.as_str().map(quantity::canonical), Some(Ok(text)) if text == "0");
            if target.get("value").is_some_and(zero) {
                target.remove("value");
            }
            "AverageValue"
        }
        "object" => "Value",
        "external" if target.contains_key("value") => "Value",
        "resource" | "containerResource" if target.contains_key("averageUtilization") => "Utilization",
        _ => "AverageValue",
    };
    target.insert("type".into(), kind.into());
}

/// Sets the value at a pointer of at most two names.
fn put(to: &mut Map<String, Value>, pointer: &str, value: Value) {
    let path = pointer.trim_start_matches('/');
    match path.split_once('/') {
        Some((outer, inner)) => {
            map(to.entry(outer).or_insert(Value::Null)).insert(inner.to_owned(), value);
        }
        None => {
            to.insert(path.to_owned(), value);
        }
    }
}

/// The value as a map, which it becomes if it is none.
pub(super) fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made a map just above")
}

fn is<T: DeserializeOwned>(value: &Value) -> bool {
    T::deserialize(value).is_ok()
}

/// Conditions have the same fields in both versions.
pub(super) fn conditions(carried: Value) -> Option<Value> {
    is::<Vec<HorizontalPodAutoscalerCondition>>(&carried).then_some(carried)
}

/// A condition without a time says so.
pub(super) fn condition_v1(mut condition: Value) -> Value {
    map(&mut condition).entry("lastTransitionTime").or_insert(Value::Null);
    condition
}

/// Fields of the behavior in v2; the internal type's begin with a capital.
const RULES: [&str; 4] = ["stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"];
const POLICY: [&str; 3] = ["type", "value", "periodSeconds"];

/// The behavior as the internal type prints: everything, set or not.
pub(super) fn behavior_v1(behavior: &Value) -> Value {
    let internal = |value: &Value, fields: &[&str]| {
        let all = fields.iter().map(|field| {
            let value = value.get(field).cloned().unwrap_or(Value::Null);
            (capital(field), value)
        });
        all.collect::<Map<_, _>>()
    };
    let rules = |rules: &Value| {
        let mut out = internal(rules, &RULES);
        if let Some(tolerance) = rules.get("tolerance") {
            out.insert("Tolerance".into(), canonical("toleranceValue", tolerance));
        }
        if let Some(Value::Array(policies)) = rules.get("policies") {
            let all = policies.iter().map(|p| Value::Object(internal(p, &POLICY)));
            out.insert("Policies".into(), Value::Array(all.collect()));
        }
        Value::Object(out)
    };
    let of = |field: &str| behavior.get(field).filter(|r| r.is_object()).map_or(Value::Null, rules);
    json!({"ScaleUp": of("scaleUp"), "ScaleDown": of("scaleDown")})
}

/// The behavior in v2; `None` when it says nothing.
pub(super) fn behavior_v2(carried: Value) -> Option<Value> {
    let behavior = lower(carried);
    let typed = HorizontalPodAutoscalerBehavior::deserialize(&behavior).ok()?;
    (typed != HorizontalPodAutoscalerBehavior::default()).then_some(behavior)
}

/// Names that begin with a small letter, without what is null.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, v)| !v.is_null());
            Value::Object(
                fields
                    .map(|(k, v)| (cased(&k, |c| c.to_ascii_lowercase()), lower(v)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lower).collect()),
        other => other,
    }
}

fn capital(name: &str) -> String {
    cased(name, |c| c.to_ascii_uppercase())
}

fn cased(name: &str, case: impl Fn(char) -> char) -> String {
    let mut chars = name.chars();
    chars.next().map(case).into_iter().chain(chars).collect()
}

/// Fields in the order of the Go structs, all of them at once: none disagrees with another.
const ORDER: [&str; 38] = [
    "type",
    "status",
    "lastTransitionTime",
    "reason",
    "message",
    "object",
    "pods",
    "resource",
    "containerResource",
    "external",
    "target",
    "kind",
    "name",
    "apiVersion",
    "metricName",
    "metricSelector",
    "targetValue",
    "targetAverageUtilization",
    "targetAverageValue",
    "currentValue",
    "currentAverageUtilization",
    "currentAverageValue",
    "selector",
    "averageValue",
    "container",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "ScaleUp",
    "ScaleDown",
    "StabilizationWindowSeconds",
    "SelectPolicy",
    "Policies",
    "Tolerance",
    "Type",
    "Value",
];

/// JSON as Go writes it.
pub(super) fn go_json(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(",");
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            let place = |name: &str| ORDER.iter().position(|o| *o == name).unwrap_or(ORDER.len());
            fields.sort_by_key(|(name, _)| place(name));
            let parts = fields.into_iter().map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    // A map, which Go sorts by its keys.
                    ("matchLabels", labels) => escape_html(labels.to_string()),
                    (_, value) => go_json(value),
                };
                format!("{}:{value}", Value::from(name.as_str()))
            });
            format!("{{{}}}", joined(parts.collect()))
        }
        Value::Array(items) => format!("[{}]", joined(items.iter().map(go_json).collect())),
        Value::String(_) => escape_html(value.to_string()),
        other => other.to_string(),
    }
}
