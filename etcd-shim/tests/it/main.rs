//! The server as its clients see it: one contract for this server and for etcd itself, durability under
//! `kill -9`, TLS.

#![allow(clippy::unwrap_used)]

mod contract;
mod durability;
mod endpoint;
mod etcdctl;
mod kill;
mod linearizability;
mod moving;
mod tls;
