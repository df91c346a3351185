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
