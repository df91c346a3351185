//! events/v1.

pub mod validation;
