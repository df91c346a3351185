use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use super::*;

fn object(uid: &str, owners: &[&str]) -> PartialObjectMetadata {
    let reference = |owner: &&str| OwnerReference {
        api_version: "v1".into(),
        kind: "Owner".into(),
        name: format!("name-{owner}"),
        uid: (*owner).to_owned(),
        block_owner_deletion: Some(true),
        controller: None,
    };
    let metadata = ObjectMeta {
        name: Some(format!("name-{uid}")),
        namespace: Some("ns".into()),
        uid: Some(uid.to_owned()),
        owner_references: Some(owners.iter().map(reference).collect()),
        ..ObjectMeta::default()
    };
    PartialObjectMetadata {
        metadata,
        ..PartialObjectMetadata::default()
    }
}

fn deleting(uid: &str, finalizer: &str) -> PartialObjectMetadata {
    let mut object = object(uid, &[]);
    object.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    object.metadata.finalizers = Some(vec![finalizer.to_owned()]);
    object
}

fn see(graph: &mut Graph, object: &PartialObjectMetadata) -> Vec<Todo> {
    graph.observe("v1", "Thing", object)
}

fn delete(uid: &str) -> Todo {
    Todo::Delete(uid.to_owned())
}

#[test]
fn dependents_are_looked_at_when_the_owner_goes() {
    let mut graph = Graph::default();
    assert_eq!(see(&mut graph, &object("owner", &[])), []);
    assert_eq!(see(&mut graph, &object("b", &["owner"])), []);
    assert_eq!(see(&mut graph, &object("a", &["owner"])), []);
    assert_eq!(graph.remove("owner"), [delete("a"), delete("b")]);
    assert_eq!(graph.remove("owner"), []);
}

#[test]
fn unseen_owner_is_looked_up_once_and_becomes_real_when_seen() {
    let mut graph = Graph::default();
    assert_eq!(see(&mut graph, &object("a", &["owner"])), [delete("owner")]);
    assert_eq!(see(&mut graph, &object("b", &["owner"])), []);
    assert!(graph.get("owner").unwrap().is_virtual);
    assert_eq!(see(&mut graph, &object("owner", &[])), []);
    assert!(!graph.get("owner").unwrap().is_virtual);
    assert_eq!(graph.dependents_of("owner").len(), 2);
}

#[test]
fn foreground_owner_asks_for_its_dependents_and_hears_of_each_end() {
    let mut graph = Graph::default();
    see(&mut graph, &object("owner", &[]));
    see(&mut graph, &object("a", &["owner"]));
    assert_eq!(
        see(&mut graph, &deleting("owner", FOREGROUND)),
        [delete("a"), delete("owner")]
    );
    assert_eq!(
        see(&mut graph, &deleting("owner", FOREGROUND)),
        [],
        "only the transition counts"
    );
    assert_eq!(see(&mut graph, &object("late", &["owner"])), [delete("late")]);
    assert_eq!(graph.remove("a"), [delete("owner")]);
    assert_eq!(
        see(&mut graph, &object("late", &[])),
        [delete("owner")],
        "no longer blocked by it"
    );
}

#[test]
fn orphan_finalizer_starts_orphaning_once() {
    let mut graph = Graph::default();
    see(&mut graph, &object("owner", &[]));
    assert_eq!(
        see(&mut graph, &deleting("owner", ORPHAN)),
        [Todo::Orphan("owner".into())]
    );
    assert_eq!(see(&mut graph, &deleting("owner", ORPHAN)), []);
}

#[test]
fn virtual_owner_goes_with_its_last_dependent() {
    let mut graph = Graph::default();
    see(&mut graph, &object("a", &["ghost"]));
    graph.remove("a");
    assert!(graph.get("ghost").is_none());
}
