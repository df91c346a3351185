//! flowcontrol/v1.

pub mod defaults;
