//! The upstream API's own round-trip fixtures (upstream: `staging/src/k8s.io/api/testdata/HEAD`): JSON, YAML and
//! protobuf of the same objects must decode alike, and what is encoded again must be read alike.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;

use super::{json, proto, yaml};
use crate::meta;
use crate::schema::{Schema, TypeId};

/// The workspace's table (this crate cannot depend on `api`, which depends on it), with the types in it
/// that `legacy.txt` knows better, and those it lacks.
fn table() -> Schema {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../api/schema.txt");
    let own = std::fs::read_to_string(path).unwrap();
    let legacy = include_str!("fixtures/legacy.txt");
    let heads = legacy.lines().filter(|line| !line.starts_with(['\t', '#']));
    let known: HashSet<&str> = heads.filter_map(|line| line.split(' ').next()).collect();
    let mut skip = false;
    let mut text = legacy.to_owned();
    for line in own.lines() {
        if !line.starts_with('\t') {
            skip = line.split(' ').next().is_some_and(|name| known.contains(name));
        }
        if !skip {
            text.push_str(line);
            text.push('\n');
        }
    }
    Schema::parse(&text).unwrap()
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

/// All fixtures but `WatchEvent`, which is no object.
const OBJECTS: usize = 184;

/// Calls `check` for every fixture of an object; each must be of a kind in the table.
fn each(check: impl Fn(&str, &Schema, TypeId, &[u8], &[u8], &[u8])) {
    let Some(folder) = folder() else { return };
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
        if api_version.is_empty() {
            continue;
        }
        let known = schema.kind_of_object(&api_version, &kind);
        let ty = known.unwrap_or_else(|| panic!("no {api_version} {kind} in the table"));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        check(&name, &schema, ty, &text, &read("yaml"), &read("pb"));
        count += 1;
    }
    assert_eq!(count, OBJECTS);
}

#[test]
fn json_and_yaml_decode_strictly_and_alike() {
    each(|name, schema, ty, text, yaml_text, _| {
        let from_json = json::decode(schema, ty, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(from_json.strict, Vec::<String>::new(), "{name}");
        let from_yaml = yaml::decode(schema, ty, yaml_text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(from_yaml, from_json, "{name}");
        let again = json::decode(schema, ty, &json::encode(&from_json.object)).unwrap();
        assert_eq!(again, from_json, "{name}");
    });
}

#[test]
fn protobuf_decodes_as_json_does() {
    each(|name, schema, ty, text, _, bytes| {
        let from_json = json::decode(schema, ty, text).unwrap().object;
        let from_proto = proto::decode_object(schema, bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(difference(&from_json, &from_proto), None, "{name}");
    });
}

#[test]
fn protobuf_is_written_as_go_writes_it() {
    each(|name, schema, ty, text, _, bytes| {
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
}

#[test]
fn a_watch_event_is_an_envelope_around_another() {
    let Some(folder) = folder() else { return };
    let read = |extension: &str| std::fs::read(folder.join(format!("core.v1.WatchEvent.{extension}"))).unwrap();
    let event: Value = serde_json::from_slice(&read("json")).unwrap();
    let (text, _) = yaml::to_json(&read("yaml")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), event);
    let bytes = read("pb");
    let (kind, object) = proto::decode_watch_event(proto::unwrap(&bytes).unwrap().raw).unwrap();
    assert_eq!(event["type"], kind);
    assert_eq!(serde_json::from_slice::<Value>(object).unwrap(), event["object"]);
    assert_eq!(proto::wrap("", "", &proto::encode_watch_event(kind, object)), bytes);
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
