//! Who owns what after which writes.

use serde_json::{Value, json};

use super::Story;

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image})
}

#[test]
fn what_a_manager_no_longer_applies_goes() {
    // (first, second, left)
    let cases = [
        (
            json!({"replicas": 3, "paused": true}),
            json!({"replicas": 3}),
            json!({"replicas": 3}),
        ),
        (
            json!({"tags": ["a", "b"]}),
            json!({"tags": ["b", "c"]}),
            json!({"tags": ["b", "c"]}),
        ),
        (
            json!({"args": ["a", "b"]}),
            json!({"args": ["c"]}),
            json!({"args": ["c"]}),
        ),
        (
            json!({"limits": {"cpu": "1", "mem": "1Gi"}}),
            json!({"limits": {"cpu": "2"}}),
            json!({"limits": {"cpu": "2"}}),
        ),
        (
            json!({"containers": [container("a", "x"), container("b", "y")]}),
            json!({"containers": [container("b", "z")]}),
            json!({"containers": [container("b", "z")]}),
        ),
        (
            json!({"selector": {"labels": {"a": "b"}, "more": ["x"]}}),
            json!({"selector": {"labels": {"c": "d"}}}),
            json!({"selector": {"labels": {"c": "d"}}}),
        ),
        (
            json!({"match": {"a": "b"}}),
            json!({"match": {"c": "d"}}),
            json!({"match": {"c": "d"}}),
        ),
        (
            json!({"free": {"a": {"b": 1}}}),
            json!({"free": {"a": {"c": 1}}}),
            json!({"free": {"a": {"c": 1}}}),
        ),
        (
            json!({"any": {"a": {"b": 1}}}),
            json!({"any": {"a": {"c": 1}}}),
            json!({"any": {"a": {"c": 1}}}),
        ),
        (json!({"any": 1}), json!({"any": {"a": 1}}), json!({"any": {"a": 1}})),
        (
            json!({"strategy": {"type": "Rolling", "rolling": {"surge": 1}}}),
            json!({"strategy": {"type": "Recreate"}}),
            json!({"strategy": {"type": "Recreate"}}),
        ),
    ];
    for (first, second, left) in cases {
        let mut story = Story::new();
        story.apply("a", first.clone());
        assert_eq!(story.spec(), first);
        story.apply("a", second);
        assert_eq!(story.spec(), left, "after {first}");
    }
}

#[test]
fn what_others_own_or_nobody_owns_stays() {
    // (an earlier update, first apply, second apply, left)
    let cases = [
        (
            json!({"paused": true}),
            json!({"replicas": 3}),
            json!({}),
            json!({"paused": true}),
        ),
        (
            json!({"containers": [container("x", "i")]}),
            json!({"containers": [container("a", "j")]}),
            json!({}),
            json!({"containers": [container("x", "i")]}),
        ),
        (
            json!({"tags": ["x"]}),
            json!({"tags": ["a", "x"]}),
            json!({"tags": ["b"]}),
            json!({"tags": ["x", "b"]}),
        ),
    ];
    for (before, first, second, left) in cases {
        let mut story = Story::new();
        story.update("other", before.clone());
        story.apply("a", first);
        story.apply("a", second);
        assert_eq!(story.spec(), left, "after {before}");
    }
}

#[test]
fn fields_of_two_appliers_go_when_the_last_one_lets_go() {
    let mut story = Story::new();
    story.apply("a", json!({"replicas": 3, "tags": ["x"]}));
    story.apply("b", json!({"replicas": 3}));
    assert_eq!(story.owned("b"), [".replicas"]);
    story.apply("a", json!({"tags": ["x"]}));
    assert_eq!(story.spec(), json!({"replicas": 3, "tags": ["x"]}));
    story.apply("b", json!({}));
    assert_eq!(story.spec(), json!({"tags": ["x"]}));
    // An empty map is a leaf of its own.
    assert_eq!(story.owned("b"), [""]);
}

#[test]
fn conflicts_name_the_owner_and_the_field() {
    let mut story = Story::new();
    story.update(
        "up",
        json!({"replicas": 3, "ports": [{"port": 443}, {"port": 80, "name": "web"}]}),
    );
    let e = story.refused("a", json!({"replicas": 5}));
    let text = "Apply failed with 1 conflict: conflict with \"up\" using things/v1: .spec.replicas";
    assert_eq!((e.code, e.reason.as_ref(), e.message.as_str()), (409, "Conflict", text));
    let causes = e.details.unwrap().causes;
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].message, "conflict with \"up\" using things/v1");
    assert_eq!(causes[0].field, ".spec.replicas");

    story.apply("z", json!({"tags": ["t"], "args": ["x"]}));
    let e = story.refused(
        "a",
        json!({"replicas": 5, "args": ["y"], "ports": [{"port": 80, "name": "www"}]}),
    );
    let text = "Apply failed with 3 conflicts: conflicts with \"up\" using things/v1:\n- .spec.replicas\n\
                - .spec.ports[port=80,protocol=\"TCP\"].name\nconflicts with \"z\":\n- .spec.args";
    assert_eq!(e.message, text);
}

#[test]
fn force_takes_fields_over_and_equal_values_are_shared() {
    let mut story = Story::new();
    story.apply("a", json!({"replicas": 3, "paused": true}));
    story.force("b", json!({"replicas": 5, "paused": true}));
    assert_eq!(story.owned("a"), [".paused"]);
    assert_eq!(story.owned("b"), [".paused", ".replicas"]);
    // What it lost it cannot remove any more.
    story.apply("a", json!({"paused": true}));
    assert_eq!(story.spec(), json!({"replicas": 5, "paused": true}));
}

#[test]
fn an_update_takes_fields_without_asking() {
    let mut story = Story::new();
    story.apply("a", json!({"replicas": 3, "tags": ["x", "y"]}));
    story.update("up", json!({"replicas": 4, "tags": ["x"]}));
    assert_eq!(story.owned("a"), [".tags[=\"x\"]"]);
    assert_eq!(story.owned("up"), [".replicas"]);
    let e = story.refused("a", json!({"replicas": 3, "tags": ["x"]}));
    assert!(
        e.message.contains("\"up\" using things/v1: .spec.replicas"),
        "{}",
        e.message
    );
}

#[test]
fn an_owners_time_moves_only_when_its_fields_do() {
    let mut story = Story::new();
    story.apply("a", json!({"replicas": 3}));
    story.update("up", json!({"replicas": 3, "paused": true}));
    assert_eq!(story.owners(), ["a Apply 01", "up Update 02"]);
    // Nothing changes.
    story.apply("a", json!({"replicas": 3}));
    story.update("up", json!({"replicas": 3, "paused": true}));
    story.update("third", json!({"replicas": 3, "paused": true}));
    assert_eq!(story.owners(), ["a Apply 01", "up Update 02"]);
    // A field goes: nobody's time moves, but the field has no owner.
    story.update("up", json!({"replicas": 3}));
    assert_eq!(story.owners(), ["a Apply 01"]);
    story.apply("a", json!({"replicas": 4}));
    assert_eq!(story.owners(), ["a Apply 09"].map(|s| s.replace("09", "07")));
}

#[test]
fn a_created_object_has_the_fields_upstream_lists() {
    let mut story = Story::new();
    let mut object = story.object(json!({
        "containers": [{"name": "c", "image": "i"}], "strategy": {"type": "Recreate"},
        "ports": [{"port": 80, "protocol": "TCP"}]}));
    object["metadata"]["labels"] = json!({"app": "x"});
    story.write("kubectl-create", object);
    let fields = &story.live["metadata"]["managedFields"][0];
    let text = super::Set::from_fields_v1(&fields["fieldsV1"])
        .unwrap()
        .to_fields_v1_text();
    let expected = concat!(
        r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"#,
        r#""f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{},"f:resources":{}}},"#,
        r#""f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:protocol":{}}},"#,
        r#""f:strategy":{".":{},"f:type":{}}}}"#
    );
    assert_eq!(text, expected);
    assert_eq!(fields["apiVersion"], "things/v1");
    assert_eq!(fields["fieldsType"], "FieldsV1");
    assert_eq!(fields["time"], "2026-01-01T00:00:01Z");
}

#[test]
fn subresources_have_owners_of_their_own_and_reset_fields_are_nobodys() {
    let mut story = Story::new().resetting(&[&["status"]]);
    let mut object = story.object(json!({"replicas": 1}));
    object["status"] = json!({"phase": "made up"});
    story.try_apply("a", &object, false).unwrap();
    let fields = &story.live["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields.to_string(), r#"{"f:spec":{"f:replicas":{}}}"#);

    let mut story = Story {
        subresource: "status",
        ..story
    }
    .resetting(&[&["spec"]]);
    object["status"] = json!({"phase": "Ready", "conditions": [{"type": "Up", "status": "True"}]});
    story.try_apply("a", &object, false).unwrap();
    let list = story.live["metadata"]["managedFields"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!(list[0].get("subresource"), None);
    assert_eq!(list[1]["subresource"], "status");
    let text = list[1]["fieldsV1"].to_string();
    assert!(
        text.starts_with(r#"{"f:status":{"f:conditions":{"k:{\"type\":\"Up\"}":{".":{}"#),
        "{text}"
    );
    // What the path resets is no reason for a conflict.
    story.apply("b", json!({"replicas": 2}));
    assert_eq!(story.owners(), ["a Apply 01", "a Apply 02"]);
}

#[test]
fn more_than_ten_update_managers_are_merged_from_the_oldest() {
    let mut story = Story::new();
    for n in 0..13 {
        let tags: Vec<String> = (0..=n).map(|n| format!("t{n:02}")).collect();
        story.update(&format!("m{n:02}"), json!({"tags": tags}));
    }
    let owners = story.owners();
    assert_eq!(owners.len(), 10, "{owners:?}");
    assert_eq!(owners[0], "ancient-changes Update 04");
    assert_eq!(owners[1], "m04 Update 05");
    let ancient = story.owned("ancient-changes");
    assert_eq!(
        ancient,
        [
            ".tags",
            ".tags[=\"t00\"]",
            ".tags[=\"t01\"]",
            ".tags[=\"t02\"]",
            ".tags[=\"t03\"]"
        ]
    );
}

#[test]
fn what_was_merged_before_is_merged_further() {
    let mut story = Story::new();
    for n in 0..30 {
        let tags: Vec<String> = (0..=n).map(|n| format!("t{n:02}")).collect();
        story.update(&format!("m{n:02}"), json!({"tags": tags}));
    }
    let owners = story.owners();
    assert_eq!(owners.len(), 10, "{owners:?}");
    assert_eq!(owners[0], "ancient-changes Update 21");
    assert_eq!(story.owned("ancient-changes").len(), 22);
    assert_eq!(story.owned("m21"), [".tags[=\"t21\"]"]);
}

/// A client may send as many owners as fit its request. Work that grows with their square would not end.
#[test]
fn very_many_owners_are_as_many_times_the_work_of_one() {
    let mut story = Story::new();
    story.update("m", json!({"paused": true}));
    let entry = |n: usize| {
        json!({"manager": format!("m{n}"), "operation": "Update", "apiVersion": "things/v1", "fieldsType": "FieldsV1",
            "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {format!("f:x{n}"): {}}}})
    };
    let mut object = story.live.clone();
    object["metadata"]["managedFields"] = (0..20_000).map(entry).collect();
    story.write("up", object);
    let owners = story.owners();
    assert_eq!(owners.len(), 10, "{owners:?}");
    assert_eq!(story.owned("ancient-changes").len(), 20_000 - 9);
    // Of entries of one owner the last one counts.
    let mut object = story.live.clone();
    let list = object["metadata"]["managedFields"].as_array_mut().unwrap();
    let mut again = list[1].clone();
    again["fieldsV1"] = json!({"f:spec": {"f:paused": {}}});
    list.push(again.clone());
    story.write("up", object);
    assert_eq!(story.owned(again["manager"].as_str().unwrap()), [".paused"]);
}

#[test]
fn field_sets_of_another_version_follow_the_object() {
    let mut story = Story::new();
    story.apply("old", json!({"replicas": 3, "tags": ["a"]}));
    story.live = story.versions_convert("things/v1", "things/v2");
    let mut story = Story {
        api_version: "things/v2",
        ..story
    };
    let e = story.refused("new", json!({"size": 4}));
    assert_eq!(
        e.message,
        "Apply failed with 1 conflict: conflict with \"old\": .spec.replicas"
    );
    story.force("new", json!({"size": 4}));
    assert_eq!(story.owned("old"), [".tags[=\"a\"]"]);
    // The first manager goes on in the new version: what it had in the old one goes.
    story.apply("old", json!({"tags": ["b"]}));
    assert_eq!(story.spec(), json!({"size": 4, "tags": ["b"]}));
    // Entries of a version that is gone are dropped.
    story.live["metadata"]["managedFields"][1]["apiVersion"] = "things/v0".into();
    story.apply("new", json!({"size": 4}));
    assert_eq!(story.owners().len(), 1);
}

impl Story {
    fn versions_convert(&self, from: &str, to: &str) -> Value {
        use super::Versions as _;
        self.versions.convert(&self.live, from, to)
    }
}

#[test]
fn lists_keep_their_order_unless_the_configuration_says_another() {
    // (live, applied, merged)
    let cases = [
        (vec!["a", "b", "c"], vec!["c"], vec!["a", "b", "c"]),
        (vec!["a", "b", "c"], vec!["c", "a"], vec!["b", "c", "a"]),
        (vec!["a", "b"], vec!["x", "b"], vec!["a", "x", "b"]),
        (vec!["a", "b", "c"], vec!["b", "x", "c"], vec!["a", "b", "x", "c"]),
        (vec![], vec!["b", "a"], vec!["b", "a"]),
    ];
    for (live, applied, merged) in cases {
        let mut story = Story::new();
        story.update("up", json!({"tags": live}));
        story.apply("a", json!({"tags": applied}));
        assert_eq!(story.spec(), json!({"tags": merged}), "{live:?} + {applied:?}");
    }
}

#[test]
fn duplicates_in_the_live_object_are_one_leaf() {
    let mut story = Story::new();
    let twice = json!([{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]);
    story.update("up", json!({ "ports": twice }));
    assert_eq!(story.owned("up"), [".ports", ".ports[port=80,protocol=\"TCP\"]"]);
    // An applier of something else may leave them alone.
    story.apply("a", json!({"replicas": 1}));
    assert_eq!(story.spec(), json!({"ports": twice, "replicas": 1}));
    // One that names the element replaces both.
    let e = story.refused("a", json!({"ports": [{"port": 80, "name": "c"}]}));
    assert!(
        e.message.contains(".spec.ports[port=80,protocol=\"TCP\"]"),
        "{}",
        e.message
    );
    story.force("a", json!({"ports": [{"port": 80, "name": "c"}]}));
    assert_eq!(story.spec()["ports"], json!([{"port": 80, "name": "c"}]));
}

#[test]
fn configurations_that_do_not_fit_are_refused_with_upstreams_texts() {
    let typed = "failed to create typed patch object (n/t; things/v1, Kind=Thing): ";
    let cases = [
        (json!({"nope": 1}), ".spec.nope: field not declared in schema"),
        (
            json!({"replicas": "x"}),
            ".spec.replicas: expected numeric (int or float), got string",
        ),
        (
            json!({"strategy": {"type": 1}}),
            ".spec.strategy.type: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            json!({"secrets": {"a": 1}}),
            ".spec.secrets.a: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (json!({"paused": "yes"}), ".spec.paused: expected boolean, got &{yes}"),
        (json!({"args": {"a": 1}}), ".spec.args: expected list, got &{map[a:1]}"),
        (
            json!({"strategy": [1, "b"]}),
            ".spec.strategy: expected map, got &{[1 b]}",
        ),
        (
            json!({"containers": [{"name": "x"}, {"name": "x"}]}),
            ".spec.containers: duplicate entries for key [name=\"x\"]",
        ),
        (
            json!({"tags": ["x", "x"]}),
            ".spec.tags: duplicate entries for key [=\"x\"]",
        ),
        (
            json!({"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}),
            ".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]",
        ),
        (
            json!({"containers": [{"name": "x", "nope": 1}], "nope": 2}),
            "errors:\n  .spec.containers[name=\"x\"].nope: field not declared in schema\n  .spec.nope: field not declared in schema",
        ),
    ];
    for (spec, why) in cases {
        let e = Story::new().refused("a", spec);
        assert_eq!((e.code, e.message), (500, format!("{typed}{why}")));
    }

    let mut story = Story::new();
    let mut config = story.object(json!({}));
    config["metadata"]["managedFields"] = json!([]);
    let e = story.try_apply("a", &config, false).unwrap_err();
    assert_eq!(
        (e.code, e.message.as_str()),
        (400, "metadata.managedFields must be nil")
    );
    // What is no list is looked at as any field (`unstructured.GetManagedFields`).
    config["metadata"]["managedFields"] = json!("x");
    let e = story.try_apply("a", &config, false).unwrap_err();
    let why = format!("{typed}.metadata.managedFields: expected list, got &{{x}}");
    assert_eq!((e.code, e.message), (500, why));
    let other = json!({"apiVersion": "v1", "kind": "Pod"});
    let e = story.try_apply("a", &other, false).unwrap_err();
    assert_eq!(
        (e.code, e.message.as_str()),
        (400, "invalid object type: /v1, Kind=Pod")
    );
}

/// Its schema names no type (kube-openapi `GenerateOpenAPIV3OneOfSchema`): apply looks no further, decoding does.
#[test]
fn a_number_or_text_may_look_like_anything_to_apply() {
    let mut story = Story::new();
    story.apply("a", json!({"ports": [{"port": 80, "target": {"a": 1}}]}));
    assert_eq!(story.spec()["ports"][0]["target"], json!({"a": 1}));
    assert!(
        story
            .owned("a")
            .contains(&".ports[port=80,protocol=\"TCP\"].target.a".to_owned())
    );
    story.apply("a", json!({"ports": [{"port": 80, "target": "web"}]}));
    assert_eq!(story.spec()["ports"][0]["target"], json!("web"));
}
