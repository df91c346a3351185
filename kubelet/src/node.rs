//! This machine as a Node: what it is ([`facts`]), its object and status ([`status`]), its heartbeat
//! ([`lease`]).

mod facts;
pub(crate) mod lease;
pub(crate) mod register;
pub(crate) mod status;

pub(crate) use facts::Facts;
