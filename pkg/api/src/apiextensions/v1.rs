//! apiextensions/v1.

pub mod defaults;
