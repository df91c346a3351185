//! What both endpoint controllers need to know of a Service and its pods.
//!
//! Upstream: pkg/controller/util/endpoint/controller_utils.go, endpointslice/util.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use client::informer::{Event, Reader};
use client::object::key_of;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rules::pods::{is_pod_ready, is_pod_terminal};

/// `IPv4` and `IPv6`, as in `ipFamilies` and `addressType`.
pub(crate) const IPV4: &str = "IPv4";
pub(crate) const IPV6: &str = "IPv6";
/// Label of slices and Endpoints of a Service without a cluster IP.
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// The Service's selector, `None` when it has none (its endpoints are somebody else's then).
pub(crate) fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    spec.selector.as_ref().filter(|s| !s.is_empty())
}

pub(crate) fn selects(selector: &BTreeMap<String, String>, labels: Option<&BTreeMap<String, String>>) -> bool {
    selector.iter().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v))
}

/// Keys of the Services whose endpoints a pod event may change. Upstream: `GetServicesToUpdateOnPodChange`.
pub(crate) fn services_of(event: &Event<Pod>, services: &Reader<Service>) -> BTreeSet<String> {
    let (old, new) = match event {
        Event::Added(pod) | Event::Deleted(pod) => (None, pod),
        Event::Updated { old, new } => (Some(old), new),
    };
    let relabelled = old.is_some_and(|old| old.metadata.labels != new.metadata.labels);
    if let Some(old) = old
        && !relabelled
        && facts(old) == facts(new)
    {
        return BTreeSet::new();
    }
    let namespace = new.metadata.namespace.as_deref().unwrap_or_default();
    services
        .list_namespace(namespace)
        .into_iter()
        .filter(|service| {
            selector(service).is_some_and(|s| {
                selects(s, new.metadata.labels.as_ref())
                    || (relabelled && old.is_some_and(|old| selects(s, old.metadata.labels.as_ref())))
            })
        })
        .map(|service| key_of(&*service))
        .collect()
}

/// What of a pod shows in endpoints.
fn facts(pod: &Pod) -> impl PartialEq + '_ {
    let spec = pod.spec.as_ref();
    (
        pod.metadata.deletion_timestamp.is_some(),
        is_pod_terminal(pod),
        is_pod_ready(pod),
        addresses(pod),
        spec.and_then(|s| s.node_name.as_deref()),
        spec.and_then(|s| s.hostname.as_deref()),
        spec.and_then(|s| s.subdomain.as_deref()),
        pod.metadata.uid.as_deref(),
    )
}

fn addresses(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    let many: Vec<&str> = status
        .pod_ips
        .iter()
        .flatten()
        .map(|ip| ip.ip.as_str())
        .filter(|ip| !ip.is_empty())
        .collect();
    if many.is_empty() {
        status
            .pod_ip
            .iter()
            .map(String::as_str)
            .filter(|ip| !ip.is_empty())
            .collect()
    } else {
        many
    }
}

/// The pod's addresses of a family.
pub(crate) fn addresses_of<'a>(pod: &'a Pod, family: &str) -> Vec<&'a str> {
    let of_family = |text: &&str| match text.parse::<IpAddr>() {
        Ok(ip) => ip.is_ipv6() == (family == IPV6),
        Err(_) => false,
    };
    addresses(pod).into_iter().filter(of_family).collect()
}

/// The pod can be an endpoint: it has an address and may run. Upstream: `ShouldPodBeInEndpoints`.
pub(crate) fn is_candidate(pod: &Pod, include_terminating: bool) -> bool {
    !is_pod_terminal(pod)
        && !addresses(pod).is_empty()
        && (include_terminating || pod.metadata.deletion_timestamp.is_none())
}

/// The number of a Service's target port in a pod; named ports are looked up, sidecars included.
/// Upstream: pkg/api/v1/pod `FindPort`.
pub(crate) fn find_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let sidecars = spec
                .init_containers
                .iter()
                .flatten()
                .filter(|c| rules::resources::is_restartable_init_container(c));
            spec.containers
                .iter()
                .chain(sidecars)
                .flat_map(|c| c.ports.iter().flatten())
                .find(|p| p.name.as_deref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol)
                .map(|p| p.container_port)
        }
    }
}

pub(crate) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
}

pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    service
        .spec
        .as_ref()
        .and_then(|s| s.publish_not_ready_addresses)
        .unwrap_or(false)
}

/// The pod's DNS name under the Service, if it asked for one. Upstream: `ShouldSetHostname`.
pub(crate) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.clone().filter(|h| !h.is_empty())?;
    let ours = spec.subdomain.as_deref() == service.metadata.name.as_deref()
        && pod.metadata.namespace == service.metadata.namespace;
    ours.then_some(hostname)
}

/// The reference of an address to its pod.
pub(crate) fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}
