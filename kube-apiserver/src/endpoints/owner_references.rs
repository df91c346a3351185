//! Owners are named once (upstream `endpoints/handlers/rest.go` `dedupOwnerReferencesAndAddWarning`).

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
    let (mut kept, mut duplicates): (Vec<Value>, Vec<&str>) = (vec![], vec![]);
    for reference in references {
        if kept.contains(reference) {
            duplicates.push(reference["uid"].as_str().unwrap_or_default());
        } else {
            kept.push(reference.clone());
        }
    }
    if duplicates.is_empty() {
        return;
    }
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

#[cfg(test)]
mod tests {
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
}
