//! API objects into the proxy's own terms. Pure: an object in, ports or endpoints out.

mod endpoints;
mod services;
#[cfg(test)]
mod tests;

pub(crate) use self::endpoints::{endpoints, service_of};
pub(crate) use self::services::service_ports;

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Node;

use crate::model::NodeInfo;

/// Taint by which the cluster autoscaler announces that it removes the node.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// The own node, as far as it matters here.
/// Source of `eligible`: upstream `pkg/proxy/healthcheck/proxy_health.go` `SyncNode`.
pub(crate) fn node_info(name: &str, node: Option<&Node>) -> NodeInfo {
    let mut info = NodeInfo {
        name: name.to_owned(),
        eligible: true,
        ..NodeInfo::default()
    };
    let Some(node) = node else { return info };
    info.zone = node
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("topology.kubernetes.io/zone"))
        .cloned();
    if let Some(spec) = &node.spec {
        info.pod_cidrs = spec
            .pod_cidrs
            .clone()
            .or(spec.pod_cidr.clone().map(|cidr| vec![cidr]))
            .unwrap_or_default();
        info.eligible &= !spec.taints.iter().flatten().any(|taint| taint.key == TO_BE_DELETED);
    }
    info.eligible &= node.metadata.deletion_timestamp.is_none();
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    info.internal_ips = addresses
        .filter(|address| address.type_ == "InternalIP")
        .filter_map(|address| address.address.parse::<IpAddr>().ok())
        .collect();
    info
}
