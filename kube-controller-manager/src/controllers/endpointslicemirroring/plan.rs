//! From Endpoints and the slices there are to the slices to write. Pure.
//!
//! Upstream: pkg/controller/endpointslicemirroring/reconciler.go, pkg/api/v1/endpoints/util.go `RepackSubsets`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::validation::sloppy_ip;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort as OldPort, EndpointSubset, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::MANAGER;
use crate::service_pods::{IPV4, IPV6};
use crate::slices::{MANAGED_BY, Plan, PortKey, SERVICE_NAME, port_key};

const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Locks of old leader elections live in Endpoints.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that speak of the Endpoints only.
const NOT_MIRRORED: [&str; 2] = [
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// The Endpoints do not ask to be left alone. Upstream: `shouldMirror`.
pub(super) fn is_mirrored(endpoints: &Endpoints) -> bool {
    let meta = &endpoints.metadata;
    let skip = meta.labels.as_ref().and_then(|labels| labels.get(SKIP_MIRROR));
    let lock = meta
        .annotations
        .as_ref()
        .is_some_and(|notes| notes.contains_key(LEADER));
    skip.is_none_or(|value| value != "true") && !lock
}

/// What mirroring comes to.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    pub(super) slices: Plan,
    /// Addresses that are none.
    pub(super) invalid: usize,
    /// Addresses left out, the invalid ones too.
    pub(super) skipped: usize,
}

/// Address type and ports: what the endpoints of one slice have in common.
type GroupKey = (String, PortKey);

/// An endpoint is recognised by these; what else it says may change in place. Upstream: `hashEndpoint`.
type Identity = (Vec<String>, String, String, String);

#[derive(Default)]
struct Group {
    ports: Vec<EndpointPort>,
    endpoints: BTreeMap<Identity, Endpoint>,
}

/// One slice for each group of ports and address family, of at most `max` endpoints.
pub(super) fn plan(endpoints: &Endpoints, existing: &[Arc<EndpointSlice>], max: usize) -> Mirror {
    let mut mirror = Mirror::default();
    let mut groups: BTreeMap<GroupKey, Group> = BTreeMap::new();
    for subset in repack(endpoints.subsets.as_deref().unwrap_or_default()) {
        add(subset, max, &mut groups, &mut mirror);
    }
    let mut by_group: BTreeMap<GroupKey, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        let ports = port_key(slice.ports.as_deref().unwrap_or_default());
        let group = by_group.entry((slice.address_type.clone(), ports)).or_default();
        group.push(slice.clone());
    }
    let plan = &mut mirror.slices;
    for (key, group) in groups {
        let slices = by_group.remove(&key).unwrap_or_default();
        if group.endpoints.is_empty() {
            plan.delete.extend(slices);
            continue;
        }
        let mut slices = slices.into_iter();
        let kept = slices.next();
        plan.delete.extend(slices);
        if kept.as_ref().is_some_and(|slice| is_current(slice, endpoints, &group)) {
            continue;
        }
        let mut next = new_slice(endpoints, &key.0, group, max);
        match kept {
            Some(slice) => {
                rename(&mut next, &slice);
                plan.update.push(next);
            }
            None => plan.create.push(next),
        }
    }
    plan.delete.extend(by_group.into_values().flatten());
    recycle(plan);
    if endpoints.metadata.deletion_timestamp.is_some() {
        plan.create.clear();
    }
    mirror
}

/// An address, and whether it is ready, by IP and the UID of what it points to.
type Addresses = BTreeMap<(String, String), (bool, EndpointAddress)>;

/// Ports that the same addresses offer. An address that is both ready and not is not.
fn repack(subsets: &[EndpointSubset]) -> Vec<(Vec<OldPort>, Addresses)> {
    // Ports in their order of name and number, `None` for a subset without any.
    type Key = Option<(Option<String>, i32, Option<String>, Option<String>)>;
    let mut by_port: BTreeMap<Key, Addresses> = BTreeMap::new();
    for subset in subsets {
        let ports = subset.ports.as_deref().unwrap_or_default();
        let mut keys: Vec<Key> = ports
            .iter()
            .map(|p| Some((p.name.clone(), p.port, p.protocol.clone(), p.app_protocol.clone())))
            .collect();
        if keys.is_empty() {
            keys.push(None);
        }
        let ready = subset.addresses.iter().flatten().map(|address| (true, address));
        let waiting = subset
            .not_ready_addresses
            .iter()
            .flatten()
            .map(|address| (false, address));
        for (ready, address) in ready.chain(waiting) {
            let uid = address.target_ref.as_ref().and_then(|target| target.uid.clone());
            let id = (address.ip.clone(), uid.unwrap_or_default());
            for key in &keys {
                let known = by_port.entry(key.clone()).or_default();
                let entry = known.entry(id.clone()).or_insert_with(|| (true, address.clone()));
                entry.0 &= ready;
            }
        }
    }
    let mut packed: Vec<(Vec<OldPort>, Addresses)> = Vec::new();
    for (key, addresses) in by_port {
        let port = key.map(|(name, port, protocol, app_protocol)| OldPort {
            name,
            port,
            protocol,
            app_protocol,
        });
        let same = |other: &Addresses| {
            let states = |a: &Addresses| {
                a.iter()
                    .map(|(id, (ready, _))| (id.clone(), *ready))
                    .collect::<Vec<_>>()
            };
            states(other) == states(&addresses)
        };
        match packed.iter_mut().find(|(_, other)| same(other)) {
            Some((ports, _)) => ports.extend(port),
            None => packed.push((port.into_iter().collect(), addresses)),
        }
    }
    packed
}

fn add(
    (ports, addresses): (Vec<OldPort>, Addresses),
    max: usize,
    groups: &mut BTreeMap<GroupKey, Group>,
    mirror: &mut Mirror,
) {
    let ports: Vec<EndpointPort> = ports
        .into_iter()
        .map(|port| EndpointPort {
            name: Some(port.name.unwrap_or_default()),
            port: Some(port.port),
            protocol: Some(port.protocol.unwrap_or_else(|| "TCP".to_owned())),
            app_protocol: port.app_protocol,
        })
        .collect();
    let key = port_key(&ports);
    for family in [IPV4, IPV6] {
        let group = groups.entry((family.to_owned(), key.clone())).or_default();
        group.ports.clone_from(&ports);
    }
    let (total, mut added) = (addresses.len(), 0);
    // Ready addresses come first, should there be too many.
    let (ready, waiting): (Vec<_>, Vec<_>) = addresses.into_values().partition(|(ready, _)| *ready);
    for (ready, address) in ready.into_iter().chain(waiting) {
        if added >= max {
            break;
        }
        let Some((family, endpoint)) = endpoint(address, ready) else {
            mirror.invalid += 1;
            continue;
        };
        added += 1;
        let group = groups.entry((family.to_owned(), key.clone())).or_default();
        group.endpoints.insert(identity(&endpoint), endpoint);
    }
    mirror.skipped += total - added;
}

/// Upstream: `addressToEndpoint`.
fn endpoint(address: EndpointAddress, ready: bool) -> Option<(&'static str, Endpoint)> {
    let ip: IpAddr = sloppy_ip(&address.ip)?.to_canonical();
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            ..EndpointConditions::default()
        }),
        target_ref: address.target_ref,
        node_name: address.node_name,
        hostname: address.hostname.filter(|name| !name.is_empty()),
        ..Endpoint::default()
    };
    Some((if ip.is_ipv6() { IPV6 } else { IPV4 }, endpoint))
}

fn identity(endpoint: &Endpoint) -> Identity {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    let target = endpoint.target_ref.clone().unwrap_or_default();
    (
        addresses,
        endpoint.hostname.clone().unwrap_or_default(),
        target.namespace.unwrap_or_default(),
        target.name.unwrap_or_default(),
    )
}

/// The slice says all that is wanted, and of these very Endpoints.
fn is_current(slice: &EndpointSlice, endpoints: &Endpoints, group: &Group) -> bool {
    let stored = slice.endpoints.as_deref().unwrap_or_default();
    let facts = |e: &Endpoint| {
        let mut target = e.target_ref.clone();
        if let Some(target) = &mut target {
            target.resource_version = None;
        }
        (e.node_name.clone(), e.zone.clone(), e.conditions.clone(), target)
    };
    let same_endpoints = stored.len() == group.endpoints.len()
        && stored.iter().all(|e| {
            group
                .endpoints
                .get(&identity(e))
                .is_some_and(|wanted| facts(wanted) == facts(e))
        });
    let (labels, annotations) = (labels(endpoints), annotations(endpoints));
    let same_owner = slice.metadata.owner_references.iter().flatten().all(|owner| {
        let by_name = owner.kind == "Endpoints" && Some(&owner.name) == endpoints.metadata.name.as_ref();
        !by_name || Some(&owner.uid) == endpoints.metadata.uid.as_ref()
    });
    same_endpoints
        && slice.metadata.labels.as_ref() == Some(&labels)
        && slice.metadata.annotations.clone().unwrap_or_default() == annotations
        && same_owner
}

fn labels(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), name);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn annotations(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut annotations = endpoints.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !NOT_MIRRORED.contains(&key.as_str()));
    annotations
}

fn new_slice(endpoints: &Endpoints, family: &str, group: Group, max: usize) -> EndpointSlice {
    let annotations = annotations(endpoints);
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", endpoints.metadata.name.as_deref().unwrap_or_default())),
            namespace: endpoints.metadata.namespace.clone(),
            labels: Some(labels(endpoints)),
            annotations: (!annotations.is_empty()).then_some(annotations),
            owner_references: Some(vec![rules::owners::new_controller_ref::<Endpoints>(
                &endpoints.metadata,
            )]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: Some(group.endpoints.into_values().take(max).collect()),
        ports: Some(group.ports),
    }
}

/// The new content goes under the name of a slice that is there.
fn rename(next: &mut EndpointSlice, old: &EndpointSlice) {
    next.metadata.generate_name.clone_from(&old.metadata.generate_name);
    next.metadata.name.clone_from(&old.metadata.name);
}

/// Slices to create take the places of those to delete of the same family. Upstream: `recycleSlices`.
fn recycle(plan: &mut Plan) {
    let mut create = Vec::new();
    for mut new in std::mem::take(&mut plan.create) {
        match plan.delete.iter().position(|old| old.address_type == new.address_type) {
            Some(index) => {
                rename(&mut new, &plan.delete.remove(index));
                plan.update.push(new);
            }
            None => create.push(new),
        }
    }
    plan.create = create;
}
