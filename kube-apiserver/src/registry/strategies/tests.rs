#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

use serde_json::Value;

use super::*;

/// What defaulting rewrites on purpose: mirrored fields of which one wins, and write-only ones.
const REWRITTEN: [&str; 5] = [
    ".spec.podCIDRs[0]",
    ".spec.serviceAccount",
    ".template.spec.serviceAccount",
    ".status.podIPs[0].ip",
    ".stringData",
];

/// Paths of `before` that `after` lacks or has otherwise.
fn lost(path: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let path = format!("{path}.{key}");
                match after.get(key) {
                    Some(other) => lost(&path, value, other, out),
                    None => out.push(path),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (value, other)) in before.iter().zip(after).enumerate() {
                lost(&format!("{path}[{index}]"), value, other, out);
            }
        }
        (before, after) if before == after => {}
        _ => out.push(path.to_string()),
    }
}

/// Upstream's round-trip fixtures have every field of every kind set. A typed strategy must give
/// all of them back, and running it again must change nothing. (The fixtures are kept beside the
/// repository; where they are not, nothing is compared and the test says so.)
#[test]
fn strategies_lose_no_field_of_upstreams_fixtures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/fixtures");
    if !folder.is_dir() {
        println!(
            "the upstream fixtures are absent ({}): nothing was compared",
            folder.display()
        );
        return;
    }
    let mut compared = 0;
    for row in crate::resources::resources() {
        if crate::registry::convert::hub(row).is_none_or(|hub| !std::ptr::eq(hub, row)) {
            continue;
        }
        let group = if row.group.is_empty() { "core" } else { row.group };
        let file = folder.join(format!("{group}.{}.{}.json", row.version, row.kind));
        let Ok(text) = std::fs::read(file) else { continue };
        let strategy = strategy_for(row.group, row.plural);
        let before: Value = serde_json::from_slice(&text).unwrap();
        let mut after = before.clone();
        strategy.default(&mut after);
        let mut changed = vec![];
        lost("", &before, &after, &mut changed);
        changed.retain(|path| !REWRITTEN.iter().any(|known| path.ends_with(known)));
        assert_eq!(changed, Vec::<String>::new(), "{} {}", row.group, row.plural);
        let mut again = after.clone();
        strategy.default(&mut again);
        assert_eq!(again, after, "{} {}", row.group, row.plural);
        compared += 1;
    }
    assert!(compared > 50, "only {compared} kinds have a fixture");
}

#[test]
fn every_stored_kind_has_rules_of_its_own() {
    let generic: *const dyn Strategy = &GENERIC;
    for row in crate::resources::resources()
        .iter()
        .filter(|row| row.storage_version.is_some())
    {
        let own: *const dyn Strategy = strategy_for(row.group, row.plural);
        assert!(!std::ptr::addr_eq(own, generic), "{} {}", row.group, row.plural);
    }
}

/// Turns every flag and moves every number.
fn disturb(value: &mut Value) {
    match value {
        Value::Bool(flag) => *flag = !*flag,
        Value::Number(n) => {
            if let Some(n) = n.as_i64() {
                *value = (n / 2 + 1).into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(disturb),
        Value::Object(map) => map.values_mut().for_each(disturb),
        _ => {}
    }
}

/// Spec and status are written through doors of their own, for every kind that has both.
#[test]
fn no_door_leads_to_the_others_part() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/fixtures");
    if !folder.is_dir() {
        println!("the upstream fixtures are absent: nothing was compared");
        return;
    }
    let ctx = crate::request::RequestContext::internal();
    let mut compared = 0;
    for row in crate::resources::resources() {
        let is_hub = crate::registry::convert::hub(row).is_some_and(|hub| std::ptr::eq(hub, row));
        if !is_hub || row.subresource("status").is_none() {
            continue;
        }
        let group = if row.group.is_empty() { "core" } else { row.group };
        let file = folder.join(format!("{group}.{}.{}.json", row.version, row.kind));
        let Ok(text) = std::fs::read(file) else { continue };
        let strategy = strategy_for(row.group, row.plural);
        let status = strategy
            .status()
            .unwrap_or_else(|| panic!("{} {} has no strategy of its status", row.group, row.plural));
        let mut old: Value = serde_json::from_slice(&text).unwrap();
        strategy.default(&mut old);
        for (what, door, foreign) in [("status", status, "spec"), ("object", strategy, "status")] {
            // One load balancer's status goes with the type of its Service; that is on purpose.
            if (row.plural, foreign) == ("services", "status") {
                continue;
            }
            let mut new = old.clone();
            let Some(part) = new.get_mut(foreign) else { continue };
            disturb(part);
            door.prepare_for_update(&ctx, &mut new, &old);
            assert_eq!(new[foreign], old[foreign], "{} {}: {what}", row.group, row.plural);
        }
        // What a client says of a status when it creates is not heard; nodes report themselves.
        if row.plural != "nodes" && old.get("status").is_some() {
            let mut new = old.clone();
            strategy.prepare_for_create(&ctx, &mut new);
            assert_ne!(new["status"], old["status"], "{} {}: create", row.group, row.plural);
        }
        compared += 1;
    }
    assert!(compared > 20, "only {compared} kinds have a fixture");
}

#[test]
fn what_is_empty_but_given_is_seen_by_the_rules_and_not_stored() {
    let meta = serde_json::json!({"name": "x", "namespace": "n"});
    let pod = |os: &str| {
        let mut pod = serde_json::json!({"metadata": meta, "spec": {"os": {"name": os}, "securityContext": {},
            "containers": [{"name": "c", "image": "i"}]}});
        strategy_for("", "pods").default(&mut pod);
        let ctx = crate::request::RequestContext::internal();
        let groups = "/spec/securityContext/supplementalGroups".to_owned();
        ctx.given_empty.lock().push((groups, serde_json::json!([])));
        let checked = strategy_for("", "pods").create(&ctx, &mut pod);
        let errors: Vec<String> = checked.errors.iter().map(ToString::to_string).collect();
        (errors, pod)
    };
    assert_eq!(
        pod("windows").0,
        ["spec.securityContext.supplementalGroups: Forbidden: cannot be set for a windows pod"]
    );
    let (errors, stored) = pod("linux");
    assert_eq!(errors, Vec::<String>::new());
    assert!(stored["spec"]["securityContext"].get("supplementalGroups").is_none());
    // A selector is there as soon as it is given.
    let mut set = serde_json::json!({"metadata": meta, "spec": {"selector": {}, "template": {"spec": {
        "containers": [{"name": "c", "image": "i"}]}}}});
    strategy_for("apps", "replicasets").default(&mut set);
    let ctx = crate::request::RequestContext::internal();
    let checked = strategy_for("apps", "replicasets").create(&ctx, &mut set);
    assert_eq!(
        checked.errors[0].to_string(),
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment"
    );
}
