//! Objects that were not applied from the start, and kubectl's client-side apply.

use serde_json::{Value, json};

use super::super::manager::LAST_APPLIED;
use super::Story;

#[test]
fn what_was_there_before_the_first_apply_has_an_owner() {
    let mut story = Story::new();
    story.live = story.object(json!({"replicas": 3, "paused": true}));
    story.live["metadata"]["uid"] = "u".into();
    // Updates alone track nothing.
    story.update("up", json!({"replicas": 3, "paused": false}));
    assert_eq!(story.owners(), [""; 0]);
    let e = story.refused("a", json!({"replicas": 4}));
    let text = "Apply failed with 1 conflict: conflict with \"before-first-apply\" using things/v1: .spec.replicas";
    assert_eq!(e.message, text);
    story.apply("a", json!({"replicas": 3}));
    assert_eq!(story.owned("before-first-apply"), [".paused", ".replicas"]);
    // The object did not change: upstream gives the new owner no time.
    assert_eq!(story.owners(), ["a Apply -", "before-first-apply Update 03"]);
}

#[test]
fn a_client_resets_owners_with_an_empty_list_or_entry() {
    for reset in [json!([]), json!([{}])] {
        let mut story = Story::new();
        story.apply("a", json!({"replicas": 3}));
        let mut object = story.live.clone();
        object["metadata"]["managedFields"] = reset;
        story.write("up", object);
        assert_eq!(story.owners(), [""; 0]);
    }
}

#[test]
fn owners_a_client_sends_are_taken_when_they_are_valid() {
    let mut story = Story::new();
    story.apply("a", json!({"replicas": 3}));
    let mut object = story.live.clone();
    object["metadata"]["managedFields"][0]["manager"] = "renamed".into();
    story.write("up", object.clone());
    assert_eq!(story.owners(), ["renamed Apply 01"]);
    // Invalid ones and none at all leave the stored ones.
    object["metadata"]["managedFields"][0]["operation"] = "Nope".into();
    story.write("up", object.clone());
    assert_eq!(story.owners(), ["renamed Apply 01"]);
    object["metadata"]["managedFields"] = Value::Null;
    story.write("up", object);
    assert_eq!(story.owners(), ["renamed Apply 01"]);
}

/// An object as `kubectl apply` leaves it.
fn client_side(story: &mut Story, spec: &Value) {
    let config = story.object(spec.clone());
    let mut object = config.clone();
    object["metadata"]["annotations"] = json!({LAST_APPLIED: format!("{config}\n")});
    story.write("kubectl-client-side-apply", object);
}

#[test]
fn kubectl_takes_over_what_it_applied_on_the_client_side() {
    let mut story = Story::new();
    client_side(&mut story, &json!({"replicas": 3, "tags": ["a"]}));
    // Another manager cannot.
    assert_eq!(story.refused("other", json!({"replicas": 4})).code, 409);
    story.apply("kubectl", json!({"replicas": 4, "tags": ["a"]}));
    assert_eq!(story.spec()["replicas"], 4);
    // The annotation follows.
    let text = story.live["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert!(text.ends_with("}\n"));
    let last: Value = serde_json::from_str(text).unwrap();
    assert_eq!(last, story.object(json!({"replicas": 4, "tags": ["a"]})));
}

#[test]
fn what_changed_since_the_client_side_apply_conflicts() {
    let mut story = Story::new();
    client_side(&mut story, &json!({"replicas": 3, "paused": true}));
    let mut object = story.live.clone();
    object["spec"]["replicas"] = 7.into();
    story.write("autoscaler", object);
    let e = story.refused("kubectl", json!({"replicas": 3, "paused": false}));
    let text = "Apply failed with 1 conflict: conflict with \"autoscaler\" using things/v1: .spec.replicas";
    assert_eq!(e.message, text);
}
