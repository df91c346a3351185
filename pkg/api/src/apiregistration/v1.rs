//! apiregistration/v1.

pub mod defaults;
pub mod validation;
