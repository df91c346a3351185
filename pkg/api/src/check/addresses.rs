//! Addresses of the older fields (apimachinery `pkg/util/validation/ip.go`): read as leniently as
//! ever, refused when they mean different things to different parsers, and warned about when they
//! are not in their usual form.

use apimachinery::field::{ErrorList, Path};
use apimachinery::validation::{cidr_warnings, ip_warnings, is_legacy_cidr, is_legacy_ip};
pub(crate) use apimachinery::validation::{sloppy_cidr, sloppy_ip};

use super::invalid_each;
use crate::gates::{Gate, on};

/// An address that may keep a value the stored object already has (`IsValidIPForLegacyField`).
pub(crate) fn legacy_ip(errs: &mut ErrorList, path: &Path, value: &str, stored: &[&str]) {
    if !stored.contains(&value) {
        let strict = on(Gate::StrictAddresses) || sloppy_ip(value).is_none();
        let messages = if strict { is_legacy_ip(value) } else { vec![] };
        invalid_each(errs, path, value, messages);
    }
}

/// A network that may keep a value the stored object already has (`IsValidCIDRForLegacyField`).
pub(crate) fn legacy_cidr(errs: &mut ErrorList, path: &Path, value: &str, stored: &[&str]) {
    if !stored.contains(&value) {
        let strict = on(Gate::StrictAddresses) || sloppy_cidr(value).is_none();
        let messages = if strict { is_legacy_cidr(value) } else { vec![] };
        invalid_each(errs, path, value, messages);
    }
}

/// What to say of an address in an unusual form (`GetWarningsForIP`).
pub fn warnings_for_ip(path: &Path, value: &str) -> Option<String> {
    ip_warnings(path.as_str(), value).pop()
}

/// What to say of a network in an unusual form (`GetWarningsForCIDR`).
pub fn warnings_for_cidr(path: &Path, value: &str) -> Vec<String> {
    cidr_warnings(path.as_str(), value)
}

/// Whether the text is an IPv6 address (`IsIPv6String`).
pub(crate) fn is_ipv6(value: &str) -> bool {
    sloppy_ip(value).is_some_and(|ip| ip.to_canonical().is_ipv6())
}

/// Exactly one address of each family (`IsDualStackIPStrings`).
pub(crate) fn is_dual_stack<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let six: Vec<bool> = values.map(is_ipv6).collect();
    six.contains(&true) && six.contains(&false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_fields_refuse_what_parsers_disagree_on() {
        let cases = [
            ("10.0.0.1", None),
            ("2001:DB8::1", None),
            ("10.0.0.01", Some("must not have leading 0s")),
            ("::ffff:10.0.0.1", Some("must not be an IPv4-mapped IPv6 address")),
            (
                "10.0.0",
                Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            ),
        ];
        for (value, want) in cases {
            let mut errs = ErrorList::new();
            legacy_ip(&mut errs, &Path::new("a"), value, &[]);
            assert_eq!(errs.first().map(|e| e.detail.as_str()), want, "{value}");
            errs.clear();
            legacy_ip(&mut errs, &Path::new("a"), value, &[value]);
            assert!(errs.is_empty(), "{value} is stored");
        }
        let cases = [
            ("10.0.0.0/8", None),
            ("10.0.0.1/8", Some("must not have bits set beyond the prefix length")),
            ("010.0.0.0/8", Some("must not have leading 0s in IP or prefix length")),
            ("10.0.0.0/08", Some("must not have leading 0s in IP or prefix length")),
            ("::ffff:10.0.0.0/104", Some("must not have an IPv4-mapped IPv6 address")),
            (
                "10.0.0.0",
                Some("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
            ),
        ];
        for (value, want) in cases {
            let mut errs = ErrorList::new();
            legacy_cidr(&mut errs, &Path::new("a"), value, &[]);
            assert_eq!(errs.first().map(|e| e.detail.as_str()), want, "{value}");
        }
    }

    #[test]
    fn unusual_forms_are_warned_about() {
        let ip = |v| warnings_for_ip(&Path::new("a"), v);
        assert_eq!(ip("10.0.0.1"), None);
        assert_eq!(
            ip("10.0.0.01").as_deref(),
            Some("a: non-standard IP address \"10.0.0.01\" is invalid: use \"10.0.0.1\"")
        );
        assert_eq!(
            ip("2001:DB8::1").as_deref(),
            Some("a: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")")
        );
        assert_eq!(
            warnings_for_cidr(&Path::new("a"), "10.0.0.1/8"),
            [
                "a: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"
            ]
        );
    }
}
