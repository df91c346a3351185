//! The apps group.

pub mod v1;
