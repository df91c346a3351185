#![allow(clippy::unwrap_used)]
use super::*;

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
