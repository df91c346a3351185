//! What the proxy knows of Services and their endpoints, in its own terms.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// IP version; each has its own table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Transport protocol, as the kernel's rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// From the API's word; nothing is TCP.
    pub(crate) fn parse(word: Option<&str>) -> Option<Self> {
        match word.unwrap_or("TCP") {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A Service's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServiceName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One port of one Service in one IP family, with all addresses it is reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServicePort {
    /// The port's name; empty when the Service has only one.
    pub(crate) name: String,
    pub(crate) family: Family,
    pub(crate) protocol: Protocol,
    pub(crate) cluster_ip: IpAddr,
    pub(crate) port: u16,
    /// 0: none.
    pub(crate) node_port: u16,
    /// External and load-balancer addresses.
    pub(crate) external_ips: BTreeSet<IpAddr>,
    /// `internalTrafficPolicy: Local`: the cluster address leads to endpoints of this node only.
    pub(crate) internal_local: bool,
    /// `externalTrafficPolicy: Local`: outsiders are led to endpoints of this node only, and keep their
    /// address.
    pub(crate) external_local: bool,
    /// `sessionAffinity: ClientIP`.
    pub(crate) sticky: bool,
}

/// One endpoint of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// On this node.
    pub(crate) local: bool,
    pub(crate) ready: bool,
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    /// Zones it is meant for; empty: no hint.
    pub(crate) for_zones: Vec<String>,
    /// Nodes it is meant for; empty: no hint.
    pub(crate) for_nodes: Vec<String>,
}

/// What the proxy must know of the node it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeInfo {
    pub(crate) name: String,
    /// Label `topology.kubernetes.io/zone`.
    pub(crate) zone: Option<String>,
    pub(crate) pod_cidrs: Vec<String>,
    /// Address of type InternalIP per family, for `--nodeport-addresses=primary`.
    pub(crate) internal_ips: Vec<IpAddr>,
    /// Load balancers may send traffic here (`/healthz`).
    pub(crate) eligible: bool,
}
