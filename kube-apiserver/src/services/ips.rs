//! Cluster IPs: one `IPAddress` object per address in use; creating it is the allocation.
//!
//! Upstream: `pkg/registry/core/service/ipallocator/ipallocator.go`.

use std::net::IpAddr;
use std::sync::Arc;

use rand::Rng as _;
use serde_json::{Value, json};

use crate::objects::Objects as _;
use crate::registry::Registry;

const GROUP: &str = "networking.k8s.io";
const RESOURCE: &str = "ipaddresses";
/// Random tries before the range is walked from a random start.
const RANDOM_TRIES: usize = 16;
/// Addresses walked before the range is called full.
const WALK: u128 = 65_536;

/// A network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    base: u128,
    bits: u8,
    v6: bool,
}

impl Range {
    /// Parses `10.96.0.0/12`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("invalid CIDR address: {text}");
        let (ip, bits) = text.trim().split_once('/').ok_or_else(bad)?;
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let bits: u8 = bits.parse().map_err(|_| bad())?;
        let (value, width, v6) = number(ip);
        if bits > width {
            return Err(bad());
        }
        let host = u32::from(width - bits);
        let base = if host >= 128 { 0 } else { value >> host << host };
        Ok(Range { base, bits, v6 })
    }

    fn size(&self) -> u128 {
        let host = u32::from(if self.v6 { 128 } else { 32 } - self.bits);
        1u128.checked_shl(host).unwrap_or(u128::MAX)
    }

    fn at(&self, offset: u128) -> IpAddr {
        let n = self.base + offset;
        if self.v6 { IpAddr::from(n.to_be_bytes()) } else { IpAddr::from((n as u32).to_be_bytes()) }
    }

    /// The first usable address: the `kubernetes` Service's.
    pub(crate) fn first(&self) -> IpAddr {
        self.at(1)
    }

    /// Whether an address may be allocated: inside, not the network's own, nor IPv4 broadcast.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let (n, _, v6) = number(ip);
        v6 == self.v6 && n > self.base && n - self.base < self.size() && (v6 || n - self.base != self.size() - 1)
    }

    /// `IPv4` or `IPv6`.
    pub(crate) fn family(&self) -> &'static str {
        if self.v6 { "IPv6" } else { "IPv4" }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.at(0), self.bits)
    }
}

fn number(ip: IpAddr) -> (u128, u8, bool) {
    match ip {
        IpAddr::V4(a) => (u128::from(u32::from(a)), 32, false),
        IpAddr::V6(a) => (u128::from(a), 128, true),
    }
}

/// The address allocator.
pub(super) struct Ips {
    registry: Arc<Registry>,
    ranges: Vec<Range>,
}

impl Ips {
    pub(super) fn new(registry: Arc<Registry>, ranges: &[Range]) -> Self {
        Ips { registry, ranges: ranges.to_vec() }
    }

    /// Families served, the default first.
    pub(super) fn families(&self) -> Vec<&'static str> {
        self.ranges.iter().map(Range::family).collect()
    }

    fn range(&self, family: &str) -> Option<&Range> {
        self.ranges.iter().find(|r| r.family() == family)
    }

    /// Reserves one given address.
    pub(super) async fn take(&self, ip: &str, ns: &str, name: &str) -> Result<(), String> {
        let parsed: IpAddr = ip.parse().map_err(|_| format!("failed to allocate IP {ip}: not a valid IP address"))?;
        let Some(range) = self.ranges.iter().find(|r| r.family() == if parsed.is_ipv6() { "IPv6" } else { "IPv4" }) else {
            return Err(format!("failed to allocate IP {ip}: IP family is not configured on this cluster"));
        };
        if !range.contains(parsed) {
            return Err(format!("failed to allocate IP {ip}: the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}"));
        }
        match self.registry.create(GROUP, RESOURCE, "", address(parsed, range, ns, name)).await {
            Ok(_) => Ok(()),
            Err(e) if e.is_already_exists() => Err(format!("failed to allocate IP {ip}: provided IP is already allocated")),
            Err(e) => Err(format!("failed to allocate IP {ip}: {e}")),
        }
    }

    /// Reserves any free address of a family, preferring the upper part of the range.
    pub(super) async fn any(&self, family: &str, ns: &str, name: &str) -> Result<String, String> {
        let range = self.range(family).ok_or_else(|| format!("failed to allocate a serviceIP: {family} is not configured on this cluster"))?;
        let (low, size) = (dynamic_offset(range.size()), range.size());
        for _ in 0..RANDOM_TRIES {
            let offset = if low < size { rand::rng().random_range(low..size) } else { 1 };
            if let Some(ip) = self.try_take(range, range.at(offset), ns, name).await? {
                return Ok(ip);
            }
        }
        let start = rand::rng().random_range(0..size);
        for step in 0..size.min(WALK) {
            if let Some(ip) = self.try_take(range, range.at((start + step) % size), ns, name).await? {
                return Ok(ip);
            }
        }
        Err("failed to allocate a serviceIP: range is full".to_owned())
    }

    async fn try_take(&self, range: &Range, ip: IpAddr, ns: &str, name: &str) -> Result<Option<String>, String> {
        if !range.contains(ip) || ip == range.first() {
            return Ok(None);
        }
        match self.registry.create(GROUP, RESOURCE, "", address(ip, range, ns, name)).await {
            Ok(_) => Ok(Some(ip.to_string())),
            Err(e) if e.is_already_exists() => Ok(None),
            Err(e) => Err(format!("failed to allocate a serviceIP: {e}")),
        }
    }

    /// Frees addresses.
    pub(super) async fn release(&self, ips: &[String]) {
        for ip in ips {
            let Ok(parsed) = ip.parse::<IpAddr>() else { continue };
            match self.registry.delete(GROUP, RESOURCE, "", &object_name(parsed)).await {
                Err(error) if !error.is_not_found() => tracing::warn!(ip, %error, "cluster IP stays reserved"),
                _ => {}
            }
        }
    }
}

/// Addresses below are left for Services that ask for theirs
/// (upstream: `min(max(16, size/16), 256)`, KEP-3070).
fn dynamic_offset(size: u128) -> u128 {
    if size <= 16 { 0 } else { (size / 16).clamp(16, 256) }
}

/// The name of an address's object: its canonical text.
fn object_name(ip: IpAddr) -> String {
    ip.to_string()
}

fn address(ip: IpAddr, range: &Range, ns: &str, name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": object_name(ip),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": range.family(),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": ns, "name": name}},
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_exclude_network_and_broadcast() {
        let r = Range::parse("10.96.0.0/24").unwrap();
        assert_eq!(r.first().to_string(), "10.96.0.1");
        assert!(!r.contains("10.96.0.0".parse().unwrap()));
        assert!(!r.contains("10.96.0.255".parse().unwrap()));
        assert!(r.contains("10.96.0.254".parse().unwrap()));
        assert!(!r.contains("10.96.1.1".parse().unwrap()));
        assert_eq!(r.to_string(), "10.96.0.0/24");
        assert!(Range::parse("10.96.0.0/33").is_err());
    }
}
