#![allow(clippy::unwrap_used)]

use super::*;
use crate::resources;

fn refusal(query: &str, watch: bool) -> String {
    ListOptions::parse(&Query::parse(query), watch).unwrap_err().message
}

#[test]
fn list_options_are_refused_in_upstreams_words() {
    let cases = [
        (
            "resourceVersionMatch=Exact",
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#,
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#,
        ),
        (
            "resourceVersionMatch=x&resourceVersion=1",
            r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "x": supported values: "Exact", "NotOlderThan", """#,
        ),
        (
            "sendInitialEvents=true",
            r#"ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"#,
        ),
        ("limit=x", r#"strconv.ParseInt: parsing "x": invalid syntax"#),
        ("limit=", r#"strconv.ParseInt: parsing "": invalid syntax"#),
        (
            "timeoutSeconds=99999999999999999999",
            r#"strconv.ParseInt: parsing "99999999999999999999": value out of range"#,
        ),
    ];
    for (query, message) in cases {
        assert_eq!(refusal(query, false), message, "{query}");
    }
}

#[test]
fn watch_options_are_refused_in_upstreams_words() {
    let needs =
        "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let cases = [
        ("sendInitialEvents=true", needs.to_owned()),
        (
            "sendInitialEvents=true&resourceVersionMatch=Exact",
            format!("[{needs}, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]"),
        ),
        (
            "resourceVersionMatch=NotOlderThan&resourceVersion=5",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided".to_owned(),
        ),
    ];
    for (query, why) in cases {
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {why}");
        assert_eq!(refusal(query, true), message, "{query}");
    }
}

#[test]
fn a_watch_from_now_sends_initial_events() {
    let parse = |query: &str| {
        ListOptions::parse(&Query::parse(query), true)
            .unwrap()
            .send_initial_events
    };
    assert_eq!(parse(""), Some(true));
    assert_eq!(parse("resourceVersion=0"), Some(true));
    assert_eq!(parse("resourceVersion=7"), None);
    assert_eq!(
        parse("sendInitialEvents=false&resourceVersionMatch=NotOlderThan"),
        Some(false)
    );
}

#[test]
fn a_selector_for_another_name_than_the_requests_is_refused() {
    let row = resources::find("", "v1", "configmaps").unwrap();
    let mut o = ListOptions::parse(&Query::parse("fieldSelector=metadata.name%3Db"), false).unwrap();
    o.bind(row, "b").unwrap();
    assert_eq!(
        o.bind(row, "a").unwrap_err().message,
        "fieldSelector metadata.name doesn't match requested name"
    );
    let mut o = ListOptions::default();
    o.bind(row, "a").unwrap();
    assert_eq!(o.fields.unwrap().requires_exact_match("metadata.name"), Some("a"));
}

#[test]
fn delete_options_are_refused_in_upstreams_words() {
    let cases = [
        (
            "propagationPolicy=Orphan&orphanDependents=true",
            r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#,
        ),
        (
            "propagationPolicy=x",
            r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil""#,
        ),
        (
            "dryRun=x",
            r#"DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]: supported values: "All""#,
        ),
    ];
    for (query, message) in cases {
        let options = DeleteOptions::from_query(&Query::parse(query)).unwrap();
        assert_eq!(options.validate().unwrap_err().message, message);
    }
    let options = DeleteOptions::from_query(&Query::parse("uid=u&dryRun=All")).unwrap();
    assert_eq!((options.uid.as_deref(), options.dry_run), (Some("u"), true));
}
