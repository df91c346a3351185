#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn text_forms_print_canonically() {
    for (text, printed) in [
        ("", ""),
        ("a=b", "a=b"),
        ("b==c,a!=d", "a!=d,b==c"),
        ("x in (c,a,b)", "x in (a,b,c)"),
        ("x notin ( b , a )", "x notin (a,b)"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
        ("!k, j", "j,!k"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("n>3,m<5", "m<5,n>3"),
        ("a=,b", "a=,b"),
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), printed, "{text}");
    }
}

#[test]
fn wrong_texts_are_refused_with_upstreams_words() {
    for (text, message) in [
        ("a,", "found '', expected: identifier after ','"),
        ("x in a", "unable to parse requirement: found 'a' expected: '('"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
    ] {
        assert_eq!(Selector::parse(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(
        Selector::parse("a b")
            .unwrap_err()
            .to_string()
            .contains("expected: in, notin, =, ==, !=, gt, lt")
    );
    assert!(Selector::parse("n>x").is_err());
    assert!(Selector::parse("-bad=x").is_err());
}

#[test]
fn matching_follows_the_operators() {
    let set = labels(&[("app", "web"), ("tier", "3")]);
    for (text, expected) in [
        ("", true),
        ("app=web", true),
        ("app!=web", false),
        ("none!=web", true),
        ("app in (db,web)", true),
        ("app notin (db)", true),
        ("none notin (db)", true),
        ("none", false),
        ("!none", true),
        ("tier>2", true),
        ("tier<3", false),
        ("app>2", false),
    ] {
        assert_eq!(Selector::parse(text).unwrap().matches(&set), expected, "{text}");
    }
}

#[test]
fn absent_selects_nothing_and_empty_selects_all() {
    let none = labels(&[]);
    assert!(!Selector::from_optional(None).unwrap().matches(&none));
    assert!(
        Selector::from_optional(Some(&LabelSelector::default()))
            .unwrap()
            .matches(&none)
    );
}

#[test]
fn exact_match_is_found() {
    let selector = Selector::parse("a in (x),b in (x,y)").unwrap();
    assert_eq!(selector.requires_exact_match("a"), Some("x"));
    assert_eq!(selector.requires_exact_match("b"), None);
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let key = "([a-z]{1,8}\\.io/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,10}[A-Za-z0-9])?";
    let value = || proptest::string::string_regex("([A-Za-z0-9]([A-Za-z0-9_.-]{0,6}[A-Za-z0-9])?)?").unwrap();
    let values = proptest::collection::btree_set(value(), 1..4);
    (
        0..9_u8,
        proptest::string::string_regex(key).unwrap(),
        values,
        -99..99_i64,
    )
        .prop_map(|(kind, key, values, number)| {
            let all: Vec<String> = values.into_iter().collect();
            let one = vec![all[0].clone()];
            let (operator, values) = match kind {
                0 => (Operator::In, all),
                1 => (Operator::NotIn, all),
                2 => (Operator::Equals, one),
                3 => (Operator::DoubleEquals, one),
                4 => (Operator::NotEquals, one),
                5 => (Operator::Exists, Vec::new()),
                6 => (Operator::DoesNotExist, Vec::new()),
                7 => (Operator::GreaterThan, vec![number.unsigned_abs().to_string()]),
                _ => (Operator::LessThan, vec![number.unsigned_abs().to_string()]),
            };
            Requirement::new(&key, operator, values).unwrap()
        })
}

#[test]
fn a_selector_prints_as_go_prints_it() {
    let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"b": "1", "a": ""},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]},
            {"key": "l", "operator": "Exists"}]}))
    .unwrap();
    assert_eq!(
        go_string(&selector),
        "&LabelSelector{MatchLabels:map[string]string{a: ,b: 1,},MatchExpressions:[]LabelSelectorRequirement{\
         LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},\
         LabelSelectorRequirement{Key:l,Operator:Exists,Values:[],},},}"
    );
}

proptest! {
    #[test]
    fn a_printed_selector_reads_back(requirements in proptest::collection::vec(requirement(), 0..5)) {
        let selector = Selector::new(requirements);
        let again = Selector::parse(&selector.to_string()).unwrap();
        prop_assert_eq!(again.to_string(), selector.to_string());
        prop_assert_eq!(again, selector);
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = Selector::parse(&text);
        let _ = crate::fields::Selector::parse(&text);
    }

    #[test]
    fn the_negation_of_a_requirement_matches_what_it_does_not(
        key in "[a-c]", values in proptest::collection::vec("[x-z]", 1..3), labels in proptest::collection::btree_map("[a-c]", "[x-z]", 0..3)
    ) {
        let within = Requirement::new(&key, Operator::In, values.clone()).unwrap();
        let without = Requirement::new(&key, Operator::NotIn, values).unwrap();
        let value = labels.get(&key).map(String::as_str);
        prop_assert_ne!(within.matches(value), without.matches(value));
    }
}
