//! Lists and maps that a client gave and that are empty. Go drops them when it writes an object, and so does the decoder;
//! validation sees them in Go, because it comes before.

use std::borrow::Cow;

use serde_json::Value;

/// An object with the empty values at their JSON pointers, where there is nothing else by now.
pub(super) fn with<'a>(obj: &'a Value, given: &[(String, Value)]) -> Cow<'a, Value> {
    if given.is_empty() {
        return Cow::Borrowed(obj);
    }
    let mut out = obj.clone();
    for (pointer, empty) in given {
        if let Some((map, key)) = place(&mut out, pointer) {
            map.entry(key).or_insert_with(|| empty.clone());
        }
    }
    Cow::Owned(out)
}

/// Takes those out again that are still empty.
pub(super) fn remove(obj: &mut Value, given: &[(String, Value)]) {
    for (pointer, empty) in given {
        if let Some((map, key)) = place(obj, pointer)
            && map.get(&key) == Some(empty)
        {
            map.remove(&key);
        }
    }
}

/// The map that a pointer leads into, and the key there.
fn place<'a>(obj: &'a mut Value, pointer: &str) -> Option<(&'a mut serde_json::Map<String, Value>, String)> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let map = obj.pointer_mut(parent)?.as_object_mut()?;
    Some((map, key.replace("~1", "/").replace("~0", "~")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_values_are_there_for_the_rules_and_gone_after() {
        let given = [
            ("/spec/list".to_owned(), json!([])),
            ("/spec/filled".to_owned(), json!([])),
            ("/spec/gone/map".to_owned(), json!({})),
            ("/spec/maps/a~1b/map".to_owned(), json!({})),
        ];
        let obj = json!({"spec": {"filled": [1], "maps": {"a/b": {}}}});
        let mut seen = with(&obj, &given).into_owned();
        assert_eq!(
            seen,
            json!({"spec": {"list": [], "filled": [1], "maps": {"a/b": {"map": {}}}}})
        );
        remove(&mut seen, &given);
        assert_eq!(seen, obj);
        assert!(matches!(with(&obj, &[]), Cow::Borrowed(_)));
    }
}
