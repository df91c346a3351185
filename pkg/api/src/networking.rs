//! networking.
