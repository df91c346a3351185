#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

const TABLE: &str = r#"
apiextensions.v1.JSONSchemaProps
	items 24 orArray
	additionalProperties 30 orBool
	dependencies 32 {}orStrings
	type 5 str
	default 8 raw
core.v1.Thing typemeta
	name 1 str
	inner 2.1 str
	other 2.3.1 i64 ptr
	flag 3 bool
	optional 4 bool ptr
	numbers 5 []i32
	labels 6 {}str
	limits 7 {}quantity
	port 8 intstr
	at 9 time
	micro 10 microtime
	raw 11 raw
	data 12 bytes
	float 13 f64
	child 14 &core.v1.Thing
	children 15 []&core.v1.Thing
	extra 16 {}strlist
	schema 17 &apiextensions.v1.JSONSchemaProps
	loose - any
"#;

fn table() -> Schema {
    Schema::parse(TABLE).unwrap()
}

fn full() -> Value {
    json!({"apiVersion": "v1", "kind": "Thing", "name": "n", "inner": "i", "other": -5, "flag": true, "optional": false,
        "numbers": [1, -1, 2147483647], "labels": {"a": "b", "c": ""}, "limits": {"cpu": "100m"}, "port": 80,
        "at": "2026-01-01T00:00:00Z", "micro": "1960-01-01T00:00:00.000001Z", "raw": {"x": [1, null]}, "data": "AAH/",
        "float": 1.5, "child": {"port": "http", "children": [{}, {"name": "x".repeat(300)}]},
        "extra": {"scopes": ["a", "b"]},
        "schema": {"items": {"type": "a"}, "additionalProperties": true, "default": "x",
            "dependencies": {"a": ["b"], "c": {"type": "d"}}}})
}

#[test]
fn objects_survive_the_trip() {
    let schema = table();
    let bytes = encode_object(&schema, &full()).unwrap();
    assert!(is_proto(&bytes));
    assert_eq!(decode_object(&schema, &bytes).unwrap(), full());
    let unknown = unwrap(&bytes).unwrap();
    assert_eq!((unknown.api_version, unknown.kind), ("v1", "Thing"));
    assert_eq!(wrap("v1", "Thing", unknown.raw), bytes);
}

#[test]
fn zeros_of_value_fields_are_dropped_and_of_pointers_kept() {
    let schema = table();
    // name:"" flag:false optional:false
    let bytes = [0x0a, 0x00, 0x18, 0x00, 0x20, 0x00];
    let out = decode(&schema, schema.id("core.v1.Thing").unwrap(), &bytes).unwrap();
    assert_eq!(out, json!({"optional": false}));
}

#[test]
fn packed_numbers_and_unset_times_are_read() {
    let schema = table();
    let bytes = [0x2a, 0x02, 0x01, 0x02, 0x28, 0x03, 0x4a, 0x00];
    let out = decode(&schema, schema.id("core.v1.Thing").unwrap(), &bytes).unwrap();
    assert_eq!(out, json!({"numbers": [1, 2, 3]}));
}

#[test]
fn fields_the_table_lacks_are_errors_on_the_way_out() {
    let schema = table();
    let error = encode_object(&schema, &json!({"apiVersion": "v1", "kind": "Thing", "nope": 1})).unwrap_err();
    assert_eq!(error, Error::UnknownField("core.v1.Thing.nope".to_owned()));
}

#[test]
fn no_input_panics() {
    let schema = table();
    let ty = schema.id("core.v1.Thing").unwrap();
    let good = encode_object(&schema, &full()).unwrap();
    // Every truncation and every single-byte change.
    for len in 0..good.len() {
        let _ = decode_object(&schema, &good[..len]);
    }
    for at in 0..good.len() {
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xff, good[at] ^ 0x07] {
            let mut bad = good.clone();
            bad[at] = byte;
            let _ = decode_object(&schema, &bad);
        }
    }
    // A length beyond any memory, endless nesting, an endless varint.
    assert_eq!(
        decode(&schema, ty, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        Err(Error::Truncated)
    );
    assert!(decode(&schema, ty, &[0xff; 20]).is_err());
    let mut nested = Vec::new();
    for _ in 0..5000 {
        let mut outer = Vec::new();
        wire::bytes(&mut outer, 14, &nested);
        nested = outer;
    }
    assert_eq!(decode(&schema, ty, &nested), Err(Error::TooDeep));
}

#[test]
fn watch_events_survive_the_trip() {
    let bytes = encode_watch_event("ADDED", b"k8s\0rest");
    assert_eq!(decode_watch_event(&bytes).unwrap(), ("ADDED", b"k8s\0rest".as_slice()));
}
