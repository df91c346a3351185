//! nftables: desired state as map elements (`elements.rs`), its differences (`desired.rs`), their text
//! (`render.rs`), and the `nft` program (`apply.rs`).

mod apply;
mod desired;
mod elements;
mod render;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::apply::NftError;
pub(crate) use self::apply::{Kernel, Nft};
pub(crate) use self::desired::Desired;
pub(crate) use self::elements::elements;
pub(crate) use self::render::{Local, Settings, full, incremental, remove_tables};
