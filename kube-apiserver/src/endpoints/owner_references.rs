//! Owners are named once (upstream `endpoints/handlers/rest.go` `dedupOwnerReferencesAndAddWarning`).

use std::collections::HashSet;
use std::hash::Hash;

use apimachinery::meta;
use serde_json::Value;

use crate::request::RequestContext;

/// Drops owner references that are there already, and says so. `admitted`: after mutating admission,
/// which is the only time for patches.
pub(super) fn deduplicate(ctx: &RequestContext, obj: &mut Value, admitted: bool) {
    let references = obj.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let Some(references) = references.filter(|r| r.len() > 1) else {
        return;
    };
    let (kept, duplicates) = partition(references, content);
    if duplicates.is_empty() {
        return;
    }
    let kept = kept.into_iter().cloned().collect();
    let duplicates = duplicates.into_iter().map(|r| r["uid"].as_str().unwrap_or_default());
    let duplicates: Vec<&str> = duplicates.collect();
    let when = if admitted {
        " after mutating admission happens"
    } else {
        ""
    };
    ctx.warn(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        duplicates.join(", ")
    ));
    meta::metadata_mut(obj).insert("ownerReferences".into(), Value::Array(kept));
}

/// The first of each content, and the others. A body may name very many: each is looked at once.
fn partition<K: Eq + Hash>(all: &[Value], content: impl Fn(&Value) -> K) -> (Vec<&Value>, Vec<&Value>) {
    let mut seen = HashSet::with_capacity(all.len());
    all.iter().partition(|reference| seen.insert(content(reference)))
}

/// The fields of a reference, whatever their order.
fn content(reference: &Value) -> Vec<(String, String)> {
    let fields = reference.as_object().into_iter().flatten();
    let mut fields: Vec<(String, String)> = fields.map(|(name, value)| (name.clone(), value.to_string())).collect();
    fields.sort_unstable();
    fields
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_owner_is_named_once() {
        let a = json!({"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"});
        let b = json!({"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": "2"});
        let mut blocking = a.clone();
        blocking["blockOwnerDeletion"] = json!(true);
        let cases = [
            (json!([a, b, blocking]), json!([a, b, blocking]), ""),
            (json!([a, b, a, b, a]), json!([a, b]), "1, 2, 1"),
        ];
        for (given, want, uids) in cases {
            for (admitted, when) in [(false, ""), (true, " after mutating admission happens")] {
                let ctx = RequestContext::internal();
                let mut obj = json!({"metadata": {"ownerReferences": given}});
                deduplicate(&ctx, &mut obj, admitted);
                assert_eq!(obj["metadata"]["ownerReferences"], want);
                let warnings = ctx.warnings.lock().join("\n");
                let text = format!(
                    ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {uids}"
                );
                assert_eq!(warnings, if uids.is_empty() { String::new() } else { text });
            }
        }
    }

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A content that counts how often it is compared with another.
    struct Counted(Vec<(String, String)>);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }
    impl Eq for Counted {}
    impl Hash for Counted {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn many_owners_are_not_compared_with_each_other() {
        let owner =
            |n: usize| json!({"apiVersion": "v1", "kind": "Pod", "name": format!("p{n}"), "uid": n.to_string()});
        let all: Vec<Value> = (0..5000).chain(0..1000).map(owner).collect();
        let (kept, others) = partition(&all, |reference| Counted(content(reference)));
        assert_eq!((kept.len(), others.len()), (5000, 1000));
        // One for each duplicate, and hardly any other.
        assert!(COMPARED.get() < 2 * all.len(), "{} comparisons", COMPARED.get());
    }
}
