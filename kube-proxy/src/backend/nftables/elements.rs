//! What one Service port asks of the kernel, as elements of the flat maps. Pure.

use std::borrow::Cow;
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
    /// protocol . port -> chain
    Nodeports,
    /// the same, from inside
    InsideNodeports,
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
    /// the same keys as a Service's or node port's -> its endpoint of that number
    Endpoints(Pool, usize),
}

/// A family of endpoint maps. They are numbered: map 0 has every Service's first endpoint, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pool {
    /// Keyed as node ports are: without an address.
    pub(crate) nodeport: bool,
    /// Endpoints for askers from inside.
    pub(crate) inside: bool,
}

impl Pool {
    /// How its names begin.
    pub(crate) fn name(self) -> &'static str {
        match (self.inside, self.nodeport) {
            (false, false) => "service",
            (false, true) => "nodeport",
            (true, false) => "inside-service",
            (true, true) => "inside-nodeport",
        }
    }
}

impl Map {
    /// All that a table always has.
    pub(crate) const FIXED: [Self; 10] = [
        Self::ServiceIps,
        Self::InsideServiceIps,
        Self::Nodeports,
        Self::InsideNodeports,
        Self::NoEndpointServices,
        Self::NoEndpointNodeports,
        Self::MasqueradeServices,
        Self::MasqueradeNodeports,
        Self::ClusterIps,
        Self::Hairpin,
    ];

    /// Name in the table.
    pub(crate) fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ServiceIps => "service-ips",
            Self::InsideServiceIps => "inside-service-ips",
            Self::Nodeports => "nodeports",
            Self::InsideNodeports => "inside-nodeports",
            Self::NoEndpointServices => "no-endpoint-services",
            Self::NoEndpointNodeports => "no-endpoint-nodeports",
            Self::MasqueradeServices => "masquerade-services",
            Self::MasqueradeNodeports => "masquerade-nodeports",
            Self::ClusterIps => "cluster-ips",
            Self::Hairpin => "hairpin",
            Self::Endpoints(pool, number) => return Cow::Owned(format!("{}-endpoints-{number}", pool.name())),
        })
    }
}

/// A chain that spreads over so many endpoints. It is shared by all Services that have as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Spread {
    pub(crate) pool: Pool,
    /// The same client gets the same endpoint.
    pub(crate) sticky: bool,
    pub(crate) count: usize,
}

impl Spread {
    /// Name of the chain.
    pub(crate) fn chain(self) -> String {
        format!(
            "{}{}-{}",
            if self.sticky { "sticky-" } else { "" },
            self.pool.name(),
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
        let maps = [Map::ServiceIps, Map::InsideServiceIps, Map::NoEndpointServices];
        self.reach(&self.service_key(ip), false, maps, endpoints, inside, any);
    }

    fn nodeport(&mut self, endpoints: &[SocketAddr], inside: Option<&[SocketAddr]>, any: bool) {
        let maps = [Map::Nodeports, Map::InsideNodeports, Map::NoEndpointNodeports];
        self.reach(&self.nodeport_key(), true, maps, endpoints, inside, any);
    }

    fn reach(
        &mut self,
        key: &str,
        nodeport: bool,
        [outer_map, inside_map, none_map]: [Map; 3],
        endpoints: &[SocketAddr],
        inside: Option<&[SocketAddr]>,
        any: bool,
    ) {
        if endpoints.is_empty() {
            self.push(none_map, key.to_owned(), if any { Value::Drop } else { Value::Reject });
        }
        let outside = (
            outer_map,
            Pool {
                nodeport,
                inside: false,
            },
            endpoints,
        );
        let inside = (inside_map, Pool { nodeport, inside: true }, inside.unwrap_or_default());
        for (map, pool, endpoints) in [outside, inside] {
            let count = endpoints.len();
            if count > 0 {
                self.push(
                    map,
                    key.to_owned(),
                    Value::Spread(Spread {
                        pool,
                        sticky: self.service.sticky,
                        count,
                    }),
                );
            }
            for (number, to) in endpoints.iter().enumerate() {
                self.push(Map::Endpoints(pool, number), key.to_owned(), Value::To(*to));
            }
        }
    }
}
