//! Status of pods: made from what the runtime and the probes say ([`generate`], [`conditions`]), kept
//! and sent to the apiserver by the [`StatusManager`], which is the only writer of pod status.

pub(crate) mod conditions;
pub(crate) mod generate;
mod manager;
pub(crate) mod reasons;

pub(crate) use manager::StatusManager;
