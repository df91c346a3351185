//! An address range in CIDR notation, of either family, as one number and a prefix length.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network address with its prefix length; bits beyond the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    first: u128,
    prefix: u8,
    ipv4: bool,
}

/// The text is no CIDR.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid CIDR address: {0}")]
pub(crate) struct InvalidCidr(String);

impl Cidr {
    /// The `index`th range of prefix length `mask` inside this one.
    pub(crate) fn part(self, mask: u8, index: u64) -> Self {
        let shift = u32::from(self.bits() - mask);
        let offset = u128::from(index).checked_shl(shift).unwrap_or(0);
        Self {
            first: self.first | offset,
            prefix: mask,
            ipv4: self.ipv4,
        }
    }

    /// The inclusive indexes of this range's parts of length `mask` that `other` overlaps.
    pub(crate) fn overlapped_parts(self, mask: u8, other: Self) -> Option<(u64, u64)> {
        if self.ipv4 != other.ipv4 {
            return None;
        }
        let start = self.first.max(other.first);
        let end = self.last().min(other.last());
        if start > end {
            return None;
        }
        let shift = u32::from(self.bits() - mask);
        let index =
            |address: u128| u64::try_from((address - self.first).checked_shr(shift).unwrap_or(0)).unwrap_or(u64::MAX);
        Some((index(start), index(end)))
    }

    fn last(self) -> u128 {
        let free = u32::from(self.bits() - self.prefix);
        self.first | (1_u128.checked_shl(free).unwrap_or(0).wrapping_sub(1))
    }

    pub(crate) fn prefix(self) -> u8 {
        self.prefix
    }

    /// Length of an address: 32 or 128.
    pub(crate) fn bits(self) -> u8 {
        if self.ipv4 { 32 } else { 128 }
    }

    pub(crate) fn is_ipv4(self) -> bool {
        self.ipv4
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let invalid = || InvalidCidr(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let (address, bits, ipv4) = match address.parse().map_err(|_| invalid())? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32, true),
            IpAddr::V6(address) => (u128::from(address), 128, false),
        };
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        if prefix > bits {
            return Err(invalid());
        }
        let free = u32::from(bits - prefix);
        let first = address.checked_shr(free).unwrap_or(0).checked_shl(free).unwrap_or(0);
        Ok(Self { first, prefix, ipv4 })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.first) {
            Ok(first) if self.ipv4 => write!(f, "{}/{}", Ipv4Addr::from(first), self.prefix),
            _ => write!(f, "{}/{}", Ipv6Addr::from(self.first), self.prefix),
        }
    }
}
