//! Leases: lifetimes that keys are attached to. When one ends, its keys are deleted.
//!
//! [`Lessor`] is pure: it is told the time. What grants and ends leases for good is the committer;
//! `expirer.rs` watches the clock.

mod expirer;
mod lessor;

pub(crate) use self::expirer::expire;
pub(crate) use self::lessor::Lessor;
