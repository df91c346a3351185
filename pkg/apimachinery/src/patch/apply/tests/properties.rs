//! What must hold for any objects.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::set::path_text;
use super::super::{Element, Managed};
use super::Story;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![(0..3_i64).prop_map(Value::from), "[ab]".prop_map(Value::from)]
}

fn named(inner: BoxedStrategy<Map<String, Value>>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|all| {
        let items = all.into_iter().map(|(name, mut map)| {
            map.insert("name".to_owned(), name.into());
            Value::Object(map)
        });
        Value::Array(items.collect())
    })
}

fn fields(all: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Map<String, Value>> {
    let each: Vec<BoxedStrategy<Option<(String, Value)>>> = all
        .into_iter()
        .map(|(name, value)| prop::option::of(value.prop_map(move |value| (name.to_owned(), value))).boxed())
        .collect();
    each.prop_map(|found| found.into_iter().flatten().collect()).boxed()
}

fn spec() -> BoxedStrategy<Value> {
    let texts = || {
        prop::collection::btree_set("[a-d]", 0..4)
            .prop_map(|set| json!(set))
            .boxed()
    };
    let map = || {
        prop::collection::btree_map("[a-c]", "[xy]", 0..3)
            .prop_map(|map| json!(map))
            .boxed()
    };
    let env = named(fields(vec![("value", "[xy]".prop_map(Value::from).boxed())])).boxed();
    let container = named(fields(vec![
        ("image", "[xy]".prop_map(Value::from).boxed()),
        ("env", env),
        ("args", texts()),
    ]));
    let ports = prop::collection::btree_map(1..4_i64, "[xy]", 0..3).prop_map(|all| {
        Value::Array(
            all.into_iter()
                .map(|(port, name)| json!({"port": port, "name": name}))
                .collect(),
        )
    });
    let any = prop_oneof![scalar(), map(), texts()];
    fields(vec![
        ("replicas", (0..3_i64).prop_map(Value::from).boxed()),
        ("tags", texts()),
        ("args", texts()),
        ("limits", map()),
        ("match", map()),
        ("selector", map().prop_map(|labels| json!({ "labels": labels })).boxed()),
        ("free", map()),
        ("any", any.boxed()),
        ("containers", container.boxed()),
        ("ports", ports.boxed()),
    ])
    .prop_map(Value::Object)
    .boxed()
}

fn without_times(live: &Value) -> Value {
    let mut live = live.clone();
    for entry in live["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        entry["time"] = Value::Null;
    }
    live
}

fn is_there(value: &Value, path: &[Element]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let items = value.as_array().into_iter().flatten();
    let found = match first {
        Element::Field(name) => value.get(&**name),
        Element::Value(wanted) => items.clone().find(|item| *item == wanted),
        Element::Key(keys) => items.clone().find(|item| {
            let same = |(name, wanted): &(Box<str>, Value)| item.get(&**name).is_none_or(|value| value == wanted);
            keys.iter().all(same)
        }),
        Element::Index(_) => None,
    };
    found.is_some_and(|inside| is_there(inside, rest))
}

proptest! {
    #[test]
    fn applying_twice_changes_nothing(before in spec(), config in spec()) {
        let mut story = Story::new();
        story.update("up", before);
        story.force("a", config.clone());
        let once = story.live.clone();
        story.apply("a", config);
        prop_assert_eq!(&story.live, &once);
    }

    #[test]
    fn what_was_applied_is_there_and_owned(before in spec(), config in spec()) {
        let mut story = Story::new();
        story.update("up", before);
        story.force("a", config.clone());
        // Laid over the outcome once more it changes nothing, under another name either.
        let spec = story.spec();
        story.apply("b", config);
        prop_assert_eq!(story.spec(), spec);
    }

    #[test]
    fn owners_own_only_what_is_there(steps in prop::collection::vec((spec(), 0..3_usize, any::<bool>()), 1..5)) {
        let mut story = Story::new();
        for (spec, who, update) in steps {
            let manager = ["a", "b", "c"][who];
            if update { story.update(manager, spec) } else { story.force(manager, spec) }
            let managed = Managed::decode(story.live["metadata"].get("managedFields")).unwrap();
            for entry in managed.entries {
                let mut missing = vec![];
                entry.fields.set().for_each(&mut |path| {
                    // Some fields Go always writes; a spec of nothing but empty lists goes with its last field.
                    let text = path_text(path);
                    let written = [".spec", ".spec.containers"].contains(&&*text) || text.ends_with(".resources");
                    if !written && !is_there(&story.live, path) {
                        missing.push(text);
                    }
                });
                prop_assert!(missing.is_empty(), "{missing:?} of {} in {}", entry.owner.manager, story.live);
            }
        }
    }

    #[test]
    fn an_update_that_changes_nothing_keeps_the_owners(first in spec(), second in spec()) {
        let mut story = Story::new();
        story.update("up", first);
        story.force("a", second);
        let before = story.live.clone();
        let object = story.live.clone();
        story.write("other", object);
        prop_assert_eq!(without_times(&story.live), without_times(&before));
    }
}
