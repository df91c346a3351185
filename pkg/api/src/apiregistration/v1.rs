//! apiregistration/v1.

pub mod defaults;
