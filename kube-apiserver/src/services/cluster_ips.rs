//! Cluster IPs as `IPAddress` objects: the object's creation is the allocation.
//!
//! Upstream: `pkg/registry/core/service/ipallocator/ipallocator.go`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::status::{ApiError, Result};
use serde_json::{Value, json};

use super::fields;
use super::service_range::ServiceRange;
use crate::objects::{Objects, find, items, text};

const GROUP: &str = "networking.k8s.io";
const RESOURCE: &str = "ipaddresses";
const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";
const MANAGED_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
const MANAGER: &str = "ipallocator.k8s.io";
/// More misses in a row mean the range is full for all purposes.
const MAX_TRIES: usize = 20_000;
/// Age below which an address without Service is not a leak (upstream's repair loop).
const GRACE_SECONDS: i64 = 60;

/// Allocates addresses of the service networks.
pub(crate) struct ClusterIps {
    objects: Arc<dyn Objects>,
    ranges: Vec<ServiceRange>,
}

/// `IPv4` or `IPv6`.
pub(crate) fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// The IPAddress object of a Service's address.
pub(crate) fn object(ip: IpAddr, namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": ip.to_string(),
            "labels": {FAMILY_LABEL: family(ip), MANAGED_LABEL: MANAGER},
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
    })
}

impl ClusterIps {
    /// Allocates from `ranges`, the primary family first.
    pub(crate) fn new(objects: Arc<dyn Objects>, ranges: Vec<ServiceRange>) -> Self {
        ClusterIps { objects, ranges }
    }

    /// Families of the cluster, primary first.
    pub(crate) fn families(&self) -> Vec<&'static str> {
        self.ranges.iter().map(ServiceRange::family).collect()
    }

    /// Gives the Service an address of each of its families. `held` are those it had before.
    pub(crate) async fn allocate(
        &self,
        service: &mut Value,
        held: &BTreeSet<IpAddr>,
        ns: &str,
        dry_run: bool,
        taken: &mut BTreeSet<IpAddr>,
        errors: &mut ErrorList,
    ) -> Result<()> {
        if !fields::needs_cluster_ip(service) {
            return Ok(());
        }
        let name = text(service, "/metadata/name").to_owned();
        let wanted: Vec<String> = items(service, "/spec/clusterIPs")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let families: Vec<String> = items(service, "/spec/ipFamilies")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let mut ips = Vec::new();
        for (i, family) in families.iter().enumerate() {
            let ip = match wanted.get(i).filter(|w| !w.is_empty()) {
                Some(given) => match self.take(given, held, ns, &name, dry_run, taken).await? {
                    Ok(ip) => ip,
                    Err(e) => {
                        errors.push(e);
                        return Ok(());
                    }
                },
                None => self.next(family, ns, &name, dry_run, taken).await?,
            };
            ips.push(ip.to_string());
        }
        if let Some(first) = ips.first() {
            service["spec"]["clusterIP"] = json!(first);
            service["spec"]["clusterIPs"] = json!(ips);
        }
        Ok(())
    }

    /// A given address, or what is wrong with it.
    async fn take(
        &self,
        given: &str,
        held: &BTreeSet<IpAddr>,
        ns: &str,
        name: &str,
        dry_run: bool,
        taken: &mut BTreeSet<IpAddr>,
    ) -> Result<std::result::Result<IpAddr, Error>> {
        let path = Path::new("spec").child("clusterIPs");
        let refuse = |why: String| {
            let value = BadValue::raw(json!([given]));
            Ok(Err(Error::invalid(
                &path,
                value,
                format!("failed to allocate IP {given}: {why}"),
            )))
        };
        let Ok(ip) = given.parse::<IpAddr>() else {
            return refuse("not a valid IP".to_owned());
        };
        if held.contains(&ip) {
            return Ok(Ok(ip));
        }
        if !self.ranges.iter().any(|r| r.contains(ip)) {
            let ranges = self.ranges.iter().map(ServiceRange::cidr).collect::<Vec<_>>().join(",");
            return refuse(format!(
                "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {ranges}"
            ));
        }
        if self.reserve(ip, ns, name, dry_run).await? {
            taken.insert(ip);
            Ok(Ok(ip))
        } else {
            refuse("provided IP is already allocated".to_owned())
        }
    }

    async fn next(
        &self,
        family: &str,
        ns: &str,
        name: &str,
        dry_run: bool,
        taken: &mut BTreeSet<IpAddr>,
    ) -> Result<IpAddr> {
        let full = || ApiError::internal("failed to allocate a serviceIP: range is full");
        let range = self.ranges.iter().find(|r| r.family() == family).ok_or_else(full)?;
        for ip in range.candidates().take(MAX_TRIES) {
            if self.reserve(ip, ns, name, dry_run).await? {
                taken.insert(ip);
                return Ok(ip);
            }
        }
        Err(full())
    }

    /// Creates the object; false when it exists.
    async fn reserve(&self, ip: IpAddr, ns: &str, name: &str, dry_run: bool) -> Result<bool> {
        if dry_run {
            return Ok(find(&*self.objects, GROUP, RESOURCE, "", &ip.to_string())
                .await?
                .is_none());
        }
        match self.objects.create(GROUP, RESOURCE, "", object(ip, ns, name)).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_already_exists() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Frees an address; an address that is free already is fine.
    pub(crate) async fn release(&self, ip: IpAddr) -> Result<()> {
        match self.objects.delete(GROUP, RESOURCE, "", &ip.to_string()).await {
            Err(e) if !e.is_not_found() => Err(e),
            _ => Ok(()),
        }
    }

    /// Makes sure a stored Service's address has its object.
    pub(crate) async fn ensure(&self, ip: IpAddr, ns: &str, name: &str) -> Result<()> {
        self.reserve(ip, ns, name, false).await.map(drop)
    }

    /// Deletes our objects whose Service is gone or has another address. Young ones are spared: their
    /// Service may be about to be written.
    pub(crate) async fn sweep(&self, services: &[Arc<Value>]) -> Result<()> {
        let used: BTreeSet<IpAddr> = services.iter().flat_map(|s| fields::cluster_ips(s)).collect();
        for object in self.objects.list(GROUP, RESOURCE, "").await? {
            let ours = object["metadata"]["labels"][MANAGED_LABEL] == MANAGER;
            if ours
                && let Ok(ip) = text(&object, "/metadata/name").parse::<IpAddr>()
                && !used.contains(&ip)
                && older_than_grace(&object)
            {
                self.release(ip).await?;
            }
        }
        Ok(())
    }
}

fn older_than_grace(object: &Value) -> bool {
    let created = text(object, "/metadata/creationTimestamp").parse::<jiff::Timestamp>();
    created.map_or(true, |t| {
        jiff::Timestamp::now().as_second() - t.as_second() > GRACE_SECONDS
    })
}
