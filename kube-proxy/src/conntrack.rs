//! UDP flows the kernel remembers although their endpoint is gone.
//!
//! A TCP connection to a dead endpoint breaks and is made anew; a UDP sender that keeps its port never
//! learns of it, because the kernel keeps sending its packets where the first one went. Which flows are
//! such is decided by [`stale`], pure; `netlink.rs` lists and forgets flows.
//! Source of the rules: upstream `pkg/proxy/conntrack/cleanup.go` `CleanStaleEntries`.

mod netlink;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

/// One flow of UDP packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Who sends.
    pub(crate) source: SocketAddr,
    /// Where to, as the sender believes.
    pub(crate) destination: SocketAddr,
    /// Who answers: the endpoint chosen.
    pub(crate) answerer: SocketAddr,
}

/// Where UDP Services may lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// By cluster or external address and port.
    pub(crate) services: HashMap<SocketAddr, BTreeSet<SocketAddr>>,
    /// By node port.
    pub(crate) nodeports: HashMap<u16, BTreeSet<SocketAddr>>,
}

impl Targets {
    /// Adds what one Service port may lead to.
    pub(crate) fn add(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
        port: u16,
        node_port: u16,
        endpoints: &BTreeSet<SocketAddr>,
    ) {
        for address in addresses {
            self.services
                .entry(SocketAddr::new(address, port))
                .or_default()
                .extend(endpoints);
        }
        if node_port != 0 {
            self.nodeports.entry(node_port).or_default().extend(endpoints);
        }
    }
}

/// The flows to a Service that end at none of its endpoints.
pub(crate) fn stale(flows: impl IntoIterator<Item = Flow>, targets: &Targets) -> Vec<Flow> {
    let wrong = |flow: &Flow| {
        let service = targets.services.get(&flow.destination);
        let endpoints = service.or_else(|| targets.nodeports.get(&flow.destination.port()));
        endpoints.is_some_and(|endpoints| !endpoints.contains(&flow.answerer))
    };
    flows.into_iter().filter(wrong).collect()
}

/// Makes the kernel forget all flows that are stale; returns how many. Blocks.
///
/// # Errors
/// The kernel refuses: no right to, or no connection tracking.
pub(crate) fn clean(targets: &Targets) -> std::io::Result<usize> {
    let mut socket = netlink::Socket::open()?;
    let stale = stale(socket.udp_flows()?, targets);
    for flow in &stale {
        socket.forget(flow)?;
    }
    Ok(stale.len())
}
