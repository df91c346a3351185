//! autoscaling/v2.

pub mod defaults;
pub mod validation;
