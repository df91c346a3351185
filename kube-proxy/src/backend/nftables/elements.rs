//! What one Service port asks of the kernel, as elements of the flat maps. Pure.

use std::net::{IpAddr, SocketAddr};

use crate::model::ServicePort;
use crate::topology::Chosen;

/// The maps and sets of a table. Their declarations are in `render.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Map {
    /// address . protocol . port -> chain that spreads over the Service's endpoints
    ServiceIps,
    /// the same, for who asks from inside, where that differs
    InsideServiceIps,
    /// address . protocol . port . number -> endpoint
    ServiceEndpoints,
    /// protocol . port -> chain
    Nodeports,
    /// the same, from inside
    InsideNodeports,
    /// protocol . port . number -> endpoint
    NodeportEndpoints,
    /// address . protocol . port -> reject or drop
    NoEndpointServices,
    /// protocol . port -> reject or drop
    NoEndpointNodeports,
    /// external address . protocol . port whose packets get this node's source address
    MasqueradeServices,
    /// protocol . port, likewise
    MasqueradeNodeports,
    /// all cluster addresses
    ClusterIps,
    /// endpoint . endpoint: a packet from one to itself must come back through this node
    Hairpin,
}

impl Map {
    pub(crate) const ALL: [Self; 12] = [
        Self::ServiceIps,
        Self::InsideServiceIps,
        Self::ServiceEndpoints,
        Self::Nodeports,
        Self::InsideNodeports,
        Self::NodeportEndpoints,
        Self::NoEndpointServices,
        Self::NoEndpointNodeports,
        Self::MasqueradeServices,
        Self::MasqueradeNodeports,
        Self::ClusterIps,
        Self::Hairpin,
    ];

    /// Name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ServiceIps => "service-ips",
            Self::InsideServiceIps => "inside-service-ips",
            Self::ServiceEndpoints => "service-endpoints",
            Self::Nodeports => "nodeports",
            Self::InsideNodeports => "inside-nodeports",
            Self::NodeportEndpoints => "nodeport-endpoints",
            Self::NoEndpointServices => "no-endpoint-services",
            Self::NoEndpointNodeports => "no-endpoint-nodeports",
            Self::MasqueradeServices => "masquerade-services",
            Self::MasqueradeNodeports => "masquerade-nodeports",
            Self::ClusterIps => "cluster-ips",
            Self::Hairpin => "hairpin",
        }
    }
}

/// Numbers of endpoints used from inside start here, behind those used from outside.
pub(crate) const INSIDE_OFFSET: usize = 32768;

/// A chain that spreads over so many endpoints. It is shared by all Services that have as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spread {
    /// Looks in the node-port map.
    pub(crate) nodeport: bool,
    /// Endpoints for askers from inside.
    pub(crate) inside: bool,
    /// The same client gets the same endpoint.
    pub(crate) sticky: bool,
    pub(crate) count: usize,
}

impl Spread {
    /// Name of the chain.
    pub(crate) fn chain(self) -> String {
        format!(
            "{}{}{}-{}",
            if self.inside { "inside-" } else { "" },
            if self.sticky { "sticky-" } else { "" },
            if self.nodeport { "nodeport" } else { "service" },
            self.count
        )
    }
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// Membership is all.
    Member,
    /// An endpoint.
    To(SocketAddr),
    /// A chain that chooses one.
    Spread(Spread),
    /// Refused with an ICMP message: no endpoint anywhere.
    Reject,
    /// Silently lost: none here, and the policy forbids the others.
    Drop,
}

/// A map and a key in it, in the kernel's notation.
pub(crate) type Key = (Map, String);

/// Everything `service` with `chosen` endpoints needs.
pub(crate) fn elements(service: &ServicePort, chosen: &Chosen) -> Vec<(Key, Value)> {
    let mut all = Elements {
        service,
        all: Vec::new(),
    };
    all.push(Map::ClusterIps, service.cluster_ip.to_string(), Value::Member);
    all.address(service.cluster_ip, &chosen.internal, None, chosen.any);
    let from_inside = service.external_local.then_some(&chosen.from_inside[..]);
    for ip in &service.external_ips {
        all.address(*ip, &chosen.external, from_inside, chosen.any);
        if !service.external_local {
            all.push(Map::MasqueradeServices, all.service_key(*ip), Value::Member);
        }
    }
    if service.node_port != 0 {
        all.nodeport(&chosen.external, from_inside, chosen.any);
        if !service.external_local {
            all.push(Map::MasqueradeNodeports, all.nodeport_key(), Value::Member);
        }
    }
    for endpoint in chosen
        .internal
        .iter()
        .chain(&chosen.external)
        .chain(&chosen.from_inside)
    {
        let ip = endpoint.ip();
        all.push(Map::Hairpin, format!("{ip} . {ip}"), Value::Member);
    }
    all.all.sort();
    all.all.dedup();
    all.all
}

struct Elements<'a> {
    service: &'a ServicePort,
    all: Vec<(Key, Value)>,
}

impl Elements<'_> {
    fn push(&mut self, map: Map, key: String, value: Value) {
        self.all.push(((map, key), value));
    }

    fn service_key(&self, ip: IpAddr) -> String {
        format!("{ip} . {} . {}", self.service.protocol, self.service.port)
    }

    fn nodeport_key(&self) -> String {
        format!("{} . {}", self.service.protocol, self.service.node_port)
    }

    fn address(&mut self, ip: IpAddr, endpoints: &[SocketAddr], inside: Option<&[SocketAddr]>, any: bool) {
        let key = self.service_key(ip);
        let maps = [
            Map::ServiceIps,
            Map::InsideServiceIps,
            Map::ServiceEndpoints,
            Map::NoEndpointServices,
        ];
        self.reach(&key, false, maps, endpoints, inside, any);
    }

    fn nodeport(&mut self, endpoints: &[SocketAddr], inside: Option<&[SocketAddr]>, any: bool) {
        let key = self.nodeport_key();
        let maps = [
            Map::Nodeports,
            Map::InsideNodeports,
            Map::NodeportEndpoints,
            Map::NoEndpointNodeports,
        ];
        self.reach(&key, true, maps, endpoints, inside, any);
    }

    fn reach(
        &mut self,
        key: &str,
        nodeport: bool,
        [outer_map, inside_map, endpoint_map, none_map]: [Map; 4],
        endpoints: &[SocketAddr],
        inside: Option<&[SocketAddr]>,
        any: bool,
    ) {
        let sticky = self.service.sticky;
        let spread = |inside: bool, count: usize| {
            Value::Spread(Spread {
                nodeport,
                inside,
                sticky,
                count,
            })
        };
        if endpoints.is_empty() {
            self.push(none_map, key.to_owned(), if any { Value::Drop } else { Value::Reject });
        } else {
            self.push(outer_map, key.to_owned(), spread(false, endpoints.len()));
        }
        let inside = inside.filter(|inside| !inside.is_empty());
        if let Some(inside) = inside {
            self.push(inside_map, key.to_owned(), spread(true, inside.len()));
        }
        let numbered = endpoints.iter().enumerate();
        let inside = inside.into_iter().flatten().enumerate();
        for (number, to) in numbered.chain(inside.map(|(number, to)| (number + INSIDE_OFFSET, to))) {
            self.push(endpoint_map, format!("{key} . {number}"), Value::To(*to));
        }
    }
}
