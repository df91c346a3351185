//! certificates.
