//! The Endpoints of a Service from its pods. Pure.
//!
//! Upstream: pkg/controller/endpoint `syncService`, pkg/api/v1/endpoints `RepackSubsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use rules::pods::is_pod_ready;

use crate::service_pods::{
    HEADLESS, IPV4, IPV6, addresses_of, find_port, hostname, is_candidate, is_headless, publishes_not_ready, target,
};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Addresses in one object. Upstream: `maxCapacity`.
const MAX: usize = 1000;

pub(super) fn is_ours(endpoints: &Endpoints) -> bool {
    endpoints
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get(MANAGED_BY))
        .is_some_and(|v| v == MANAGER)
}

/// A port as a map key: name, number, protocol, application protocol; `None` for a Service without ports.
type PortKey = Option<(String, i32, String, Option<String>)>;

/// Addresses by IP and pod UID, and whether they are ready.
type Addresses = BTreeMap<(String, String), (bool, EndpointAddress)>;

/// What to write, `None` when it is there already. Has a resource version when it is an update.
pub(super) fn plan(service: &Service, pods: &[Arc<Pod>], current: Option<&Endpoints>) -> Option<Endpoints> {
    let (mut subsets, truncated) = truncate(subsets(service, pods));
    sort(&mut subsets);
    let mut next = current.cloned().unwrap_or_default();
    next.metadata.name = service.metadata.name.clone();
    next.metadata.namespace = service.metadata.namespace.clone();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    next.metadata.labels = Some(labels);
    let mut annotations = next.metadata.annotations.take().unwrap_or_default();
    annotations.remove(OVER_CAPACITY);
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    }
    next.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    next.subsets = (!subsets.is_empty()).then_some(subsets);
    let same = current.is_some_and(|c| {
        c.metadata.labels == next.metadata.labels
            && c.metadata.annotations.clone().unwrap_or_default()
                == next.metadata.annotations.clone().unwrap_or_default()
            && c.subsets.clone().unwrap_or_default() == next.subsets.clone().unwrap_or_default()
    });
    (!same).then_some(next)
}

/// Ports with the same addresses make one subset.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let spec = service.spec.clone().unwrap_or_default();
    let family = match spec
        .ip_families
        .as_deref()
        .unwrap_or_default()
        .first()
        .map(String::as_str)
    {
        Some(IPV6) => IPV6,
        Some(_) => IPV4,
        None if spec.cluster_ip.as_deref().is_some_and(|ip| ip.contains(':')) => IPV6,
        None => IPV4,
    };
    let not_ready_too = publishes_not_ready(service);
    let ports = spec.ports.unwrap_or_default();
    let mut by_port: BTreeMap<PortKey, Addresses> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| is_candidate(pod, not_ready_too)) {
        let Some(ip) = addresses_of(pod, family).first().map(|ip| (*ip).to_owned()) else {
            continue;
        };
        let address = EndpointAddress {
            ip: ip.clone(),
            hostname: hostname(pod, service),
            node_name: pod.spec.as_ref().and_then(|s| s.node_name.clone()),
            target_ref: Some(target(pod)),
        };
        let entry = (not_ready_too || is_pod_ready(pod), address);
        let id = (ip, pod.metadata.uid.clone().unwrap_or_default());
        if ports.is_empty() {
            if is_headless(service) {
                by_port.entry(None).or_default().insert(id, entry);
            }
            continue;
        }
        for port in &ports {
            let Some(number) = find_port(pod, port) else { continue };
            let key = (
                port.name.clone().unwrap_or_default(),
                number,
                port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port.app_protocol.clone(),
            );
            by_port.entry(Some(key)).or_default().insert(id.clone(), entry.clone());
        }
    }
    let mut merged: BTreeMap<BTreeSet<(String, String)>, EndpointSubset> = BTreeMap::new();
    for (port, addresses) in by_port {
        let ids = addresses.keys().cloned().collect();
        let subset = merged.entry(ids).or_insert_with(|| {
            let (ready, waiting): (Vec<_>, Vec<_>) = addresses.into_values().partition(|(ready, _)| *ready);
            let some = |list: Vec<(bool, EndpointAddress)>| {
                (!list.is_empty()).then(|| list.into_iter().map(|(_, a)| a).collect())
            };
            EndpointSubset {
                addresses: some(ready),
                not_ready_addresses: some(waiting),
                ports: None,
            }
        });
        if let Some((name, port, protocol, app_protocol)) = port {
            let name = (!name.is_empty()).then_some(name);
            let port = EndpointPort {
                name,
                port,
                protocol: Some(protocol),
                app_protocol,
            };
            subset.ports.get_or_insert_default().push(port);
        }
    }
    merged.into_values().collect()
}

/// Cuts to the capacity, ready addresses first. Upstream: `truncateEndpoints`.
fn truncate(mut subsets: Vec<EndpointSubset>) -> (Vec<EndpointSubset>, bool) {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let total: usize = subsets
        .iter()
        .map(|s| count(&s.addresses) + count(&s.not_ready_addresses))
        .sum();
    if total <= MAX {
        return (subsets, false);
    }
    let mut room = MAX;
    for subset in &mut subsets {
        if let Some(list) = &mut subset.addresses {
            list.truncate(room);
            room -= list.len();
        }
    }
    for subset in &mut subsets {
        if let Some(list) = &mut subset.not_ready_addresses {
            list.truncate(room);
            room -= list.len();
        }
        subset.addresses = subset.addresses.take().filter(|l| !l.is_empty());
        subset.not_ready_addresses = subset.not_ready_addresses.take().filter(|l| !l.is_empty());
    }
    subsets.retain(|s| s.addresses.is_some() || s.not_ready_addresses.is_some());
    (subsets, true)
}

fn sort(subsets: &mut [EndpointSubset]) {
    for subset in subsets.iter_mut() {
        if let Some(ports) = &mut subset.ports {
            ports.sort_by(|a, b| (&a.name, a.port, &a.protocol).cmp(&(&b.name, b.port, &b.protocol)));
        }
    }
    let first = |s: &EndpointSubset| s.ports.iter().flatten().next().map(|p| (p.name.clone(), p.port));
    subsets.sort_by_key(first);
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{PodCondition, PodSpec, PodStatus, ServicePort, ServiceSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    fn service(ports: &[i32]) -> Service {
        let mut service = Service::default();
        service.metadata.name = Some("web".into());
        let ports = ports
            .iter()
            .map(|p| ServicePort {
                name: Some(format!("p{p}")),
                port: *p,
                ..ServicePort::default()
            })
            .collect();
        service.spec = Some(ServiceSpec {
            ports: Some(ports),
            ..ServiceSpec::default()
        });
        service
    }

    fn pod(ip: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.uid = Some(ip.into());
        pod.spec = Some(PodSpec {
            node_name: Some("n".into()),
            ..PodSpec::default()
        });
        let status = if ready { "True" } else { "False" };
        let condition = PodCondition {
            type_: "Ready".into(),
            status: status.into(),
            ..PodCondition::default()
        };
        pod.status = Some(PodStatus {
            pod_ip: Some(ip.into()),
            conditions: Some(vec![condition]),
            ..PodStatus::default()
        });
        Arc::new(pod)
    }

    #[test]
    fn ready_and_not_ready_addresses_share_a_subset_and_nothing_is_written_twice() {
        let service = service(&[80, 443]);
        let pods = [pod("10.0.0.2", true), pod("10.0.0.1", true), pod("10.0.0.3", false)];
        let made = plan(&service, &pods, None).unwrap();
        let subsets = made.subsets.clone().unwrap();
        assert_eq!(subsets.len(), 1);
        let ips = |l: &Option<Vec<EndpointAddress>>| l.iter().flatten().map(|a| a.ip.clone()).collect::<Vec<_>>();
        assert_eq!(ips(&subsets[0].addresses), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(ips(&subsets[0].not_ready_addresses), ["10.0.0.3"]);
        assert_eq!(subsets[0].ports.as_ref().unwrap().len(), 2);
        assert_eq!(plan(&service, &pods, Some(&made)), None);
        assert!(is_ours(&made));
    }

    #[test]
    fn terminating_pods_are_left_out_unless_not_ready_ones_are_published() {
        let mut leaving = (*pod("10.0.0.1", true)).clone();
        leaving.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let pods = [Arc::new(leaving)];
        let mut service = service(&[80]);
        assert_eq!(plan(&service, &pods, None).unwrap().subsets, None);
        service.spec.as_mut().unwrap().publish_not_ready_addresses = Some(true);
        assert_eq!(plan(&service, &pods, None).unwrap().subsets.unwrap().len(), 1);
    }
}
