//! Objects: the generic store, the strategies of the kinds, and the in-process handle on both.

pub(crate) mod strategies;
pub(crate) mod strategy;
