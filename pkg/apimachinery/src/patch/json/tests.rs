#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

fn run(target: Value, patch: Value) -> Result<Value, Error> {
    let mut out = target;
    Patch::from_value(&patch)?.apply(&mut out)?;
    Ok(out)
}

#[test]
fn operations_apply() {
    for (target, patch, expected) in [
        (
            json!({"a": 1}),
            json!([{"op": "add", "path": "/b", "value": 2}]),
            json!({"a": 1, "b": 2}),
        ),
        (
            json!({"a": [1, 3]}),
            json!([{"op": "add", "path": "/a/1", "value": 2}]),
            json!({"a": [1, 2, 3]}),
        ),
        (
            json!({"a": [1]}),
            json!([{"op": "add", "path": "/a/-", "value": 2}]),
            json!({"a": [1, 2]}),
        ),
        (
            json!({"a": [1]}),
            json!([{"op": "add", "path": "/a/1", "value": 2}]),
            json!({"a": [1, 2]}),
        ),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "remove", "path": "/a/b"}]),
            json!({"a": {}}),
        ),
        (
            json!({"a": [1, 2]}),
            json!([{"op": "remove", "path": "/a/-1"}]),
            json!({"a": [1]}),
        ),
        (
            json!({"a": 1}),
            json!([{"op": "replace", "path": "/a", "value": null}]),
            json!({"a": null}),
        ),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "move", "from": "/a/b", "path": "/c"}]),
            json!({"a": {}, "c": 1}),
        ),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "copy", "from": "/a", "path": "/c"}]),
            json!({"a": {"b": 1}, "c": {"b": 1}}),
        ),
        (
            json!({"a/b": 1, "m~n": 2}),
            json!([{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}]),
            json!({}),
        ),
        (
            json!({"a": 1}),
            json!([{"op": "test", "path": "/a", "value": 1}, {"op": "test", "path": "/x", "value": null}]),
            json!({"a": 1}),
        ),
    ] {
        assert_eq!(run(target, patch.clone()), Ok(expected), "{patch}");
    }
}

#[test]
fn absent_members_are_null_and_replace_makes_them() {
    for (patch, expected) in [
        (
            json!([{"op": "replace", "path": "/x", "value": 1}]),
            json!({"a": 1, "x": 1}),
        ),
        (
            json!([{"op": "copy", "from": "/x", "path": "/y"}]),
            json!({"a": 1, "y": null}),
        ),
        (json!([{"op": "test", "path": "/x", "value": null}]), json!({"a": 1})),
        (json!([{"op": "test", "path": "", "value": {"a": 1}}]), json!({"a": 1})),
    ] {
        assert_eq!(run(json!({"a": 1}), patch.clone()).unwrap(), expected, "{patch}");
    }
}

#[test]
fn operations_that_do_not_apply_are_refused() {
    for (patch, text) in [
        (
            json!([{"op": "remove", "path": "/x"}]),
            "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value",
        ),
        (
            json!([{"op": "replace", "path": "/x/y", "value": 1}]),
            "replace operation does not apply: doc is missing path: /x/y: missing value",
        ),
        (
            json!([{"op": "replace", "path": "/l/5", "value": 1}]),
            "replace operation does not apply: doc is missing key: /l/5: missing value",
        ),
        (
            json!([{"op": "move", "from": "/x", "path": "/y"}]),
            "error in move for path: 'x': Unable to remove nonexistent key: x: missing value",
        ),
        (
            json!([{"op": "copy", "from": "/a", "path": "/x/y"}]),
            "copy operation does not apply: doc is missing destination path: /x/y: missing value",
        ),
        (
            json!([{"op": "test", "path": "/x/y", "value": null}]),
            "test operation does not apply: is missing path: /x/y: missing value",
        ),
        (
            json!([{"op": "test", "path": "/l/5", "value": null}]),
            "error in test for path: '/l/5': Unable to access invalid index: 5: invalid index referenced",
        ),
        (
            json!([{"op": "add", "path": "/l/x", "value": null}]),
            "error in add for path: '/l/x': value was not a proper array index: 'x': strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            json!([{"op": "add", "value": null}]),
            "add operation failed to decode path: missing value",
        ),
        (
            json!([{"op": "move", "path": "/x"}]),
            "move operation failed to decode from: operation, missing from field: missing value",
        ),
        (json!([{"path": "/a"}]), "Unexpected kind: unknown"),
        (
            json!([{"op": "add", "path": "/x/y", "value": 1}]),
            "add operation does not apply: doc is missing path: \"/x/y\": missing value",
        ),
        (
            json!([{"op": "add", "path": "/l/5", "value": 1}]),
            "error in add for path: '/l/5': Unable to access invalid index: 5: invalid index referenced",
        ),
        (
            json!([{"op": "test", "path": "/a", "value": 2}]),
            "testing value /a failed: test failed",
        ),
        (json!([{"op": "jump", "path": "/a"}]), "Unexpected kind: jump"),
        (
            json!([{"op": "add", "path": "a", "value": 2}]),
            "add operation does not apply: doc is missing path: \"a\": missing value",
        ),
    ] {
        let error = run(json!({"a": 1, "l": [1]}), patch.clone()).unwrap_err();
        assert_eq!(error, Error::Inapplicable(text.to_owned()), "{patch}");
        let error = error.to_api_error();
        assert_eq!((error.code, error.reason.as_ref()), (422, "Invalid"));
    }
}

#[test]
fn malformed_and_huge_patches_are_refused() {
    let huge = Value::Array(vec![json!({"op": "remove", "path": "/a"}); MAX_OPERATIONS + 1]);
    assert!(matches!(Patch::from_value(&huge), Err(Error::TooLarge(_))));
    // Copies that double the document are stopped.
    let doubling = (0..60).map(|n| json!({"op": "copy", "from": "/a", "path": format!("/a/{n}")}));
    let doubling = Patch::from_value(&doubling.collect()).unwrap();
    assert!(doubling.apply_within(&mut json!({"a": {"x": "y"}}), 10_000).is_err());
}

/// Upstream patches what Go writes, and Go writes structs that are empty.
#[test]
fn an_operation_finds_the_structs_that_go_writes() {
    let schema = Schema::parse(
        r#"
v1.Deployment typemeta
	spec 2 &v1.DeploymentSpec always
	status 3 &v1.DeploymentStatus always
v1.DeploymentSpec
	strategy 4 &v1.Strategy always
	pods 5 []&v1.Pod
v1.Strategy
	rollingUpdate 2 &v1.RollingUpdate ptr
v1.RollingUpdate
	maxSurge 2 str
v1.Pod
	resources 8 &v1.Resources req
v1.Resources
	limits 1 {}quantity
v1.DeploymentStatus
	replicas 2 i32
"#,
    )
    .unwrap();
    let ty = schema.id("v1.Deployment").unwrap();
    let operations = json!([
        {"op": "add", "path": "/spec/pods/0/resources/limits", "value": {}},
        {"op": "copy", "from": "/status/replicas", "path": "/spec/strategy/rollingUpdate/maxSurge"},
        {"op": "add", "path": "/spec/pods/7/resources/limits", "value": {}},
        {"op": "add", "path": "/unknown/x", "value": {}},
    ]);
    let mut object = json!({"spec": {"pods": [{}]}});
    let patch = Patch::from_value(&operations).unwrap();
    patch.write_structs(&schema, ty, &mut object);
    // A pointer that is not set stays away.
    assert_eq!(
        object,
        json!({"spec": {"strategy": {}, "pods": [{"resources": {}}]}, "status": {}})
    );
}

/// Operations that make the one member `a` ever deeper: each copies it to its own end.
fn deepening(rounds: u32) -> Value {
    let mut path = "/a".to_owned();
    let mut out = vec![];
    for _ in 0..rounds {
        let end = format!("{path}/a");
        out.push(json!({"op": "copy", "from": "/a", "path": end}));
        path = format!("{path}{path}");
    }
    Value::Array(out)
}

#[test]
fn a_patch_makes_no_object_deeper_than_can_be_read() {
    assert!(run(json!({"a": {}}), deepening(6)).is_ok());
    for patch in [
        deepening(8),
        json!([{"op": "add", "path": "/a".repeat(80), "value": nested(81)}]),
        json!([{"op": "replace", "path": "/a".repeat(79), "value": nested(82)}]),
        json!([{"op": "move", "from": "/a/a", "path": "/b"}, {"op": "add", "path": "/b", "value": nested(160)}]),
    ] {
        let error = run(nested(80), patch.clone()).unwrap_err();
        assert_eq!(error.to_string(), "exceeded max depth", "{patch}");
    }
    assert!(
        run(
            nested(80),
            json!([{"op": "replace", "path": "/a".repeat(79), "value": nested(82)}])
        )
        .is_err()
    );
    assert!(
        run(
            nested(80),
            json!([{"op": "replace", "path": "/a".repeat(79), "value": nested(81)}])
        )
        .is_ok()
    );
}

#[test]
fn moving_a_large_value_to_and_fro_does_not_look_through_it_every_time() {
    let round = [
        json!({"op": "move", "from": "/a", "path": "/x/a"}),
        json!({"op": "move", "from": "/x/a", "path": "/a"}),
    ];
    let operations = round.iter().cycle().take(MAX_OPERATIONS).cloned();
    let patch = Patch::from_value(&operations.collect()).unwrap();
    let mut target = json!({"a": [1, {"b": 2}], "x": {}});
    let mut limits = Limits {
        copied: 0,
        depth: MAX_DEPTH,
        walks: 0,
    };
    patch.run(&mut target, &mut limits).unwrap();
    assert_eq!(target, json!({"a": [1, {"b": 2}], "x": {}}));
    assert!(limits.walks < 50, "{}", limits.walks);
}

#[test]
fn a_value_moved_deeper_and_deeper_is_stopped() {
    let deeper = json!([
        {"op": "move", "from": "/a", "path": format!("/b{}", "/a".repeat(100))},
    ]);
    let both = json!({"a": nested(100), "b": nested(101)});
    assert_eq!(run(both, deeper).unwrap_err().to_string(), "exceeded max depth");
}

#[test]
fn patches_go_could_not_read_are_refused_in_its_words() {
    for (patch, why) in [
        (
            json!({"op": "remove"}),
            "object into Go value of type []handlers.jsonPatchOp",
        ),
        (json!([3]), "number into Go value of type handlers.jsonPatchOp"),
        (
            json!([{"op": 3}]),
            "number into Go struct field jsonPatchOp.op of type string",
        ),
        (
            json!([{"op": "add", "path": ["a"]}]),
            "array into Go struct field jsonPatchOp.path of type string",
        ),
    ] {
        let why = format!("error decoding patch: json: cannot unmarshal {why}");
        assert_eq!(Patch::from_value(&patch), Err(Error::Malformed(why)));
    }
}

/// A map in a map, so many in all.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({"a": inner}))
}
