//! Both ways, with the annotations in between.

use super::*;

fn v1(spec: Value, annotations: Value) -> Value {
    let mut obj = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": spec});
    if annotations != json!({}) {
        obj["metadata"]["annotations"] = annotations;
    }
    obj
}

fn v2(spec: Value) -> Value {
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": spec})
}

fn cpu(percent: i32) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}})
}

#[test]
fn a_percentage_of_cpu_is_a_field_in_v1() {
    let one = v1(
        json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}),
        json!({}),
    );
    assert_eq!(to_v2(one.clone()), v2(json!({"maxReplicas": 3, "metrics": [cpu(50)]})));
    assert_eq!(from_v2(&to_v2(one.clone())), one);
}

#[test]
fn without_any_metric_v1_means_eighty_percent() {
    let none = v1(json!({"maxReplicas": 3}), json!({}));
    assert_eq!(to_v2(none)["spec"]["metrics"], json!([cpu(80)]));
    let other = "[{\"type\":\"Pods\",\"pods\":{\"metricName\":\"m\",\"targetAverageValue\":\"1\"}}]";
    let other = v1(json!({"maxReplicas": 3}), json!({METRICS: other}));
    assert_eq!(to_v2(other)["spec"]["metrics"].as_array().map(Vec::len), Some(1));
}

#[test]
fn other_metrics_travel_in_an_annotation() {
    let selector =
        json!({"matchLabels": {"type": "x", "b": "y"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]});
    let cases = [
        (
            json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s", "apiVersion": "v1"},
                "metric": {"name": "m", "selector": selector}, "target": {"type": "Value", "value": "2"}}}),
            r#"{"type":"Object","object":{"target":{"kind":"Service","name":"s","apiVersion":"v1"},"metricName":"m","targetValue":"2","selector":{"matchLabels":{"b":"y","type":"x"},"matchExpressions":[{"key":"k","operator":"Exists"}]}}}"#,
        ),
        (
            json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"},
                "metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "2"}}}),
            r#"{"type":"Object","object":{"target":{"kind":"Service","name":"s"},"metricName":"m","targetValue":"0","averageValue":"2"}}"#,
        ),
        (
            json!({"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1500m"}}}),
            r#"{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"1500m"}}"#,
        ),
        (
            json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 5}}}),
            r#"{"type":"Resource","resource":{"name":"memory","targetAverageUtilization":5}}"#,
        ),
        (
            json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}}),
            r#"{"type":"Resource","resource":{"name":"cpu","targetAverageValue":"1"}}"#,
        ),
        (
            json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 5}}}),
            r#"{"type":"ContainerResource","containerResource":{"name":"cpu","targetAverageUtilization":5,"container":"c"}}"#,
        ),
        (
            json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}}),
            r#"{"type":"External","external":{"metricName":"m","targetAverageValue":"1"}}"#,
        ),
    ];
    for (metric, text) in cases {
        let two = v2(json!({"maxReplicas": 3, "metrics": [metric, cpu(7)]}));
        let one = from_v2(&two);
        assert_eq!(
            one["spec"],
            json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 7})
        );
        assert_eq!(one["metadata"]["annotations"], json!({METRICS: format!("[{text}]")}));
        assert_eq!(to_v2(one), two);
    }
    let two = v2(
        json!({"metrics": [cpu(7), {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"averageValue": "1.5"}}}]}),
    );
    assert_eq!(
        from_v2(&two)["metadata"]["annotations"][METRICS],
        r#"[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"1500m"}}]"#,
        "amounts are canonical"
    );
}

#[test]
fn the_behavior_travels_as_the_internal_type() {
    let behavior = json!({"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "tolerance": "0.05",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}});
    let two = v2(json!({"metrics": [cpu(7)], "behavior": behavior}));
    let one = from_v2(&two);
    assert_eq!(
        one["metadata"]["annotations"],
        json!({BEHAVIOR: r#"{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":"50m"},"ScaleDown":null}"#})
    );
    let mut back = to_v2(one);
    assert_eq!(back["spec"]["behavior"]["scaleUp"]["tolerance"], "50m");
    back["spec"]["behavior"]["scaleUp"]["tolerance"] = json!("0.05");
    assert_eq!(back, two);
    let nothing = v1(json!({}), json!({BEHAVIOR: "{\"ScaleUp\":null}"}));
    assert!(to_v2(nothing)["spec"].get("behavior").is_none());
}

#[test]
fn the_status_travels_too() {
    let mut two = v2(json!({"metrics": [cpu(7)]}));
    two["status"] = json!({"currentReplicas": 1, "desiredReplicas": 2,
        "currentMetrics": [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 9, "averageValue": "9m"}}},
            {"type": "External", "external": {"metric": {"name": "m"}, "current": {"value": "3"}}}],
        "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z", "reason": "R", "message": "a & b"}]});
    let one = from_v2(&two);
    assert_eq!(
        one["status"],
        json!({"currentReplicas": 1, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 9})
    );
    assert_eq!(
        one["metadata"]["annotations"],
        json!({
            CURRENT_METRICS: r#"[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":9,"currentAverageValue":"9m"}},{"type":"External","external":{"metricName":"m","currentValue":"3"}}]"#,
            CONDITIONS: r#"[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"R","message":"a \u0026 b"}]"#,
        })
    );
    assert_eq!(to_v2(one), two);
}

#[test]
fn annotations_that_cannot_be_read_are_none_and_v2_has_none() {
    for text in ["", "{}", "[1]", "[{\"type\":\"Pods\",\"pods\":{\"metricName\":1}}]"] {
        let one = v1(json!({"maxReplicas": 3}), json!({METRICS: text, "own": "x"}));
        let two = to_v2(one);
        assert_eq!(two["spec"]["metrics"], json!([cpu(80)]), "{text}");
        assert_eq!(two["metadata"]["annotations"], json!({"own": "x"}), "{text}");
    }
    let mut two = v2(json!({}));
    two["metadata"]["annotations"] =
        json!({"autoscaling.alpha.kubernetes.io/scale-up-tolerance": "1", CONDITIONS: "[]"});
    assert_eq!(without_carried(two)["metadata"], json!({"name": "a"}));
}
