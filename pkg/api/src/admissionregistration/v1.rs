//! admissionregistration/v1.

pub mod defaults;
