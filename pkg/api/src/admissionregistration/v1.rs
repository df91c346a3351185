//! admissionregistration/v1.

pub mod defaults;
pub mod validation;
pub mod warnings;
