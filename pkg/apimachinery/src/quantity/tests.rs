#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

#[test]
fn texts_become_canonical() {
    for (text, expected) in [
        ("0", "0"),
        ("0Mi", "0"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1.5", "1500m"),
        ("0.5", "500m"),
        ("0.1", "100m"),
        ("100m", "100m"),
        ("2000", "2k"),
        ("1024Mi", "1Gi"),
        ("1025Mi", "1025Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1Ki", "1Ki"),
        ("512", "512"),
        ("1024", "1024"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("12e6", "12e6"),
        ("1E", "1E"),
        ("-1.5", "-1500m"),
        ("0.1m", "100u"),
        ("0.0000000001", "1n"),
        ("0.5Ki", "512"),
        ("128974848", "128974848"),
        ("129M", "129M"),
        ("123Mi", "123Mi"),
        ("9Ei", "9223372036854775807"),
        ("1.1Ki", "1126400m"),
    ] {
        assert_eq!(canonical(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn wrong_texts_are_refused() {
    for text in ["", "a", "1x", "1Zi", "1.2.3", "--1", "1 ", " 1", "1eE", ".", "+"] {
        assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        assert!(canonical(text).is_err(), "{text:?}");
    }
}

#[test]
fn amounts_are_exact() {
    let q = |text: &str| text.parse::<Quantity>().unwrap();
    assert_eq!(q("1Gi").value(), 1 << 30);
    assert_eq!(q("100m").value(), 1);
    assert_eq!(q("1500m").milli_value(), 1500);
    assert_eq!(q("1u").milli_value(), 1);
    assert_eq!(q("-1500m").value(), -2);
    assert_eq!(q("1000m"), q("1"));
    assert!(q("1Gi") > q("1G"));
    assert_eq!((q("100m") + q("900m")).to_string(), "1");
    assert_eq!((Quantity::ZERO + q("1Gi")).to_string(), "1Gi");
    assert_eq!((q("2Gi") - q("1Gi")).to_string(), "1Gi");
    assert_eq!(q("250m").mul(4).to_string(), "1");
}

#[test]
fn extremes_do_not_overflow() {
    for text in [
        "1e1000",
        "1e-1000",
        "99999999999999999999999999999999999999999999E",
        "-1e2147483647",
        "1e-2147483648",
    ] {
        let quantity = text.parse::<Quantity>().unwrap();
        let _ = (quantity + quantity).to_string();
        let _ = canonical(text).unwrap();
        let _ = quantity.value();
    }
    assert_eq!("1e-1000".parse::<Quantity>().unwrap().nano_units(), 1);
}

const QUANTITY: &str = "[+-]?([0-9]{1,12}(\\.[0-9]{0,9})?|\\.[0-9]{1,9})(|n|u|m|k|M|G|T|Ki|Mi|Gi|Ti|e[0-9]|E-?[0-9])";

proptest! {
    #[test]
    fn canonical_texts_keep_the_amount_and_are_stable(text in QUANTITY) {
        let quantity: Quantity = text.parse().unwrap();
        let printed = quantity.to_string();
        prop_assert_eq!(printed.parse::<Quantity>().unwrap(), quantity, "{} -> {}", text, printed);
        prop_assert_eq!(printed.parse::<Quantity>().unwrap().to_string(), printed);
        let kept = canonical(&text).unwrap();
        prop_assert_eq!(kept.parse::<Quantity>().unwrap(), quantity, "{} -> {}", text, kept);
        prop_assert_eq!(canonical(&kept).unwrap(), kept.as_ref());
    }

    #[test]
    fn sums_are_exact_and_ordered(a in QUANTITY, b in QUANTITY) {
        let (a, b): (Quantity, Quantity) = (a.parse().unwrap(), b.parse().unwrap());
        prop_assert_eq!(a + b, b + a);
        prop_assert_eq!((a + b) - b, a);
        prop_assert_eq!(a < b, (a - b).sign() < 0);
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = text.parse::<Quantity>();
        let _ = canonical(&text);
        let _ = crate::duration::parse(&text);
        let _ = crate::time::parse(&text);
    }
}
