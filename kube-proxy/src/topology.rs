//! Which endpoints of a Service port may be used from where. Pure.
//!
//! Source of the rules: upstream `pkg/proxy/topology.go` `CategorizeEndpoints`.

use std::net::SocketAddr;

use crate::model::{Endpoint, NodeInfo, ServicePort};

/// The endpoints to use, each list in a stable order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// For the cluster address.
    pub(crate) internal: Vec<SocketAddr>,
    /// For external addresses and node ports, asked from outside.
    pub(crate) external: Vec<SocketAddr>,
    /// For external addresses and node ports, asked from this node or its pods.
    pub(crate) from_inside: Vec<SocketAddr>,
    /// There is a usable endpoint somewhere, if not for everybody.
    pub(crate) any: bool,
}

/// Chooses for `service` on `node`.
pub(crate) fn choose(service: &ServicePort, endpoints: &[Endpoint], node: &NodeInfo) -> Chosen {
    let ready = |endpoint: &&Endpoint| endpoint.ready;
    // Nothing is ready: what still answers while it ends is better than nothing.
    let ending = |endpoint: &&Endpoint| endpoint.serving && endpoint.terminating;
    let pick = |candidates: &[&Endpoint]| -> Vec<SocketAddr> {
        let of = |test: &dyn Fn(&&Endpoint) -> bool| -> Vec<SocketAddr> {
            candidates
                .iter()
                .filter(|endpoint| test(endpoint))
                .map(|endpoint| endpoint.address)
                .collect()
        };
        let mut picked = of(&ready);
        if picked.is_empty() {
            picked = of(&ending);
        }
        picked.sort_unstable();
        picked.dedup();
        picked
    };
    let all: Vec<&Endpoint> = endpoints.iter().collect();
    let near: Vec<&Endpoint> = hinted(&all, node);
    let local: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.local).collect();
    let (cluster, local) = (pick(&near), pick(&local));
    Chosen {
        any: !cluster.is_empty(),
        internal: if service.internal_local {
            local.clone()
        } else {
            cluster.clone()
        },
        external: if service.external_local { local } else { cluster.clone() },
        from_inside: cluster,
    }
}

// Endpoints meant for this node or zone, if every ready endpoint says whom it is for and some are for us.
fn hinted<'a>(endpoints: &[&'a Endpoint], node: &NodeInfo) -> Vec<&'a Endpoint> {
    let ready = || endpoints.iter().filter(|endpoint| endpoint.ready);
    let meant = |test: &dyn Fn(&Endpoint) -> bool| -> Vec<&'a Endpoint> {
        endpoints
            .iter()
            .copied()
            .filter(|endpoint| endpoint.ready && test(endpoint))
            .collect()
    };
    if ready().all(|endpoint| !endpoint.for_nodes.is_empty()) {
        let ours = meant(&|endpoint| endpoint.for_nodes.contains(&node.name));
        if !ours.is_empty() {
            return ours;
        }
    }
    if let Some(zone) = &node.zone
        && ready().all(|endpoint| !endpoint.for_zones.is_empty())
    {
        let ours = meant(&|endpoint| endpoint.for_zones.contains(zone));
        if !ours.is_empty() {
            return ours;
        }
    }
    endpoints.to_vec()
}

#[cfg(test)]
mod tests;
