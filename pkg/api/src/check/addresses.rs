//! Addresses of the older fields (apimachinery `pkg/util/validation/ip.go`): read as leniently as
//! ever, refused when they mean different things to different parsers, and warned about when they
//! are not in their usual form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use apimachinery::field::{Error, ErrorList, Path};

/// An address that may keep a value the stored object already has (`IsValidIPForLegacyField`).
pub(crate) fn legacy_ip(errs: &mut ErrorList, path: &Path, value: &str, stored: &[&str]) {
    if stored.contains(&value) {
        return;
    }
    let rule = match sloppy_ip(value) {
        None => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        Some(_) if value.parse::<IpAddr>().is_err() => "must not have leading 0s",
        Some(_) if is_mapped(value) => "must not be an IPv4-mapped IPv6 address",
        Some(_) => return,
    };
    errs.push(Error::invalid(path, value, rule));
}

/// A network that may keep a value the stored object already has (`IsValidCIDRForLegacyField`).
pub(crate) fn legacy_cidr(errs: &mut ErrorList, path: &Path, value: &str, stored: &[&str]) {
    if stored.contains(&value) {
        return;
    }
    let rule = match sloppy_cidr(value) {
        None => "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        Some(_) if !is_strict_cidr(value) => "must not have leading 0s in IP or prefix length",
        Some(_) if is_mapped(address_part(value)) => "must not have an IPv4-mapped IPv6 address",
        Some((ip, bits)) if masked(ip, bits) != ip => "must not have bits set beyond the prefix length",
        Some(_) => return,
    };
    errs.push(Error::invalid(path, value, rule));
}

/// What to say of an address in an unusual form (`GetWarningsForIP`).
pub fn warnings_for_ip(path: &Path, value: &str) -> Option<String> {
    let ip = sloppy_ip(value)?;
    let plain = plain(ip);
    if value.parse::<IpAddr>().is_err() || is_mapped(value) {
        return Some(format!(
            "{path}: non-standard IP address {value:?} is invalid: use \"{plain}\""
        ));
    }
    (ip.is_ipv6() && ip.to_string() != value)
        .then(|| format!("{path}: IPv6 address {value:?} should be in RFC 5952 canonical format (\"{ip}\")"))
}

/// What to say of a network in an unusual form (`GetWarningsForCIDR`).
pub fn warnings_for_cidr(path: &Path, value: &str) -> Vec<String> {
    let Some((ip, bits)) = sloppy_cidr(value) else {
        return vec![];
    };
    let (ip, bits) = (
        plain(ip),
        if is_mapped(address_part(value)) {
            bits.saturating_sub(96)
        } else {
            bits
        },
    );
    let network = format!("{}/{bits}", masked(ip, bits));
    let mut out = vec![];
    if masked(ip, bits) != ip {
        let host = format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 });
        out.push(format!(
            "{path}: CIDR value {value:?} is ambiguous in this context (should be \"{network}\" or \"{host}\"?)"
        ));
    }
    if !is_strict_cidr(value) || is_mapped(address_part(value)) {
        out.push(format!(
            "{path}: non-standard CIDR value {value:?} is invalid: use \"{network}\""
        ));
    }
    if out.is_empty() && ip.is_ipv6() && network != value {
        out.push(format!(
            "{path}: IPv6 CIDR value {value:?} should be in RFC 5952 canonical format (\"{network}\")"
        ));
    }
    out
}

/// Whether the text is an IPv6 address (`IsIPv6String`).
pub(crate) fn is_ipv6(value: &str) -> bool {
    sloppy_ip(value).is_some_and(|ip| plain(ip).is_ipv6())
}

/// Exactly one address of each family (`IsDualStackIPStrings`).
pub(crate) fn is_dual_stack<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let six: Vec<bool> = values.map(is_ipv6).collect();
    six.contains(&true) && six.contains(&false)
}

/// An address as Go's older parser read it: leading zeros are decimal (`ParseIPSloppy`).
pub(crate) fn sloppy_ip(value: &str) -> Option<IpAddr> {
    if value.contains(':') {
        return value.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let mut octets = [0; 4];
    let mut parts = value.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|p| p.bytes().all(|b| b.is_ascii_digit()))?;
        *octet = part.parse::<u8>().ok()?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// `ParseCIDRSloppy`.
pub(crate) fn sloppy_cidr(value: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = value.split_once('/')?;
    let ip = sloppy_ip(address)?;
    let bits: u8 = bits.bytes().all(|b| b.is_ascii_digit()).then(|| bits.parse().ok())??;
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
}

fn address_part(cidr: &str) -> &str {
    cidr.split('/').next().unwrap_or("")
}

fn is_strict_cidr(value: &str) -> bool {
    let bits = value.split_once('/').map_or("", |(_, bits)| bits);
    address_part(value).parse::<IpAddr>().is_ok() && (bits == "0" || !bits.starts_with('0'))
}

fn is_mapped(value: &str) -> bool {
    value.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_ipv4_mapped().is_some())
}

/// Go keeps a mapped address as the IPv4 address it stands for.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & mask))
        }
    }
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
