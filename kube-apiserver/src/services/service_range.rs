//! One CIDR of `--service-cluster-ip-range` and the order its addresses are tried in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::Rng as _;

/// A service network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceRange {
    /// First address (the network address).
    base: u128,
    /// Number of usable addresses behind it.
    usable: u128,
    prefix: u8,
    v4: bool,
}

impl ServiceRange {
    /// Parses `10.96.0.0/12`; host bits are cut off.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("invalid CIDR address: {text}");
        let (ip, prefix) = text.split_once('/').ok_or_else(bad)?;
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let v4 = ip.is_ipv4();
        let width: u8 = if v4 { 32 } else { 128 };
        if prefix > width {
            return Err(bad());
        }
        let host_bits = u32::from(width - prefix);
        let mask = if host_bits >= 128 { 0 } else { u128::MAX << host_bits };
        let base = number(ip) & mask;
        let size = if host_bits >= 127 {
            u128::MAX
        } else {
            1u128 << host_bits
        };
        // The network address is never used; IPv4 also keeps the broadcast address free.
        let usable = match (v4, host_bits) {
            (_, 0) => 0,
            (true, _) => size.saturating_sub(2),
            (false, _) => size.saturating_sub(1),
        };
        Ok(ServiceRange {
            base,
            usable,
            prefix,
            v4,
        })
    }

    /// The CIDR in canonical form.
    pub(crate) fn cidr(&self) -> String {
        format!("{}/{}", address(self.base, self.v4), self.prefix)
    }

    /// `IPv4` or `IPv6`.
    pub(crate) fn family(&self) -> &'static str {
        if self.v4 { "IPv4" } else { "IPv6" }
    }

    /// The address of Service `default/kubernetes`.
    pub(crate) fn first(&self) -> Option<IpAddr> {
        (self.usable > 0).then(|| address(self.base + 1, self.v4))
    }

    /// Whether `ip` can be a cluster IP here.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.v4 && number(ip) > self.base && number(ip) - self.base <= self.usable
    }

    /// Candidates in the order to try: a random start in the upper part, all of it, then the lower
    /// part, which is kept for addresses people choose (upstream `calculateRangeOffset`).
    pub(crate) fn candidates(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (base, v4) = (self.base, self.v4);
        let lower = reserved(self.usable);
        let upper = self.usable - lower;
        let start = if upper == 0 {
            0
        } else {
            rand::rng().random_range(0..upper)
        };
        let high = (0..upper).map(move |i| lower + (start + i) % upper);
        high.chain(0..lower).map(move |offset| address(base + 1 + offset, v4))
    }
}

/// Size of the part at the bottom that is used last: between 16 and 256 addresses, a sixteenth.
fn reserved(usable: u128) -> u128 {
    if usable < 16 {
        0
    } else {
        (usable / 16).clamp(16, 256).min(usable)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address(n: u128, v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::from(n as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from(n))
    }
}
