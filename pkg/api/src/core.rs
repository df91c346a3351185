//! The core group (`""`).

pub mod v1;
