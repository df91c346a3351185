//! What people write into selectors, amounts and times: whatever it is, reading it ends, does not panic, and what
//! was read can be written and read again.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use crate::patch::apply::{Managed, Set};
use crate::quantity::Quantity;
use crate::{duration, fields, gvk, labels, quantity, time, validation};

/// Pieces that mean something to one reader or another, and some that mean nothing to any.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9./_-]{1,4}",
        "[!=<>(),\\\\ :+%]{1,2}",
        "(in|notin|exists|metadata\\.name|[0-9]{1,22}|1e[0-9]{1,10}|Ki|m|h|ns|T|Z|\\.)",
        "\\PC",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn selectors_say_what_they_were_read_from(text in text()) {
        if let Ok(selector) = labels::Selector::parse(&text) {
            let again = labels::Selector::parse(&selector.to_string()).unwrap();
            prop_assert_eq!(again.to_string(), selector.to_string());
        }
        if let Ok(selector) = fields::Selector::parse(&text) {
            let again = fields::Selector::parse(&selector.to_string()).unwrap();
            prop_assert_eq!(again, selector);
        }
    }

    #[test]
    fn amounts_have_one_form(text in text(), other in text()) {
        let Ok(first) = text.parse::<Quantity>() else { return Ok(()) };
        let canonical = quantity::canonical(&text).unwrap().into_owned();
        prop_assert_eq!(canonical.parse::<Quantity>().unwrap(), first, "{}", canonical);
        if let Ok(second) = other.parse::<Quantity>() {
            prop_assert_eq!(first.cmp(&second), second.cmp(&first).reverse());
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in text()) {
        let _ = duration::parse(&text).map(duration::format);
        let _ = time::parse(&text).map(|at| (time::format_seconds(at), time::format_micro(at)));
        let _ = gvk::GroupVersion::parse(&text);
        for check in [validation::is_qualified_name, validation::is_dns1123_subdomain, validation::is_valid_label_value,
            validation::is_c_identifier, validation::is_dns1035_label, validation::is_path_segment_name] {
            let _ = check(&text);
        }
        let _ = validation::sloppy_ip(&text);
        let _ = validation::sloppy_cidr(&text);
    }

    #[test]
    fn owners_may_be_anything(name in text(), inner in text(), kind in "[fvki.x]{0,2}") {
        let fields = serde_json::json!({format!("{kind}:{name}"): {format!("f:{inner}"): {}, ".": {}}});
        if let Ok(set) = Set::from_fields_v1(&fields) {
            prop_assert_eq!(Set::from_fields_v1(&set.to_fields_v1()).unwrap(), set);
        }
        let list = serde_json::json!([{"manager": name, "operation": "Update", "fieldsV1": fields, "time": inner}]);
        let _ = Managed::decode(Some(&list)).map(Managed::encode);
        let _ = Managed::decode(Some(&Value::from(name)));
    }
}
