//! Service `default/kubernetes` and what it leads to: the API servers that are alive.
//!
//! Upstream: `pkg/controlplane/controller/kubernetesservice`, `reconcilers/endpointsadapter.go`.

use std::net::IpAddr;

use apimachinery::status::ApiError;
use serde_json::{Value, json};

use crate::objects::{Objects, find};
use crate::services::cluster_ips;

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";
const SLICES: &str = "discovery.k8s.io";
/// Keeps the endpoint slice mirroring controller away: the slice is written here.
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";

/// What the Service points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The Service's address: the first of the service network.
    pub(crate) cluster_ip: IpAddr,
    /// Port of the Service.
    pub(crate) service_port: u16,
    /// Port of the API servers.
    pub(crate) secure_port: u16,
}

/// Creates the Service, with its address taken from the pool.
pub(crate) async fn reconcile_service(objects: &dyn Objects, target: &Target) -> Result<(), ApiError> {
    if find(objects, "", "services", NAMESPACE, NAME).await?.is_some() {
        return Ok(());
    }
    let ip = target.cluster_ip;
    let address = cluster_ips::object(ip, NAMESPACE, NAME);
    match objects.create("networking.k8s.io", "ipaddresses", "", address).await {
        Err(e) if !e.is_already_exists() => return Err(e),
        _ => {}
    }
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip.to_string(),
            "clusterIPs": [ip.to_string()],
            "ipFamilies": [cluster_ips::family(ip)],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": target.service_port, "targetPort": target.secure_port}],
        },
    });
    match objects.create("", "services", NAMESPACE, service).await {
        Err(e) if !e.is_already_exists() => Err(e),
        _ => Ok(()),
    }
}

/// Makes Endpoints and EndpointSlice name exactly `ips`.
pub(crate) async fn reconcile_endpoints(
    objects: &dyn Objects,
    ips: &[String],
    target: &Target,
) -> Result<(), ApiError> {
    let port = json!({"name": "https", "port": target.secure_port, "protocol": "TCP"});
    let addresses: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    let subsets = if ips.is_empty() {
        json!([])
    } else {
        json!([{"addresses": addresses, "ports": [port]}])
    };
    let endpoints = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {SKIP_MIRROR: "true"}},
        "subsets": subsets,
    });
    put(objects, "", "endpoints", endpoints, &["subsets"]).await?;

    let ready: Vec<Value> = ips
        .iter()
        .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
        .collect();
    let v6 = ips
        .first()
        .and_then(|ip| ip.parse::<IpAddr>().ok())
        .is_some_and(|ip| ip.is_ipv6());
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": if v6 { "IPv6" } else { "IPv4" },
        "endpoints": ready,
        "ports": [port],
    });
    put(objects, SLICES, "endpointslices", slice, &["endpoints", "ports"]).await
}

/// Creates the object, or sets `fields` and the wanted labels where they differ.
async fn put(
    objects: &dyn Objects,
    group: &str,
    resource: &str,
    wanted: Value,
    fields: &[&str],
) -> Result<(), ApiError> {
    let result = match find(objects, group, resource, NAMESPACE, NAME).await? {
        None => objects.create(group, resource, NAMESPACE, wanted).await,
        Some(have) => {
            let mut new = (*have).clone();
            for (k, v) in wanted["metadata"]["labels"].as_object().into_iter().flatten() {
                new["metadata"]["labels"][k] = v.clone();
            }
            for f in fields {
                let same = new.get(*f).unwrap_or(&json!([])) == wanted.get(*f).unwrap_or(&json!([]));
                if !same {
                    new[*f] = wanted[*f].clone();
                }
            }
            if new == *have {
                return Ok(());
            }
            objects.update(group, resource, NAMESPACE, new).await
        }
    };
    match result {
        Err(e) if !e.is_already_exists() && !e.is_conflict() => Err(e),
        Err(e) => {
            tracing::debug!(error = %e, "another server was faster");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
