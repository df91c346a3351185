#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

const TABLE: &str = r#"
meta.v1.ObjectMeta
	name 1 str
	labels 11 {}str
	creationTimestamp 8 time
	generation 7 i64
meta.v1.ListMeta
	resourceVersion 2 str
apps.v1.Deployment typemeta
	metadata 1 &meta.v1.ObjectMeta
	spec 2 &apps.v1.DeploymentSpec
apps.v1.DeploymentSpec
	replicas 1 i32 ptr
	minReadySeconds 5 i32
	paused 7 bool
	template 3 &core.v1.PodSpec req
	limits 8 {}quantity
	port 9 intstr
	raw 10 raw
	data 11 bytes
	message 12 str req
core.v1.PodSpec
	containers 2 []&core.v1.Container req
	nodeName 10 str
core.v1.Container
	name 1 str req
	command 3 []str
"#;

fn table() -> Schema {
    Schema::parse(TABLE).unwrap()
}

fn run(text: &str) -> Result<Decoded, DecodeError> {
    let schema = table();
    decode(&schema, schema.id("apps.v1.Deployment").unwrap(), text.as_bytes())
}

fn object(text: &str) -> Value {
    run(text).unwrap().object
}

fn error(text: &str) -> String {
    run(text).unwrap_err().to_string()
}

#[test]
fn zeros_that_go_leaves_out_are_dropped() {
    let text = r#"{"kind":"","metadata":{"name":"a","labels":{},"creationTimestamp":null,"generation":0},
        "spec":{"replicas":0,"minReadySeconds":0,"paused":false,"message":"","data":"",
        "template":{"containers":[],"nodeName":""}}}"#;
    let expected = json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "message": "", "template": {}}});
    assert_eq!(object(text), expected);
}

#[test]
fn empty_lists_and_maps_are_left_out_and_named() {
    let text = r#"{"metadata": {"labels": {}}, "spec": {"limits": {}, "template": {"containers": [{"name": "c", "command": []}]}}}"#;
    let decoded = run(text).unwrap();
    assert_eq!(decoded.object["spec"]["template"]["containers"], json!([{"name": "c"}]));
    assert!(decoded.object["spec"].get("limits").is_none());
    assert_eq!(
        decoded.empty,
        [
            ("/metadata/labels".to_owned(), json!({})),
            ("/spec/limits".to_owned(), json!({})),
            ("/spec/template/containers/0/command".to_owned(), json!([])),
        ]
    );
}

#[test]
fn scalars_become_canonical() {
    let text = r#"{"metadata":{"creationTimestamp":"2026-01-01T02:00:00.5+02:00","generation":9007199254740993},
        "spec":{"limits":{"cpu":"1000m","memory":1024,"x":0.5},"port":"http","data":"YQ==","raw":{"a":1.0,"b":null}}}"#;
    let expected = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "generation": 9_007_199_254_740_993_i64},
        "spec": {"limits": {"cpu": "1", "memory": "1024", "x": "500m"}, "port": "http", "data": "YQ==",
        "raw": {"a": 1.0, "b": null}}});
    assert_eq!(object(text), expected);
}

#[test]
fn nulls_in_lists_and_maps_are_zeros() {
    let text = r#"{"metadata":{"labels":{"a":null}},"spec":{"template":{"containers":[null,{"command":[null,"x"]}]}}}"#;
    let expected =
        json!({"metadata": {"labels": {"a": ""}}, "spec": {"template": {"containers": [{}, {"command": ["", "x"]}]}}});
    assert_eq!(object(text), expected);
}

#[test]
fn unknown_and_duplicate_fields_are_reported() {
    let text = r#"{"apiVersion":"apps/v1","spec":{"foo":{"deep":[1]},"replicas":1,"Replicas":3,"replicas":2,
        "template":{"containers":[{"name":"a"},{"name":"b","bad":1,"bad":2}]}},"metadata":{"labels":{"x":"1","x":"2"}},"kind":"Deployment","kind":"Deployment"}"#;
    let out = run(text).unwrap();
    assert_eq!(
        out.strict,
        [
            "unknown field \"spec.foo\"",
            "unknown field \"spec.Replicas\"",
            "duplicate field \"spec.replicas\"",
            "unknown field \"spec.template.containers[1].bad\"",
            "duplicate field \"metadata.labels.x\"",
            "duplicate field \"kind\"",
        ]
    );
    assert_eq!(out.object["spec"]["replicas"], 2);
    assert_eq!(out.object["metadata"]["labels"]["x"], "2");
    assert!(out.object["spec"].get("foo").is_none());
}

#[test]
fn type_errors_are_gos() {
    for (text, message) in [
        (
            r#"[]"#,
            "json: cannot unmarshal array into Go value of type v1.Deployment",
        ),
        (
            r#"{"spec":{"replicas":"1"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":1.0}}"#,
            "json: cannot unmarshal number 1.0 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"replicas":2147483648}}"#,
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"spec":{"template":{"containers":[{"name":3}]}}}"#,
            "json: cannot unmarshal number into Go struct field Container.spec.template.containers.name of type string",
        ),
        (
            r#"{"spec":{"template":{"containers":{}}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.containers of type []v1.Container",
        ),
        (
            r#"{"metadata":{"labels":{"a":true}}}"#,
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"spec":{"limits":{"cpu":"x"}}}"#,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            r#"{"spec":{"port":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go value of type int32",
        ),
        (r#"{"spec":{"data":"?"}}"#, "illegal base64 data at input byte 0"),
        (
            r#"{"metadata":{"creationTimestamp":"x"}}"#,
            "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
        ),
    ] {
        assert_eq!(error(text), message, "{text}");
    }
}

#[test]
fn syntax_errors_are_gos_and_win_over_type_errors() {
    for (text, message) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        (r#"{"a""#, "unexpected end of JSON input"),
        (
            "{a}",
            "invalid character 'a' looking for beginning of object key string",
        ),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (r#"{"a":1 2}"#, "invalid character '2' after object key:value pair"),
        (r#"{"a":[1 2]}"#, "invalid character '2' after array element"),
        (r#"{"a":tru}"#, "invalid character '}' in literal true (expecting 'e')"),
        (r#"{"a":01}"#, "invalid character '1' after object key:value pair"),
        (
            r#"{"a":1.}"#,
            "invalid character '}' after decimal point in numeric literal",
        ),
        (r#"{"a":-}"#, "invalid character '}' in numeric literal"),
        (r#"{"a":"\x"}"#, "invalid character 'x' in string escape code"),
        ("{\"a\":\"\n\"}", "invalid character '\\n' in string literal"),
        ("{} x", "invalid character 'x' after top-level value"),
        (
            r#"{"a":1,}"#,
            "invalid character '}' looking for beginning of object key string",
        ),
        (
            r#"{"spec":3,"a":'}"#,
            "invalid character '\\'' looking for beginning of value",
        ),
    ] {
        assert_eq!(error(text), message, "{text}");
    }
}

#[test]
fn escapes_are_read() {
    let text = r#"{"metadata":{"name":"a\"\\\/\b\f\n\r\té\ud83d\ude00\ud800x"}}"#;
    assert_eq!(object(text)["metadata"]["name"], "a\"\\/\u{8}\u{c}\n\r\té😀\u{fffd}x");
}

#[test]
fn deep_nesting_is_refused_without_overflow() {
    let text = format!("{{\"spec\":{{\"raw\":{}", "[".repeat(1_000_000));
    assert_eq!(error(&text), "exceeded max depth");
    let text = format!("{{\"nope\":{}", "{\"a\":".repeat(1_000_000));
    assert_eq!(error(&text), "exceeded max depth");
}

#[test]
fn requests_get_upstreams_answers() {
    let schema = table();
    let expected = GroupVersionKind::new("apps", "v1", "Deployment");
    let run = |text: &str| decode_request(&schema, &expected, text.as_bytes());
    let bare = run("{}").unwrap().object;
    assert_eq!(bare, json!({"apiVersion": "apps/v1", "kind": "Deployment"}));
    for (text, message) in [
        (
            r#"{"kind":"Deployment","apiVersion":"apps/v1","spec":{"replicas":"x"}}"#,
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            r#"{"kind":"Foo","apiVersion":"apps/v1"}"#,
            "Foo in version \"v1\" cannot be handled as a Deployment: no kind \"Foo\" is registered for version \"apps/v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
        ),
        (
            "{",
            "the object provided is unrecognized (must be of type Deployment): couldn't get version/kind; json parse error: unexpected end of JSON input ({)",
        ),
        (
            "xyz",
            "the object provided is unrecognized (must be of type Deployment): couldn't get version/kind; json parse error: invalid character 'x' looking for beginning of value (78797a)",
        ),
    ] {
        let error = run(text).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (400, message));
    }
}

#[test]
fn untyped_json_keeps_nulls_and_reports_duplicates() {
    let out = parse(br#"{"a":{"b":null,"c":[1,{"d":1,"d":2}]},"e":1e2}"#).unwrap();
    assert_eq!(out.object, json!({"a": {"b": null, "c": [1, {"d": 2}]}, "e": 100.0}));
    assert_eq!(out.strict, ["duplicate field \"a.c[1].d\""]);
}
