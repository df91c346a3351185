//! From a Service, its pods and the slices there are to the slices to create, update and delete. Pure.
//!
//! Upstream: staging endpointslice/reconciler.go `reconcileByAddressType`, `reconcileByPortMapping`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rules::pods::is_pod_ready;

use super::MANAGER;
use crate::service_pods::{
    HEADLESS, IPV4, IPV6, addresses_of, find_port, hostname, is_candidate, is_headless, publishes_not_ready, target,
};
use crate::slices::{MANAGED_BY, Plan, PortKey, SERVICE_NAME, port_key};

pub(super) fn plan(
    service: &Service,
    pods: &[Arc<Pod>],
    zone: &dyn Fn(&str) -> Option<String>,
    existing: &[Arc<EndpointSlice>],
    max: usize,
) -> Plan {
    let families = families(service);
    let mut plan = Plan::default();
    for slice in existing {
        if !families.iter().any(|f| *f == slice.address_type) {
            plan.delete.push(slice.clone());
        }
    }
    for family in families {
        let of_family: Vec<_> = existing.iter().filter(|s| s.address_type == family).cloned().collect();
        plan_family(service, pods, zone, family, &of_family, max, &mut plan);
    }
    reuse(service, &mut plan);
    plan
}

/// New slices take the place of the Service's own that go, by an update: readers never see both, nor
/// neither. Upstream: `Reconciler.finalize`.
fn reuse(service: &Service, plan: &mut Plan) {
    let owner = service.metadata.uid.as_deref().unwrap_or_default();
    let mut kept = Vec::new();
    for old in std::mem::take(&mut plan.delete) {
        let ours = rules::owners::has_owner(&old.metadata, owner);
        let place = plan.create.iter().rposition(|new| new.address_type == old.address_type);
        let Some(index) = place.filter(|_| ours) else {
            kept.push(old);
            continue;
        };
        let mut new = plan.create.remove(index);
        new.metadata.generate_name.clone_from(&old.metadata.generate_name);
        new.metadata.name.clone_from(&old.metadata.name);
        new.metadata.resource_version.clone_from(&old.metadata.resource_version);
        plan.update.push(new);
    }
    plan.delete = kept;
}

/// The address families of the Service. Upstream: `getAddressTypesForService`.
fn families(service: &Service) -> Vec<&'static str> {
    let listed = service
        .spec
        .as_ref()
        .and_then(|s| s.ip_families.clone())
        .unwrap_or_default();
    if listed.is_empty() {
        let v6 = service
            .spec
            .as_ref()
            .and_then(|s| s.cluster_ip.as_deref())
            .is_some_and(|ip| ip.contains(':'));
        return if is_headless(service) {
            vec![IPV4, IPV6]
        } else if v6 {
            vec![IPV6]
        } else {
            vec![IPV4]
        };
    }
    [IPV4, IPV6]
        .into_iter()
        .filter(|f| listed.iter().any(|l| l == f))
        .collect()
}

fn plan_family(
    service: &Service,
    pods: &[Arc<Pod>],
    zone: &dyn Fn(&str) -> Option<String>,
    family: &'static str,
    existing: &[Arc<EndpointSlice>],
    max: usize,
    plan: &mut Plan,
) {
    let mut wanted: BTreeMap<PortKey, (Vec<EndpointPort>, Vec<Endpoint>)> = BTreeMap::new();
    let mut sorted: Vec<&Arc<Pod>> = pods.iter().filter(|pod| is_candidate(pod, true)).collect();
    sorted.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for pod in sorted {
        let endpoint = endpoint(service, pod, zone, family);
        if endpoint.addresses.is_empty() {
            continue;
        }
        let ports = ports(service, pod);
        wanted
            .entry(port_key(&ports))
            .or_insert_with(|| (ports, Vec::new()))
            .1
            .push(endpoint);
    }
    let mut by_ports: HashMap<PortKey, Vec<Arc<EndpointSlice>>> = HashMap::new();
    let mut gone: Vec<Arc<EndpointSlice>> = Vec::new();
    for slice in existing {
        // Slices that are not owned by this very Service are replaced.
        let ours = rules::owners::has_owner(&slice.metadata, service.metadata.uid.as_deref().unwrap_or_default());
        let key = port_key(slice.ports.as_deref().unwrap_or_default());
        if ours && wanted.contains_key(&key) {
            by_ports.entry(key).or_default().push(slice.clone());
        } else {
            gone.push(slice.clone());
        }
    }
    let (before_create, kept) = (plan.create.len(), existing.len() - gone.len());
    let mut emptied = Vec::new();
    for (key, (ports, endpoints)) in wanted {
        let slices = by_ports.remove(&key).unwrap_or_default();
        emptied.extend(pack(service, family, ports, endpoints, slices, max, plan));
    }
    let kept = kept - emptied.len();
    gone.extend(emptied);
    // A Service without endpoints has one empty slice, so that its readers know that it was looked at.
    if kept == 0 && plan.create.len() == before_create {
        let placeholder = new_slice(service, family, Vec::new(), Vec::new());
        let same = |s: &EndpointSlice| {
            s.endpoints.as_ref().is_none_or(Vec::is_empty)
                && s.ports.as_ref().is_none_or(Vec::is_empty)
                && s.metadata.labels == placeholder.metadata.labels
                && s.metadata.owner_references == placeholder.metadata.owner_references
        };
        match gone.iter().position(|s| same(s)) {
            Some(index) => {
                gone.remove(index);
            }
            None => plan.create.push(placeholder),
        }
    }
    plan.delete.extend(gone);
}

/// Puts the endpoints of one set of ports into slices with as few writes as possible; returns slices left empty.
fn pack(
    service: &Service,
    family: &'static str,
    ports: Vec<EndpointPort>,
    endpoints: Vec<Endpoint>,
    slices: Vec<Arc<EndpointSlice>>,
    max: usize,
    plan: &mut Plan,
) -> Vec<Arc<EndpointSlice>> {
    // An endpoint is recognised by its pod and addresses; what else it says may change in place.
    let identity = |e: &Endpoint| {
        (
            e.addresses.clone(),
            e.target_ref.as_ref().and_then(|t| t.uid.clone()),
            e.hostname.clone(),
        )
    };
    let mut left: BTreeMap<_, Endpoint> = endpoints.into_iter().map(|e| (identity(&e), e)).collect();
    let labels = labels(service);
    struct Kept {
        slice: Arc<EndpointSlice>,
        endpoints: Vec<Endpoint>,
        changed: bool,
    }
    let mut kept: Vec<Kept> = Vec::new();
    let mut emptied = Vec::new();
    for slice in slices {
        let old = slice.endpoints.clone().unwrap_or_default();
        let now: Vec<Endpoint> = old.iter().filter_map(|e| left.remove(&identity(e))).collect();
        if now.is_empty() {
            emptied.push(slice);
            continue;
        }
        let changed = now != old || slice.metadata.labels.as_ref() != Some(&labels);
        kept.push(Kept {
            slice,
            endpoints: now,
            changed,
        });
    }
    let mut left: Vec<Endpoint> = left.into_values().collect();
    // First into slices that are written anyway, the fullest first.
    kept.sort_by_key(|k| std::cmp::Reverse(k.endpoints.len()));
    for slice in kept.iter_mut().filter(|k| k.changed) {
        let room = max.saturating_sub(slice.endpoints.len()).min(left.len());
        slice.endpoints.extend(left.drain(..room));
    }
    // Then, if the rest fits into one slice, into the fullest that has room for it.
    if !left.is_empty()
        && left.len() < max
        && let Some(slice) = kept
            .iter_mut()
            .find(|k| !k.changed && k.endpoints.len() + left.len() <= max)
    {
        slice.endpoints.append(&mut left);
        slice.changed = true;
    }
    // A slice that would be deleted is better reused.
    while !left.is_empty() {
        let rest = left.split_off(left.len().min(max));
        let chunk = std::mem::replace(&mut left, rest);
        match emptied.pop() {
            Some(slice) => kept.push(Kept {
                slice,
                endpoints: chunk,
                changed: true,
            }),
            None => plan.create.push(new_slice(service, family, ports.clone(), chunk)),
        }
    }
    for slice in kept.into_iter().filter(|k| k.changed) {
        let mut next = (*slice.slice).clone();
        next.endpoints = Some(slice.endpoints);
        next.metadata.labels = Some(labels.clone());
        plan.update.push(next);
    }
    emptied
}

/// Upstream: `podToEndpoint`.
fn endpoint(service: &Service, pod: &Pod, zone: &dyn Fn(&str) -> Option<String>, family: &str) -> Endpoint {
    let serving = is_pod_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let ready = publishes_not_ready(service) || (serving && !terminating);
    let node_name = pod
        .spec
        .as_ref()
        .and_then(|s| s.node_name.clone())
        .filter(|n| !n.is_empty());
    let zone = node_name.as_deref().and_then(zone);
    Endpoint {
        addresses: addresses_of(pod, family).into_iter().map(str::to_owned).collect(),
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(pod, service),
        hints: ready
            .then(|| hints(service, node_name.as_deref(), zone.as_deref()))
            .flatten(),
        zone,
        node_name,
        target_ref: Some(target(pod)),
        ..Endpoint::default()
    }
}

/// Who should prefer the endpoint, when the Service asks for closeness. Upstream: endpointslice/trafficdist.
fn hints(service: &Service, node: Option<&str>, zone: Option<&str>) -> Option<EndpointHints> {
    let for_zones = zone.map(|name| vec![ForZone { name: name.to_owned() }]);
    match service.spec.as_ref()?.traffic_distribution.as_deref()? {
        "PreferClose" | "PreferSameZone" => Some(EndpointHints {
            for_nodes: None,
            for_zones: Some(for_zones?),
        }),
        "PreferSameNode" => {
            let for_nodes = Some(vec![ForNode { name: node?.to_owned() }]);
            Some(EndpointHints { for_nodes, for_zones })
        }
        _ => None,
    }
}

/// The Service's ports as numbers of this pod; a named port the pod does not have is left out.
fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service
        .spec
        .as_ref()
        .and_then(|s| s.ports.as_deref())
        .unwrap_or_default();
    ports
        .iter()
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(find_port(pod, port)?),
                protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

/// The Service's labels and our own. Upstream: `setEndpointSliceLabels`.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(
        SERVICE_NAME.to_owned(),
        service.metadata.name.clone().unwrap_or_default(),
    );
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn new_slice(service: &Service, family: &str, mut ports: Vec<EndpointPort>, endpoints: Vec<Endpoint>) -> EndpointSlice {
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.metadata.name.as_deref().unwrap_or_default())),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels(service)),
            owner_references: Some(vec![rules::owners::new_controller_ref::<Service>(&service.metadata)]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports),
    }
}
