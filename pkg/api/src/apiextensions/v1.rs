//! apiextensions/v1.

pub mod defaults;
pub mod formats;
pub mod validation;
