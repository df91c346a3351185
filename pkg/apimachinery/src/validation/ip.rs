//! Addresses and networks as API fields hold them (upstream: `util/validation/ip.go`).
//!
//! Fields older than the strict rules take any spelling without leading zeros; newer ones take the
//! canonical spelling only. Go's old parser, which ignored leading zeros, decides which message is given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IP_MSG: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR_MSG: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const INTERFACE_MSG: &str = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";

/// An address of a field that predates the strict rules (`IsValidIPForLegacyField`).
pub fn is_legacy_ip(value: &str) -> Vec<String> {
    match (sloppy_ip(value), value.parse()) {
        (None, _) => vec![IP_MSG.to_owned()],
        (Some(_), Err(_)) => vec!["must not have leading 0s".to_owned()],
        (Some(_), Ok(IpAddr::V6(v6))) if is_mapped(v6) => {
            vec!["must not be an IPv4-mapped IPv6 address".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// An address in canonical form (`IsValidIP`).
pub fn is_strict_ip(value: &str) -> Vec<String> {
    let found = is_legacy_ip(value);
    if !found.is_empty() {
        return found;
    }
    canonical(value, go_ip(value).map(|ip| ip.to_string()))
}

/// A network of a field that predates the strict rules (`IsValidCIDRForLegacyField`).
pub fn is_legacy_cidr(value: &str) -> Vec<String> {
    let Some((address, bits)) = sloppy_cidr(value) else {
        return vec![CIDR_MSG.to_owned()];
    };
    let (text, length) = value.split_once('/').unwrap_or((value, ""));
    let message = match text.parse::<IpAddr>() {
        Err(_) => "must not have leading 0s in IP or prefix length",
        Ok(_) if length.len() > 1 && length.starts_with('0') => "must not have leading 0s in IP or prefix length",
        Ok(IpAddr::V6(v6)) if is_mapped(v6) => "must not have an IPv4-mapped IPv6 address",
        Ok(_) if masked(address, bits) != address => "must not have bits set beyond the prefix length",
        Ok(_) => return Vec::new(),
    };
    vec![message.to_owned()]
}

/// A network in canonical form (`IsValidCIDR`).
pub fn is_strict_cidr(value: &str) -> Vec<String> {
    let found = is_legacy_cidr(value);
    if !found.is_empty() {
        return found;
    }
    let form = sloppy_cidr(value).map(|(address, bits)| format!("{}/{bits}", masked(address, bits)));
    canonical(value, form)
}

/// An address with the length of its network, in canonical form (`IsValidInterfaceAddress`).
pub fn is_valid_interface_address(value: &str) -> Vec<String> {
    match sloppy_cidr(value) {
        None => vec![INTERFACE_MSG.to_owned()],
        Some((address, bits)) => {
            let (address, bits) = unmapped(address, bits);
            canonical(value, Some(format!("{address}/{bits}")))
        }
    }
}

/// What to tell a client about an address that passes but should be written otherwise
/// (`GetWarningsForIP`).
pub fn ip_warnings(path: &str, value: &str) -> Vec<String> {
    let Some(ip) = go_ip(value) else { return Vec::new() };
    match value.parse() {
        Ok(IpAddr::V6(v6)) if is_mapped(v6) => vec![non_standard(path, value, &ip.to_string(), "IP address")],
        Err(_) => vec![non_standard(path, value, &ip.to_string(), "IP address")],
        Ok(IpAddr::V6(v6)) if v6.to_string() != value => vec![format!(
            "{path}: IPv6 address {value:?} should be in RFC 5952 canonical format ({:?})",
            v6.to_string()
        )],
        Ok(_) => Vec::new(),
    }
}

/// What to tell a client about a network that passes but should be written otherwise
/// (`GetWarningsForCIDR`).
pub fn cidr_warnings(path: &str, value: &str) -> Vec<String> {
    let Some((address, bits)) = sloppy_cidr(value) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let (plain, plain_bits) = unmapped(address, bits);
    let net = format!("{}/{plain_bits}", masked(plain, plain_bits));
    if masked(plain, plain_bits) != plain {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let single = format!("{plain}/{length}");
        found.push(format!(
            "{path}: CIDR value {value:?} is ambiguous in this context (should be {net:?} or {single:?}?)"
        ));
    }
    let (text, length) = value.split_once('/').unwrap_or((value, ""));
    let zeros = length.len() > 1 && length.starts_with('0');
    match text.parse() {
        Ok(IpAddr::V6(v6)) if !zeros && !is_mapped(v6) => {
            let form = format!("{v6}/{bits}");
            if found.is_empty() && form != value {
                found.push(format!(
                    "{path}: IPv6 CIDR value {value:?} should be in RFC 5952 canonical format ({form:?})"
                ));
            }
        }
        Ok(IpAddr::V4(_)) if !zeros => {}
        _ => found.push(non_standard(path, value, &net, "CIDR value")),
    }
    found
}

fn non_standard(path: &str, value: &str, better: &str, what: &str) -> String {
    format!("{path}: non-standard {what} {value:?} is invalid: use {better:?}")
}

fn canonical(value: &str, form: Option<String>) -> Vec<String> {
    match form {
        Some(form) if form != value => vec![format!("must be in canonical form ({form:?})")],
        _ => Vec::new(),
    }
}

fn is_mapped(ip: Ipv6Addr) -> bool {
    ip.to_ipv4_mapped().is_some()
}

/// Go prints a mapped address as the one it maps (`net.IP.String`).
fn unmapped(ip: IpAddr, bits: u8) -> (IpAddr, u8) {
    match ip {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => (IpAddr::V4(v4), bits.saturating_sub(96)),
            None => (ip, bits),
        },
        IpAddr::V4(_) => (ip, bits),
    }
}

/// An address as Go prints it.
fn go_ip(value: &str) -> Option<IpAddr> {
    Some(unmapped(sloppy_ip(value)?, 0).0)
}

/// Reads an address as Go did before it minded leading zeros (`netutils.ParseIPSloppy`).
pub fn sloppy_ip(value: &str) -> Option<IpAddr> {
    if let Ok(ip) = value.parse() {
        return Some(ip);
    }
    let (head, tail) = match value.rfind(':') {
        Some(at) => value.split_at(at + 1),
        None => ("", value),
    };
    let mut octets = tail.split('.').map(|octet| {
        let digits = !octet.is_empty() && octet.bytes().all(|b| b.is_ascii_digit());
        octet.parse::<u8>().ok().filter(|_| digits)
    });
    let four = [octets.next()??, octets.next()??, octets.next()??, octets.next()??];
    if octets.next().is_some() {
        return None;
    }
    format!("{head}{}", Ipv4Addr::from(four)).parse().ok()
}

/// An address and the length of its network, read likewise (`netutils.ParseCIDRSloppy`).
pub fn sloppy_cidr(value: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = value.split_once('/')?;
    let address = sloppy_ip(address)?;
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str) -> Vec<String>;

    #[test]
    fn addresses_and_networks_are_told_what_is_wrong() {
        let cases: [(Rule, &str, Option<&str>); 17] = [
            (is_legacy_ip, "1.2.3.4", None),
            (is_legacy_ip, "FE80:0::1", None),
            (is_legacy_ip, "1.2.3", Some(IP_MSG)),
            (is_legacy_ip, "001.2.3.4", Some("must not have leading 0s")),
            (
                is_legacy_ip,
                "::ffff:1.2.3.4",
                Some("must not be an IPv4-mapped IPv6 address"),
            ),
            (
                is_strict_ip,
                "FE80:0::1",
                Some("must be in canonical form (\"fe80::1\")"),
            ),
            (is_legacy_cidr, "10.0.0.0/8", None),
            (is_legacy_cidr, "10.0.0.0", Some(CIDR_MSG)),
            (is_legacy_cidr, "10.0.0.0/33", Some(CIDR_MSG)),
            (
                is_legacy_cidr,
                "10.0.0.0/08",
                Some("must not have leading 0s in IP or prefix length"),
            ),
            (
                is_legacy_cidr,
                "10.0.0.1/8",
                Some("must not have bits set beyond the prefix length"),
            ),
            (
                is_legacy_cidr,
                "::ffff:1.2.3.0/120",
                Some("must not have an IPv4-mapped IPv6 address"),
            ),
            (
                is_strict_cidr,
                "2001:DB8::/64",
                Some("must be in canonical form (\"2001:db8::/64\")"),
            ),
            (is_strict_cidr, "0.0.0.0/0", None),
            (is_valid_interface_address, "10.0.0.1/8", None),
            (
                is_valid_interface_address,
                "::ffff:10.0.0.1/104",
                Some("must be in canonical form (\"10.0.0.1/8\")"),
            ),
            (is_valid_interface_address, "10.0.0.1", Some(INTERFACE_MSG)),
        ];
        for (rule, value, want) in cases {
            assert_eq!(rule(value), Vec::from_iter(want), "{value}");
        }
    }

    #[test]
    fn odd_spellings_are_warned_about() {
        assert_eq!(
            ip_warnings("spec.x", "010.0.0.1"),
            ["spec.x: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\""]
        );
        assert_eq!(
            cidr_warnings("spec.x", "10.1.2.3/8"),
            [
                "spec.x: CIDR value \"10.1.2.3/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.1.2.3/32\"?)"
            ]
        );
        assert_eq!(
            cidr_warnings("spec.x", "2001:DB8::/64"),
            ["spec.x: IPv6 CIDR value \"2001:DB8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")"]
        );
        assert!(ip_warnings("p", "10.0.0.1").is_empty());
    }
}
