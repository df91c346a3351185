//! autoscaling.
