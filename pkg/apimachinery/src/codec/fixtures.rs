//! The upstream API's own round-trip fixtures (upstream: `staging/src/k8s.io/api/testdata/HEAD`): JSON, YAML and
//! protobuf of the same objects must decode alike, and what is encoded again must be read alike.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use serde_json::Value;

use super::{json, proto, yaml};
use crate::meta;
use crate::schema::{Schema, TypeId};

/// The workspace's table; this crate cannot depend on `api`, which depends on it.
fn table() -> Schema {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/schema.txt");
    Schema::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The fixtures beside the workspace, or None (said aloud) where only the repository is checked out.
fn folder() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference/fixtures"
    ));
    if !path.is_dir() {
        println!(
            "the upstream fixtures are absent ({}): nothing was compared",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// Kinds that are off by default and have fields whose tags k8s-pb 0.9 (Kubernetes 1.35) does not have.
const UNTAGGED: [&str; 3] = [
    "resource.k8s.io.v1alpha3.ResourcePoolStatusRequest",
    "scheduling.k8s.io.v1alpha2.PodGroup",
    "scheduling.k8s.io.v1alpha2.Workload",
];

/// Calls `check` for every fixture whose kind is in the table; returns how many there were.
fn each(check: impl Fn(&str, &Schema, TypeId, &[u8], &[u8], &[u8])) -> usize {
    let Some(folder) = folder() else { return usize::MAX };
    let schema = table();
    let mut count = 0;
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in names
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let read = |extension: &str| std::fs::read(path.with_extension(extension)).unwrap();
        let text = read("json");
        let (api_version, kind) = json::type_meta(&text).unwrap();
        let Some(ty) = schema.kind_of_object(&api_version, &kind) else {
            continue;
        };
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        check(&name, &schema, ty, &text, &read("yaml"), &read("pb"));
        count += 1;
    }
    count
}

#[test]
fn json_and_yaml_decode_strictly_and_alike() {
    let count = each(|name, schema, ty, text, yaml_text, _| {
        let from_json = json::decode(schema, ty, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(from_json.strict, Vec::<String>::new(), "{name}");
        let from_yaml = yaml::decode(schema, ty, yaml_text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(from_yaml, from_json, "{name}");
        let again = json::decode(schema, ty, &json::encode(&from_json.object)).unwrap();
        assert_eq!(again, from_json, "{name}");
    });
    assert!(count >= 90, "only {count} fixtures are of a known kind");
}

#[test]
fn protobuf_decodes_as_json_does() {
    let count = each(|name, schema, ty, text, _, bytes| {
        if UNTAGGED.contains(&name) {
            return;
        }
        let from_json = json::decode(schema, ty, text).unwrap().object;
        let from_proto = proto::decode_object(schema, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(difference(&from_json, &from_proto), None, "{name}");
    });
    assert!(count >= 90, "only {count} fixtures are of a known kind");
}

#[test]
fn protobuf_is_written_as_go_writes_it() {
    let count = each(|name, schema, ty, text, _, bytes| {
        if UNTAGGED.contains(&name) {
            return;
        }
        // The fixtures hold no zeros, which Go writes for value fields and this codec does not.
        let from_json = json::decode(schema, ty, text).unwrap().object;
        let written = proto::encode_object(schema, &from_json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            written == bytes,
            "{name}: {} bytes differ from Go's {}",
            written.len(),
            bytes.len()
        );
    });
    assert!(count >= 90, "only {count} fixtures are of a known kind");
}

/// Where two trees first differ, leaving out `apiVersion` and `kind` of nested objects, which protobuf drops.
fn difference(a: &Value, b: &Value) -> Option<String> {
    fn walk(path: &str, a: &Value, b: &Value, top: bool) -> Option<String> {
        match (a, b) {
            (Value::Object(x), Value::Object(y)) => {
                let nested = !top && x.contains_key("metadata") && x.contains_key("spec");
                let skip = |key: &str| nested && (key == "apiVersion" || key == "kind");
                let mut keys: Vec<&String> = x.keys().chain(y.keys()).collect();
                keys.sort();
                keys.dedup();
                keys.into_iter().filter(|key| !skip(key)).find_map(|key| {
                    let (left, right) = (x.get(key).unwrap_or(&Value::Null), y.get(key).unwrap_or(&Value::Null));
                    walk(&format!("{path}.{key}"), left, right, false)
                })
            }
            (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
                let mut pairs = x.iter().zip(y).enumerate();
                pairs.find_map(|(index, (x, y))| walk(&format!("{path}[{index}]"), x, y, false))
            }
            _ if a == b => None,
            _ => Some(format!("{path}: {a} != {b}")),
        }
    }
    debug_assert!(!meta::kind(a).is_empty());
    walk("", a, b, true)
}
