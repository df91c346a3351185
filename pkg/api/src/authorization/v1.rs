//! authorization/v1.

pub mod validation;
