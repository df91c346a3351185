//! The batch group.

pub mod v1;
