//! Paths, sets and their JSON.

use serde_json::json;

use super::super::element::Element;
use super::super::{Filter, Managed, ScaleHandler, Set};

#[test]
fn fields_v1_survives_and_is_ordered_as_upstreams() {
    let texts = [
        r#"{}"#,
        r#"{"f:a":{}}"#,
        r#"{"f:spec":{".":{},"f:a":{},"f:b":{"f:c":{}}}}"#,
        r#"{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{}}}}"#,
        r#"{"f:set":{"v:1":{},"v:\"a\"":{},"v:true":{}}}"#,
        r#"{"f:list":{"i:2":{},"i:10":{"f:x":{}}}}"#,
    ];
    for text in texts {
        let set = Set::from_fields_v1(&serde_json::from_str(text).unwrap()).unwrap();
        // A lone dot is the same as nothing.
        let expected = text.replace(r#"{".":{}}"#, "{}");
        assert_eq!(set.to_fields_v1_text(), expected);
        assert_eq!(Set::from_fields_v1(&set.to_fields_v1()).unwrap(), set);
    }
}

#[test]
fn elements_are_ordered_by_value_and_named_once() {
    let fields =
        json!({"f:l": {"v:10": {}, "v:9": {"f:a": {}}, "v:9.0": {}, "v:-1": {}, "i:1": {}, "v:0": {}, "v:-0.0": {}}});
    let set = Set::from_fields_v1(&fields).unwrap();
    let text = r#"{"f:l":{"v:-1":{},"v:-0.0":{},"v:9":{".":{},"f:a":{}},"v:10":{},"i:1":{}}}"#;
    assert_eq!(set.to_fields_v1_text(), text);
}

#[test]
fn unknown_elements_are_dropped_and_malformed_ones_refused() {
    let set = Set::from_fields_v1(&json!({"x:new": {}, "f:a": {}})).unwrap();
    assert_eq!(set.to_string(), ".a");
    for bad in [
        json!({"fa": {}}),
        json!({"k:x": {}}),
        json!({"i:x": {}}),
        json!({"f:a": 1}),
        json!([]),
    ] {
        assert!(Set::from_fields_v1(&bad).is_err(), "{bad}");
    }
}

#[test]
fn elements_read_like_upstreams() {
    let key = Element::key(vec![("protocol".into(), json!("TCP")), ("port".into(), json!(80))]);
    assert_eq!(key.to_string(), r#"[port=80,protocol="TCP"]"#);
    assert_eq!(key.to_name(), r#"k:{"port":80,"protocol":"TCP"}"#);
    assert_eq!(Element::Value(json!("a<b")).to_name(), r#"v:"a\u003cb""#);
    assert_eq!(Element::Value(json!("a")).to_string(), r#"[="a"]"#);
    assert_eq!(Element::Index(3).to_string(), "[3]");
}

#[test]
fn sets_can_be_combined() {
    let a = Set::of_fields(&[&["a"], &["a", "b"], &["c", "d"], &["e"]]);
    let b = Set::of_fields(&[&["a"], &["c", "d"], &["c", "x"]]);
    let text = |set: Set| set.to_string().replace('\n', " ");
    assert_eq!(text(a.clone().union(b.clone())), ".a .e .a.b .c.d .c.x");
    assert_eq!(text(a.intersection(&b)), ".a .c.d");
    assert_eq!(text(a.clone().difference(&b)), ".e .a.b");
    assert_eq!(text(a.clone().recursive_difference(&b)), ".e");
    assert_eq!((a.len(), b.len(), Set::default().len()), (4, 3, 0));
    let include = Filter::Include(vec![vec![Some(Element::field("c")), None]]);
    assert_eq!(text(b.filter(&include)), ".c.d .c.x");
}

#[test]
fn the_scales_owners_are_the_workloads() {
    let mappings: [(&str, &[&str]); 1] = [("things/v1", &["spec", "replicas"])];
    let handler = ScaleHandler {
        mappings: &mappings,
        api_version: "things/v1",
    };
    let entry = |manager: &str, version: &str, subresource: &str, fields: serde_json::Value| {
        let mut out = json!({"manager": manager, "operation": "Apply", "apiVersion": version,
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields});
        if !subresource.is_empty() {
            out["subresource"] = subresource.into();
        }
        out
    };
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let parent = json!([
        entry("a", "things/v1", "", json!({"f:spec": {"f:replicas": {}, "f:x": {}}})),
        entry("b", "things/v1", "", json!({"f:spec": {"f:y": {}}})),
    ]);
    let scale = handler.to_scale(Some(&parent)).unwrap().unwrap();
    assert_eq!(scale, json!([entry("a", "autoscaling/v1", "", replicas.clone())]));

    // Nobody took it: nothing changes.
    assert_eq!(
        handler.to_parent(Some(&parent), Some(&scale)).unwrap(),
        Some(parent.clone())
    );
    // Another one took it through the Scale.
    let taken = json!([entry("c", "autoscaling/v1", "scale", replicas.clone())]);
    let after = handler.to_parent(Some(&parent), Some(&taken)).unwrap().unwrap();
    let managers: Vec<(&str, String)> = after
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["manager"].as_str().unwrap(), entry["fieldsV1"].to_string()))
        .collect();
    let expected = [
        ("c", replicas.to_string()),
        ("a", r#"{"f:spec":{"f:x":{}}}"#.to_owned()),
        ("b", r#"{"f:spec":{"f:y":{}}}"#.to_owned()),
    ];
    assert_eq!(managers, expected);
    assert_eq!(after[0]["apiVersion"], "things/v1");
    assert_eq!(after[0]["subresource"], "scale");
    // The workload knows no time of an owner it did not have (`ScaleHandler.ToParent`).
    assert_eq!(after[0].get("time"), None);
    assert_eq!(after[1]["time"], "2026-01-01T00:00:00Z");
}

#[test]
fn malformed_entries_are_refused() {
    let good =
        json!({"manager": "a", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}});
    let cases = [
        ("operation", json!("X"), "operation must be `Apply` or `Update`"),
        ("apiVersion", json!(""), "apiVersion must not be empty"),
        ("fieldsType", json!(""), "missing fieldsType in managed fields entry 0"),
        (
            "fieldsType",
            json!("V2"),
            "invalid fieldsType \"V2\" in managed fields entry 0",
        ),
    ];
    assert!(Managed::decode(Some(&json!([good]))).is_ok());
    for (field, value, why) in cases {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(Managed::decode(Some(&json!([bad]))).unwrap_err(), why);
    }
}
