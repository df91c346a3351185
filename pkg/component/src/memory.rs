//! The allocator of every binary.
//!
//! Servers here make and drop many small trees. jemalloc does that for less CPU than glibc and, with its background
//! thread, gives memory back that a burst needed. A binary says
//! `#[global_allocator] static ALLOCATOR: component::memory::Allocator = component::memory::Allocator;`.

pub use tikv_jemallocator::Jemalloc as Allocator;
