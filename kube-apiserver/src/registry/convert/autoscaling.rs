//! HorizontalPodAutoscaler `autoscaling/v1` and `v2`: v1 knows only a CPU percentage
//! (upstream `pkg/apis/autoscaling/v1/conversion.go`; v1's annotations for the rest are not written).

use serde_json::{Map, Value, json};

fn is_cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

pub(super) fn to_v2(mut obj: Value) -> Value {
    obj["apiVersion"] = "autoscaling/v2".into();
    if let Some(spec) = obj.get_mut("spec").and_then(Value::as_object_mut)
        && let Some(percent) = spec.remove("targetCPUUtilizationPercentage")
    {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}});
        spec.insert("metrics".into(), json!([cpu]));
    }
    if let Some(status) = obj.get_mut("status").and_then(Value::as_object_mut)
        && let Some(percent) = status.remove("currentCPUUtilizationPercentage")
    {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}});
        status.insert("currentMetrics".into(), json!([cpu]));
    }
    obj
}

pub(super) fn from_v2(obj: &Value) -> Value {
    let mut out = obj.clone();
    out["apiVersion"] = "autoscaling/v1".into();
    if let Some(spec) = out.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("behavior");
        let percent = take(spec, "metrics", "/resource/target/averageUtilization");
        if let Some(p) = percent {
            spec.insert("targetCPUUtilizationPercentage".into(), p);
        }
    }
    if let Some(status) = out.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("conditions");
        if let Some(p) = take(status, "currentMetrics", "/resource/current/averageUtilization") {
            status.insert("currentCPUUtilizationPercentage".into(), p);
        }
    }
    out
}

fn take(map: &mut Map<String, Value>, list: &str, pointer: &str) -> Option<Value> {
    let metrics = map.remove(list)?;
    metrics
        .as_array()?
        .iter()
        .find(|m| is_cpu(m))
        .and_then(|m| m.pointer(pointer).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_percentage_survives_the_round_trip() {
        let v1 = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}});
        let v2 = to_v2(v1.clone());
        assert_eq!(v2["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
        assert_eq!(from_v2(&v2), v1);
    }
}
