//! The kernel's side. There is one backend, nftables.

pub(crate) mod nftables;
