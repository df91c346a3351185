//! scheduling.
