//! autoscaling/v1.

pub mod defaults;
