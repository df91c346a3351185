//! What tests of several crates share: a clock that only moves when told, builders of objects, and
//! comparison with golden files.
//!
//! It is not: an API server (that is `testserver`) or a container runtime. It is a dev-dependency
//! and never part of a binary.
//!
//! Start at [`builders::pod`] and [`clock::FakeClock`].

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod builders;
pub mod clock;
pub mod golden;
