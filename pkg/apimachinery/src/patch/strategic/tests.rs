#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

const TABLE: &str = r#"
T
	name 1 str
	value 2 i32
	simple 3 {}str
	list 4 []&T patch=merge:name
	scalars 5 []str patch=merge
	atomic 6 []&T
	strategy 7 &T patch=retainKeys
	replaced 8 &T patch=replace
	nested 9 &T
	both 10 []&T patch=merge,retainKeys:name
	ports 11 []&T patch=merge:value
	things 12 {}&T
	unkeyed 13 []&T patch=merge
"#;

fn run(target: Value, patch: Value) -> Result<Value> {
    let schema = Schema::parse(TABLE).unwrap();
    let mut out = target;
    apply(&schema, schema.id("T").unwrap(), &mut out, &patch)?;
    Ok(out)
}

fn check(target: Value, patch: Value, expected: Value) {
    assert_eq!(run(target.clone(), patch.clone()), Ok(expected), "{target} + {patch}");
}

#[test]
fn maps_merge_and_null_deletes() {
    check(
        json!({"name": "a", "value": 1}),
        json!({"value": 2}),
        json!({"name": "a", "value": 2}),
    );
    check(
        json!({"name": "a", "value": 1}),
        json!({"value": null}),
        json!({"name": "a"}),
    );
    check(json!({"name": "a"}), json!({"value": null}), json!({"name": "a"}));
    check(
        json!({"simple": {"a": "1", "b": "2"}}),
        json!({"simple": {"b": null, "c": "3"}}),
        json!({"simple": {"a": "1", "c": "3"}}),
    );
    check(
        json!({}),
        json!({"nested": {"name": "a", "value": null}}),
        json!({"nested": {"name": "a"}}),
    );
    check(
        json!({"nested": "odd"}),
        json!({"nested": {"name": "a"}}),
        json!({"nested": {"name": "a"}}),
    );
}

#[test]
fn directives_in_maps_replace_and_delete() {
    check(
        json!({"nested": {"name": "a", "value": 1}}),
        json!({"nested": {"$patch": "replace", "value": 2}}),
        json!({"nested": {"value": 2}}),
    );
    check(
        json!({"nested": {"name": "a"}}),
        json!({"nested": {"$patch": "delete"}}),
        json!({"nested": {}}),
    );
    check(json!({}), json!({"nested": {"$patch": "delete"}}), json!({}));
    check(
        json!({"simple": {"a": "1"}}),
        json!({"simple": {"$patch": "replace"}}),
        json!({"simple": {}}),
    );
    check(
        json!({"replaced": {"name": "a"}}),
        json!({"replaced": {"value": 1}}),
        json!({"replaced": {"value": 1}}),
    );
    assert!(run(json!({"nested": {}}), json!({"nested": {"$patch": "odd"}})).is_err());
}

#[test]
fn keyed_lists_merge_by_key() {
    check(
        json!({"list": [{"name": "a", "value": 1}, {"name": "b", "value": 2}]}),
        json!({"list": [{"name": "b", "value": 3}, {"name": "c", "value": 4}]}),
        json!({"list": [{"name": "a", "value": 1}, {"name": "b", "value": 3}, {"name": "c", "value": 4}]}),
    );
    check(
        json!({"list": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        json!({"list": [{"name": "b", "$patch": "delete"}]}),
        json!({"list": [{"name": "a"}, {"name": "c"}]}),
    );
    check(
        json!({"list": [{"name": "a"}, {"name": "b"}]}),
        json!({"list": [{"$patch": "replace"}, {"name": "z", "value": 1}]}),
        json!({"list": [{"name": "z", "value": 1}]}),
    );
    check(
        json!({"ports": [{"value": 80, "name": "a"}]}),
        json!({"ports": [{"value": 80, "name": "b"}, {"value": 81}]}),
        json!({"ports": [{"value": 80, "name": "b"}, {"value": 81}]}),
    );
    check(
        json!({"list": [{"name": "a", "list": [{"name": "x", "value": 1}]}]}),
        json!({"list": [{"name": "a", "list": [{"name": "y"}]}]}),
        json!({"list": [{"name": "a", "list": [{"name": "y"}, {"name": "x", "value": 1}]}]}),
    );
    check(json!({"list": [{"name": "a"}]}), json!({"list": null}), json!({}));
    check(
        json!({"list": [{"name": "a"}]}),
        json!({"list": []}),
        json!({"list": [{"name": "a"}]}),
    );
    assert!(run(json!({"list": [{"name": "a"}]}), json!({"list": [{"value": 1}]})).is_err());
    assert!(
        run(
            json!({"list": [{"name": "a"}]}),
            json!({"list": [{"$patch": "delete"}]})
        )
        .is_err()
    );
}

#[test]
fn entries_of_maps_of_structs_merge_by_the_table() {
    check(
        json!({"things": {"k": {"list": [{"name": "a"}]}}}),
        json!({"things": {"k": {"list": [{"name": "b"}]}}}),
        json!({"things": {"k": {"list": [{"name": "b"}, {"name": "a"}]}}}),
    );
}

#[test]
fn other_lists_are_replaced() {
    check(
        json!({"atomic": [{"name": "a"}]}),
        json!({"atomic": [{"name": "b"}]}),
        json!({"atomic": [{"name": "b"}]}),
    );
    check(
        json!({"unknown": [1]}),
        json!({"unknown": [2]}),
        json!({"unknown": [2]}),
    );
}

#[test]
fn scalar_lists_merge_as_sets() {
    check(
        json!({"scalars": ["a", "b"]}),
        json!({"scalars": ["b", "c"]}),
        json!({"scalars": ["a", "b", "c"]}),
    );
    check(
        json!({"scalars": ["a", "b", "c"]}),
        json!({"$deleteFromPrimitiveList/scalars": ["b", "x"]}),
        json!({"scalars": ["a", "c"]}),
    );
    check(
        json!({"scalars": ["a", "b", "c"]}),
        json!({"$setElementOrder/scalars": ["c", "d", "a"], "$deleteFromPrimitiveList/scalars": ["b"], "scalars": ["d"]}),
        json!({"scalars": ["c", "d", "a"]}),
    );
    check(json!({}), json!({"$deleteFromPrimitiveList/scalars": ["b"]}), json!({}));
}

#[test]
fn element_order_is_set() {
    check(
        json!({"list": [{"name": "a"}, {"name": "b"}, {"name": "s"}]}),
        json!({"$setElementOrder/list": [{"name": "b"}, {"name": "c"}, {"name": "a"}], "list": [{"name": "c", "value": 1}]}),
        json!({"list": [{"name": "b"}, {"name": "c", "value": 1}, {"name": "a"}, {"name": "s"}]}),
    );
    check(
        json!({"list": [{"name": "a"}, {"name": "b"}]}),
        json!({"$setElementOrder/list": [{"name": "b"}, {"name": "a"}]}),
        json!({"list": [{"name": "b"}, {"name": "a"}]}),
    );
    check(
        json!({"list": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        json!({"$setElementOrder/list": [{"name": "a"}, {"name": "c"}], "list": [{"name": "b", "$patch": "delete"}]}),
        json!({"list": [{"name": "a"}, {"name": "c"}]}),
    );
    assert!(
        run(
            json!({"list": [{"name": "a"}]}),
            json!({"$setElementOrder/list": [{"name": "b"}, {"name": "a"}], "list": [{"name": "a"}, {"name": "b"}]})
        )
        .is_err()
    );
}

#[test]
fn retained_keys_drop_the_others() {
    check(
        json!({"strategy": {"name": "RollingUpdate", "nested": {"value": 1}}}),
        json!({"strategy": {"$retainKeys": ["name"], "name": "Recreate"}}),
        json!({"strategy": {"name": "Recreate"}}),
    );
    check(
        json!({"both": [{"name": "v", "nested": {"value": 1}}, {"name": "w"}]}),
        json!({"both": [{"$retainKeys": ["name", "simple"], "name": "v", "simple": {"a": "b"}}]}),
        json!({"both": [{"name": "v", "simple": {"a": "b"}}, {"name": "w"}]}),
    );
    let bad = json!({"strategy": {"$retainKeys": ["name"], "value": 1}});
    assert!(matches!(run(json!({"strategy": {}}), bad), Err(Error::Malformed(_))));
}

#[test]
fn of_the_directives_in_new_values_only_patch_is_heard() {
    check(
        json!({}),
        json!({"nested": {"$setElementOrder/list": [{"name": "a"}], "list": [{"name": "a"}, {"name": "b", "$patch": "delete"}]}}),
        json!({"nested": {"$setElementOrder/list": [{"name": "a"}], "list": [{"name": "a"}]}}),
    );
    // An element that is appended is not even looked at.
    check(
        json!({"list": [{"name": "a"}]}),
        json!({"list": [{"name": "b", "nested": {"$patch": "delete"}, "value": null}]}),
        json!({"list": [{"name": "b", "nested": {"$patch": "delete"}, "value": null}, {"name": "a"}]}),
    );
}

/// As `kubectl apply` writes it when a rolling update becomes another strategy.
#[test]
fn what_is_not_retained_may_be_null_in_the_patch() {
    check(
        json!({"strategy": {"name": "RollingUpdate", "nested": {"value": 1}}}),
        json!({"strategy": {"$retainKeys": ["name"], "name": "Recreate", "nested": null}}),
        json!({"strategy": {"name": "Recreate"}}),
    );
    check(
        json!({"strategy": {"name": "a", "scalars": ["x", "y"]}}),
        json!({"strategy": {"$retainKeys": ["name"], "$deleteFromPrimitiveList/scalars": ["x"]}}),
        json!({"strategy": {"name": "a"}}),
    );
}

#[test]
fn a_list_is_deleted_from_only_when_there_is_one() {
    let gone = |value: Value| json!({"$deleteFromPrimitiveList/scalars": value});
    check(json!({"scalars": ["a"]}), gone(json!("a")), json!({"scalars": ["a"]}));
    check(json!({"scalars": ["a"]}), gone(Value::Null), json!({}));
    check(json!({"name": "a"}), gone(json!([1])), json!({"name": "a"}));
}

#[test]
fn an_empty_patch_may_be_null() {
    check(json!({"name": "a"}), Value::Null, json!({"name": "a"}));
}

#[test]
fn patches_that_cannot_be_merged_are_refused_in_upstreams_words() {
    let list = json!({"name": "n", "list": [{"name": "a"}], "scalars": ["a"], "nested": {}, "unkeyed": [{"a": 1}]});
    for (patch, code, why) in [
        (
            json!([1]),
            400,
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            json!({"nested": {"$patch": "merge"}}),
            500,
            "unknown patch type: merge in map: map[$patch:merge]",
        ),
        (
            json!({"nested": {"$patch": 3, "name": "x"}}),
            500,
            "unknown patch type: %!s(int64=3) in map: map[$patch:3 name:x]",
        ),
        (
            json!({"list": [{"value": 1}]}),
            500,
            "map: map[value:1] does not contain declared merge key: name",
        ),
        (
            json!({"list": [{"$patch": "merge"}]}),
            500,
            "merging lists cannot yet be specified in the patch",
        ),
        (
            json!({"list": ["a"]}),
            500,
            "list element types are not identical: [[map[name:a]] [a]]",
        ),
        (
            json!({"unkeyed": [{"a": 2}]}),
            500,
            "cannot merge lists without merge key for struct",
        ),
        (
            json!({"scalars": ["b", 1]}),
            500,
            "list element types are not identical: [[a] [b 1]]",
        ),
        (json!({"$retainKeys": 1}), 400, "invalid patch format of retainKeys"),
        (
            json!({"$setElementOrder": []}),
            400,
            "invalid patch format of setElementOrder list",
        ),
        (
            json!({"$deleteFromPrimitiveList": []}),
            400,
            "invalid patch format of primitive list",
        ),
        (
            json!({"$setElementOrder/list": "a"}),
            500,
            "expected a []interface {}, but received a string",
        ),
        (
            json!({"$setElementOrder/list": [], "list": null}),
            500,
            "expected a []interface {}, but received a %!s(<nil>)",
        ),
        (
            json!({"$setElementOrder/nope": [1]}),
            500,
            "unable to find api field in struct T for the json field \"nope\"",
        ),
        (
            json!({"$setElementOrder/list": [{"name": "b"}, {"name": "a"}], "list": [{"name": "a"}, {"name": "b"}]}),
            500,
            "The order in patch list:\n[map[name:a] map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:b] map[name:a]]\n",
        ),
    ] {
        let error = run(list.clone(), patch.clone()).unwrap_err().to_api_error();
        assert_eq!((error.code, error.message.as_str()), (code, why), "{patch}");
    }
    let lists = run(json!({"scalars": [["a"]]}), json!({"scalars": [["b"]]})).unwrap_err();
    assert_eq!(
        lists,
        Error::Inapplicable("lists of lists are not supported".to_owned())
    );
}

#[test]
fn an_order_of_nothing_orders_nothing() {
    check(
        json!({"list": [{"name": "b"}]}),
        json!({"$setElementOrder/list": [], "list": [{"name": "a"}]}),
        json!({"list": [{"name": "a"}, {"name": "b"}]}),
    );
}
