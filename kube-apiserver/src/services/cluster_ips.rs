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

pub(super) const GROUP: &str = "networking.k8s.io";
pub(super) const RESOURCE: &str = "ipaddresses";
pub(super) const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";
pub(super) const MANAGED_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
pub(super) const MANAGER: &str = "ipallocator.k8s.io";
/// More misses in a row mean the range is full for all purposes.
const MAX_TRIES: usize = 20_000;

/// Allocates addresses of the service networks.
pub(crate) struct ClusterIps {
    objects: Arc<dyn Objects>,
    ranges: Vec<ServiceRange>,
}

/// Whom an address is taken for, and whether only to see.
#[derive(Clone, Copy)]
struct Owner<'a> {
    ns: &'a str,
    name: &'a str,
    dry_run: bool,
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
        let owner = Owner {
            ns,
            name: &name,
            dry_run,
        };
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
                Some(given) => match self.take(given, &wanted, held, owner, taken).await? {
                    Ok(ip) => ip,
                    Err(e) => {
                        errors.push(e);
                        return Ok(());
                    }
                },
                None => self.next(family, owner, taken).await?,
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
        wanted: &[String],
        held: &BTreeSet<IpAddr>,
        owner: Owner<'_>,
        taken: &mut BTreeSet<IpAddr>,
    ) -> Result<std::result::Result<IpAddr, Error>> {
        let path = Path::new("spec").child("clusterIPs");
        let refuse = |why: String| {
            let value = BadValue::raw(json!(wanted));
            Ok(Err(Error::invalid(
                &path,
                value,
                format!("failed to allocate IP {given}: {why}"),
            )))
        };
        let Ok(ip) = given.parse::<IpAddr>() else {
            return Err(ApiError::internal(format!("failed to parse service IP {given:?}")));
        };
        if held.contains(&ip) {
            return Ok(Ok(ip));
        }
        if !self.ranges().await?.iter().any(|r| r.contains(ip)) {
            return refuse("the provided network does not match the current range".to_owned());
        }
        if self.reserve(ip, owner).await? {
            taken.insert(ip);
            Ok(Ok(ip))
        } else {
            refuse("provided IP is already allocated".to_owned())
        }
    }

    async fn next(&self, family: &str, owner: Owner<'_>, taken: &mut BTreeSet<IpAddr>) -> Result<IpAddr> {
        for range in self.ranges().await?.iter().filter(|r| r.family() == family) {
            for ip in range.candidates().take(MAX_TRIES) {
                if self.reserve(ip, owner).await? {
                    taken.insert(ip);
                    return Ok(ip);
                }
            }
        }
        Err(ApiError::internal(format!(
            "failed to allocate a serviceIP for Service {:?}: range is full",
            owner.name
        )))
    }

    /// The networks to allocate from: those of the ServiceCIDRs that are ready. Before there is any,
    /// those of the flags.
    pub(crate) async fn ranges(&self) -> Result<Vec<ServiceRange>> {
        let cidrs = self.objects.list(GROUP, "servicecidrs", "").await?;
        if cidrs.is_empty() {
            return Ok(self.ranges.clone());
        }
        let ready = cidrs.iter().filter(|c| is_ready(c));
        let texts = ready.flat_map(|c| items(c, "/spec/cidrs").iter().filter_map(Value::as_str));
        let mut ranges: Vec<ServiceRange> = texts.filter_map(|t| ServiceRange::parse(t).ok()).collect();
        // The default network is used up first.
        ranges.sort_by_key(|r| !self.ranges.contains(r));
        Ok(ranges)
    }

    /// Creates the object; false when it exists.
    async fn reserve(&self, ip: IpAddr, owner: Owner<'_>) -> Result<bool> {
        if owner.dry_run {
            return Ok(find(&*self.objects, GROUP, RESOURCE, "", &ip.to_string())
                .await?
                .is_none());
        }
        match self
            .objects
            .create(GROUP, RESOURCE, "", object(ip, owner.ns, owner.name))
            .await
        {
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
}

/// Whether a ServiceCIDR takes part in allocation (upstream `isReady`, and not being deleted).
fn is_ready(cidr: &Value) -> bool {
    !apimachinery::meta::is_terminating(cidr)
        && items(cidr, "/status/conditions")
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
}
