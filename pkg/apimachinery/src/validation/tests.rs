use super::*;

fn check(rule: fn(&str) -> Vec<String>, good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(rule(text).is_empty(), "{text:?} should be valid: {:?}", rule(text));
    }
    for text in bad {
        assert!(!rule(text).is_empty(), "{text:?} should be refused");
    }
}

#[test]
fn names_follow_their_grammars() {
    let long = "a".repeat(64);
    check(
        is_dns1123_label,
        &["a", "a-1", "0"],
        &["", "A", "-a", "a-", "a.b", "a_b", &long, "ä"],
    );
    check(
        is_dns1123_subdomain,
        &["a", "a.b", "1.2"],
        &["", ".a", "a.", "a..b", "A.b"],
    );
    check(is_dns1035_label, &["a", "a1"], &["", "1a", "a-", "a.b"]);
    check(
        is_wildcard_dns1123_subdomain,
        &["*.a.b"],
        &["*", "*.", "a.*.b", "*.*.a", "a"],
    );
    check(
        is_qualified_name,
        &["a", "A_b.c-d", "x.io/a"],
        &["", "/a", "a/", "a/b/c", "A.io/b", "-a", &long],
    );
    check(is_valid_label_value, &["", "a", "A_b.c-d"], &["-a", "a b", &long]);
    check(is_c_identifier, &["a", "_a1"], &["", "1a", "a-b"]);
}

#[test]
fn other_texts_follow_their_grammars() {
    check(
        is_valid_port_name,
        &["http", "a-1"],
        &["", "1", "a--b", "-a", "a-", "A", "abcdefghijklmnop"],
    );
    check(is_relaxed_env_var_name, &["1a", "a b", "..a"], &["", "a=b", "ä"]);
    check(is_config_map_key, &["a.b", "A_-"], &["", ".", "..", "..a", "a/b"]);
    check(is_http_header_name, &["X-A"], &["", "a b"]);
    check(is_valid_percent, &["1%", "100%"], &["", "%", "1", "a%"]);
    check(is_legacy_ip, &["1.2.3.4", "::1"], &["", "1.2.3", "01.2.3.4", "a"]);
    check(
        is_legacy_cidr,
        &["10.0.0.0/8", "fd00::/64", "0.0.0.0/0"],
        &["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/08"],
    );
    check(is_path_segment_name, &["a:b"], &[".", "..", "a/b", "a%b"]);
}

#[test]
fn messages_are_upstreams() {
    assert_eq!(
        is_dns1123_label("A"),
        [
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ]
    );
    assert_eq!(is_dns1123_label("a.b"), ["must not contain dots"]);
    assert_eq!(is_valid_port(0), ["must be between 1 and 65535, inclusive"]);
    assert_eq!(is_qualified_name("")[0], "name part must be non-empty");
}

/// `validation.MaxLenError` and `content.MaxLenError` differ, and so do the rules that use them.
#[test]
fn names_are_long_in_characters_and_labels_in_bytes() {
    let long = "a".repeat(300);
    let first = |said: Vec<String>| said.first().cloned().unwrap_or_default();
    let cases = [
        (is_dns1123_label(&long), "must be no more than 63 characters"),
        (is_dns1123_subdomain(&long), "must be no more than 253 characters"),
        (is_dns1035_label(&long), "must be no more than 63 characters"),
        (is_valid_port_name(&long), "must be no more than 15 characters"),
        (is_config_map_key(&long), "must be no more than 253 characters"),
        (is_valid_label_value(&long), "must be no more than 63 bytes"),
        (is_qualified_name(&long), "name part must be no more than 63 bytes"),
        (
            is_qualified_name(&format!("{long}/a")),
            "prefix part must be no more than 253 bytes",
        ),
    ];
    for (said, want) in cases {
        assert_eq!(first(said), want);
    }
}
