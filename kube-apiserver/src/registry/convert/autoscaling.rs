//! HorizontalPodAutoscaler `autoscaling/v1` and `v2`. v1 knows a percentage of CPU; the rest of v2
//! travels in annotations (upstream `pkg/apis/autoscaling/v1/conversion.go`, `annotations.go`).

mod carried;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use self::carried::{SPEC, STATUS};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// What no v2 object has (`DropRoundTripHorizontalPodAutoscalerAnnotations`).
const ANNOTATIONS: [&str; 6] = [
    METRICS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
    CURRENT_METRICS,
    CONDITIONS,
];

/// The percentage when there is no metric at all (`DefaultCPUUtilization`).
const DEFAULT_UTILIZATION: i32 = 80;

/// An object of v1 in v2. An annotation that cannot be read is none.
pub(super) fn to_v2(mut obj: Value) -> Value {
    let carried = take_annotations(&mut obj);
    let carried = |key: &str| {
        let text = carried.get(key).and_then(Value::as_str)?;
        serde_json::from_str::<Value>(text).ok()
    };
    obj["apiVersion"] = "autoscaling/v2".into();
    let spec = part(&mut obj, "spec");
    let percent = spec.remove("targetCPUUtilizationPercentage").filter(|p| !p.is_null());
    let mut metrics = carried(METRICS)
        .and_then(|m| carried::metrics_v2(&SPEC, m))
        .unwrap_or_default();
    if let Some(percent) = percent.or_else(|| metrics.is_empty().then(|| DEFAULT_UTILIZATION.into())) {
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": percent}}}));
    }
    spec.insert("metrics".into(), Value::Array(metrics));
    if let Some(behavior) = carried(BEHAVIOR).and_then(carried::behavior_v2) {
        spec.insert("behavior".into(), behavior);
    }
    let current = carried(CURRENT_METRICS).and_then(|m| carried::metrics_v2(&STATUS, m));
    let conditions = carried(CONDITIONS).and_then(carried::conditions);
    if obj.get("status").is_none() && current.is_none() && conditions.is_none() {
        return obj;
    }
    let status = part(&mut obj, "status");
    if let Some(percent) = status
        .remove("currentCPUUtilizationPercentage")
        .filter(|p| !p.is_null())
    {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}});
        status.insert("currentMetrics".into(), json!([cpu]));
    }
    if let Some(current) = current {
        status.insert("currentMetrics".into(), Value::Array(current));
    }
    if let Some(conditions) = conditions {
        status.insert("conditions".into(), conditions);
    }
    obj
}

/// An object of v2 as a client wrote it, without what only v1 carries.
pub(super) fn without_carried(mut obj: Value) -> Value {
    take_annotations(&mut obj);
    obj
}

/// An object of v2 in v1.
pub(super) fn from_v2(obj: &Value) -> Value {
    let mut out = obj.clone();
    take_annotations(&mut out);
    out["apiVersion"] = "autoscaling/v1".into();
    let mut carry = vec![];
    if let Some(spec) = out.get_mut("spec").and_then(Value::as_object_mut) {
        let metrics = take_list(spec, "metrics");
        if let Some(percent) = metrics.iter().find_map(utilization) {
            spec.insert("targetCPUUtilizationPercentage".into(), percent.clone());
        }
        let others = metrics.iter().filter(|m| utilization(m).is_none());
        let others: Vec<Value> = others.map(|m| carried::metric_v1(&SPEC, m)).collect();
        if !others.is_empty() {
            carry.push((METRICS, Value::Array(others)));
        }
        if let Some(behavior) = spec.remove("behavior").filter(|b| !b.is_null()) {
            carry.push((BEHAVIOR, carried::behavior_v1(&behavior)));
        }
    }
    if let Some(status) = out.get_mut("status").and_then(Value::as_object_mut) {
        let current = take_list(status, "currentMetrics");
        let percent = |m: &Value| m.pointer("/resource/current/averageUtilization").cloned();
        if let Some(percent) = current.iter().filter(|m| is_cpu(m)).filter_map(percent).next_back() {
            status.insert("currentCPUUtilizationPercentage".into(), percent);
        }
        if !current.is_empty() {
            let all = current.iter().map(|m| carried::metric_v1(&STATUS, m));
            carry.push((CURRENT_METRICS, Value::Array(all.collect())));
        }
        let conditions = take_list(status, "conditions");
        if !conditions.is_empty() {
            let all = conditions.into_iter().map(carried::condition_v1);
            carry.push((CONDITIONS, Value::Array(all.collect())));
        }
    }
    if !carry.is_empty() {
        let metadata = part(&mut out, "metadata");
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        for (key, value) in carry {
            annotations[key] = carried::go_json(&value).into();
        }
    }
    out
}

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

/// The percentage, when the metric is what v1 has a field for.
fn utilization(metric: &Value) -> Option<&Value> {
    let percent = metric.pointer("/resource/target/averageUtilization");
    percent.filter(|p| !p.is_null() && is_cpu(metric))
}

fn take_list(map: &mut Map<String, Value>, field: &str) -> Vec<Value> {
    match map.remove(field) {
        Some(Value::Array(items)) => items,
        _ => vec![],
    }
}

/// Takes out the annotations that carry something.
fn take_annotations(obj: &mut Value) -> Map<String, Value> {
    let mut taken = Map::new();
    let Some(metadata) = obj.get_mut("metadata").and_then(Value::as_object_mut) else {
        return taken;
    };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else {
        return taken;
    };
    for key in ANNOTATIONS {
        if let Some(value) = annotations.remove(key) {
            taken.insert(key.to_owned(), value);
        }
    }
    if annotations.is_empty() && !taken.is_empty() {
        metadata.remove("annotations");
    }
    taken
}

/// The map under a field, made when there is none.
fn part<'a>(obj: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    carried::map(&mut obj[field])
}
