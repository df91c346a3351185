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
fn operations_that_do_not_apply_are_refused() {
    for (patch, text) in [
        (
            json!([{"op": "remove", "path": "/x"}]),
            "remove operation does not apply: doc is missing path: \"/x\": Unable to remove nonexistent key: x: missing value",
        ),
        (
            json!([{"op": "replace", "path": "/x", "value": 1}]),
            "replace operation does not apply: doc is missing path: \"/x\": missing value",
        ),
        (
            json!([{"op": "add", "path": "/x/y", "value": 1}]),
            "add operation does not apply: doc is missing path: \"/x/y\": missing value",
        ),
        (
            json!([{"op": "add", "path": "/l/5", "value": 1}]),
            "add operation does not apply: doc is missing path: \"/l/5\": Unable to access invalid index: 5: invalid index referenced",
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
    assert!(matches!(Patch::parse(b"{"), Err(Error::Malformed(_))));
    assert!(matches!(Patch::parse(b"{}"), Err(Error::Malformed(_))));
    assert!(matches!(Patch::parse(b"[3]"), Err(Error::Malformed(_))));
    let huge = Value::Array(vec![json!({"op": "remove", "path": "/a"}); MAX_OPERATIONS + 1]);
    assert!(matches!(Patch::from_value(&huge), Err(Error::TooLarge(_))));
    // Copies that double the document are stopped.
    let doubling = (0..60).map(|n| json!({"op": "copy", "from": "/a", "path": format!("/a/{n}")}));
    let doubling = Patch::from_value(&doubling.collect()).unwrap();
    assert!(doubling.apply_within(&mut json!({"a": {"x": "y"}}), 10_000).is_err());
}
