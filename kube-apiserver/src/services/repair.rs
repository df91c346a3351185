//! Makes the records of addresses and ports agree with the Services: what a crash left behind, what
//! someone deleted, what two Services claim.
//!
//! [`addresses`] judges a snapshot and says what to do; [`Repair::apply`] does it. Upstream:
//! `pkg/registry/core/service/ipallocator/controller/repairip.go` and
//! `portallocator/controller/repair.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::meta;
use apimachinery::status::Result;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cluster_ips::{self, FAMILY_LABEL, GROUP, MANAGED_LABEL, MANAGER, RESOURCE};
use super::fields;
use super::service_range::ServiceRange;
use crate::objects::{Objects, text};

/// Age in seconds below which an address without Service is not a leak: the Service may be on its way.
const GRACE: i64 = 60;
/// Age in seconds below which an address that its Service does not name may be taken back by a write
/// that failed.
const REVERT_GRACE: i64 = 5;

/// What to do, and what to tell.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Repair {
    delete: Vec<String>,
    create: Vec<Value>,
    events: Vec<Finding>,
}

/// An event to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    about: Arc<Value>,
    controller: &'static str,
    reason: &'static str,
    action: &'static str,
    note: String,
}

const IPS: &str = "ipallocator-repair-controller";
const PORTS: &str = "portallocator-repair-controller";

/// Judges the IPAddress objects by the Services. `now` in seconds since the epoch.
pub(super) fn addresses(services: &[Arc<Value>], objects: &[Arc<Value>], ranges: &[ServiceRange], now: i64) -> Repair {
    let mut repair = Repair::default();
    let by_ip: BTreeMap<&str, &Arc<Value>> = objects.iter().map(|o| (meta::name(o), o)).collect();
    for service in services {
        for ip in fields::cluster_ips(service) {
            repair.check(service, ip, services, &by_ip, ranges);
        }
    }
    for object in objects
        .iter()
        .filter(|o| meta::label(o, MANAGED_LABEL) == Some(MANAGER))
    {
        repair.check_object(object, services, now);
    }
    repair
}

fn find<'a>(services: &'a [Arc<Value>], parent: &Value) -> Option<&'a Arc<Value>> {
    let (ns, name) = (text(parent, "/namespace"), text(parent, "/name"));
    services
        .iter()
        .find(|s| meta::namespace(s) == ns && meta::name(s) == name)
}

fn of_service(parent: &Value) -> bool {
    text(parent, "/group").is_empty() && text(parent, "/resource") == "services"
}

impl Repair {
    /// One address of a Service.
    fn check(
        &mut self,
        service: &Arc<Value>,
        ip: IpAddr,
        services: &[Arc<Value>],
        by_ip: &BTreeMap<&str, &Arc<Value>>,
        ranges: &[ServiceRange],
    ) {
        let (family, ns, name) = (cluster_ips::family(ip), meta::namespace(service), meta::name(service));
        let mut tell = |reason, note| {
            self.events.push(Finding {
                about: service.clone(),
                controller: IPS,
                reason,
                action: "ClusterIPAllocation",
                note,
            });
        };
        if !ranges.iter().any(|r| r.contains(ip)) {
            let note = format!(
                "Cluster IP [{family}]: {ip} is not within any configured Service CIDR; please recreate service"
            );
            return tell("ClusterIPOutOfRange", note);
        }
        let ip_name = ip.to_string();
        let Some(object) = by_ip.get(ip_name.as_str()) else {
            let note = format!("Cluster IP [{family}]: {ip} is not allocated; repairing");
            tell("ClusterIPNotAllocated", note);
            return self.create.push(cluster_ips::object(ip, ns, name));
        };
        let parent = &object["spec"]["parentRef"];
        let wrong_reference =
            || format!("the ClusterIP [{family}]: {ip} for Service {ns}/{name} has a wrong reference; repairing");
        if !of_service(parent) {
            tell("ClusterIPNotAllocated", wrong_reference());
            return self.recreate(ip, ns, name);
        }
        if (text(parent, "/namespace"), text(parent, "/name")) != (ns, name) {
            let Some(other) = find(services, parent) else {
                tell("ClusterIPNotAllocated", wrong_reference());
                return self.recreate(ip, ns, name);
            };
            if fields::cluster_ips(other).contains(&ip) {
                let note =
                    format!("Cluster IP [{family}]:{ip} was assigned to multiple services; please recreate service");
                return tell("ClusterIPAlreadyAllocated", note);
            }
        }
        let labelled =
            meta::label(object, FAMILY_LABEL) == Some(family) && meta::label(object, MANAGED_LABEL) == Some(MANAGER);
        if !labelled {
            self.recreate(ip, ns, name);
        }
    }

    fn recreate(&mut self, ip: IpAddr, ns: &str, name: &str) {
        self.delete.push(ip.to_string());
        self.create.push(cluster_ips::object(ip, ns, name));
    }

    /// One of our objects: is it still wanted?
    fn check_object(&mut self, object: &Arc<Value>, services: &[Arc<Value>], now: i64) {
        let (ip, parent) = (meta::name(object), &object["spec"]["parentRef"]);
        if self.delete.iter().any(|d| d == ip) {
            return;
        }
        let (ns, name) = (text(parent, "/namespace"), text(parent, "/name"));
        let age = |o: &Value| {
            apimachinery::time::parse(meta::creation_timestamp(o)).map_or(i64::MAX, |t| now - t.as_second())
        };
        let (reason, note) = if !of_service(parent) {
            let note = format!("IPAddress {ip} appears to have been modified, not referencing a Service: cleaning up");
            ("IPAddressNotAllocated", note)
        } else if let Some(service) = find(services, parent) {
            let young = text(service, "/spec/type") == "ExternalName" && age(object) < GRACE;
            let reverting = age(object) < age(service) && age(object) < REVERT_GRACE;
            let named = fields::cluster_ips(service).iter().any(|have| have.to_string() == ip);
            if named || young || reverting {
                return;
            }
            let note = format!("IPAddress: {ip} for Service {ns}/{name} has a wrong reference; cleaning up");
            ("IPAddressWrongReference", note)
        } else if age(object) > GRACE {
            let note = format!("IPAddress: {ip} for Service {ns}/{name} appears to have leaked: cleaning up");
            ("IPAddressNotAllocated", note)
        } else {
            return;
        };
        self.delete.push(ip.to_owned());
        self.events.push(Finding {
            about: object.clone(),
            controller: IPS,
            reason,
            action: "IPAddressAllocation",
            note,
        });
    }

    /// Does what was found. An object that is gone or there already is as good.
    pub(super) async fn apply(self, objects: &dyn Objects) -> Result<()> {
        for ip in &self.delete {
            match objects.delete(GROUP, RESOURCE, "", ip).await {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        for object in self.create {
            match objects.create(GROUP, RESOURCE, "", object).await {
                Err(e) if !e.is_already_exists() => return Err(e),
                _ => {}
            }
        }
        tell(objects, &self.events).await;
        Ok(())
    }
}

/// Judges the node ports of Services by the record: what to tell.
pub(super) fn ports(services: &[Arc<Value>], recorded: &BTreeSet<u16>, range: (u16, u16)) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = vec![];
    for service in services {
        for port in fields::node_ports(service) {
            let (reason, note) = if !(range.0..=range.1).contains(&port) {
                let range = format!("{}-{}", range.0, range.1);
                let note = format!("Port {port} is not within the port range {range}; please recreate service");
                ("PortOutOfRange", note)
            } else if !seen.insert(port) {
                let note = format!("Port {port} was assigned to multiple services; please recreate service");
                ("PortAlreadyAllocated", note)
            } else if !recorded.contains(&port) {
                ("PortNotAllocated", format!("Port {port} is not allocated; repairing"))
            } else {
                continue;
            };
            findings.push(Finding {
                about: service.clone(),
                controller: PORTS,
                reason,
                action: "PortAllocation",
                note,
            });
        }
    }
    findings
}

/// Writes the findings as events. Each has its name by what it says: a repair that finds the same again
/// says it once as long as the event lives.
pub(super) async fn tell(objects: &dyn Objects, findings: &[Finding]) {
    for finding in findings {
        tracing::warn!(reason = finding.reason, "{}", finding.note);
        let event = event(finding);
        let ns = meta::namespace(&event).to_owned();
        if let Err(error) = objects.create("", "events", &ns, event).await
            && !error.is_already_exists()
        {
            tracing::debug!(%error, "cannot write an event");
        }
    }
}

fn event(finding: &Finding) -> Value {
    let about = &finding.about;
    let ns = match meta::namespace(about) {
        "" => "default",
        ns => ns,
    };
    let hash = Sha256::digest(format!("{}/{}", finding.reason, finding.note));
    let suffix: String = hash.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let mut regarding = json!({"name": meta::name(about), "uid": meta::uid(about),
        "resourceVersion": meta::resource_version(about)});
    for field in ["apiVersion", "kind"] {
        regarding[field] = about[field].clone();
    }
    if !meta::namespace(about).is_empty() {
        regarding["namespace"] = json!(ns);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": format!("{}.{suffix}", meta::name(about)), "namespace": ns},
        "involvedObject": regarding,
        "eventTime": apimachinery::time::now_rfc3339_micro(),
        "reportingComponent": finding.controller,
        "reportingInstance": finding.controller,
        "action": finding.action,
        "reason": finding.reason,
        "message": finding.note,
        "type": "Warning",
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds_ago: i64) -> String {
        jiff::Timestamp::from_second(NOW - seconds_ago).unwrap().to_string()
    }

    fn service(name: &str, ip: &str) -> Arc<Value> {
        Arc::new(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "ns", "creationTimestamp": at(1000)},
            "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip]}}))
    }

    fn address(ip: &str, name: &str, age: i64) -> Value {
        let mut object = cluster_ips::object(ip.parse().unwrap(), "ns", name);
        object["metadata"]["creationTimestamp"] = json!(at(age));
        object
    }

    /// Deleted and created names, and reasons of the events.
    fn judged(services: &[Arc<Value>], objects: Vec<Value>) -> (Vec<String>, Vec<String>, Vec<&'static str>) {
        let ranges = [ServiceRange::parse("10.0.0.0/24").unwrap()];
        let objects: Vec<Arc<Value>> = objects.into_iter().map(Arc::new).collect();
        let repair = addresses(services, &objects, &ranges, NOW);
        (
            repair.delete,
            repair.create.iter().map(|o| meta::name(o).to_owned()).collect(),
            repair.events.iter().map(|e| e.reason).collect(),
        )
    }

    #[test]
    fn addresses_follow_the_services() {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let s = || vec![service("s", "10.0.0.5")];
        let with = |change: fn(&mut Value)| {
            let mut object = address("10.0.0.5", "s", 1000);
            change(&mut object);
            vec![object]
        };
        for (what, services, objects, (deleted, created, reasons)) in [
            ("fine", s(), with(|_| {}), (vec![], vec![], vec![])),
            (
                "missing",
                s(),
                vec![],
                (vec![], vec!["10.0.0.5"], vec!["ClusterIPNotAllocated"]),
            ),
            (
                "of another kind",
                s(),
                with(|o| o["spec"]["parentRef"]["resource"] = json!("gateways")),
                (vec!["10.0.0.5"], vec!["10.0.0.5"], vec!["ClusterIPNotAllocated"]),
            ),
            (
                "of a Service that is gone",
                s(),
                with(|o| o["spec"]["parentRef"]["name"] = json!("gone")),
                (vec!["10.0.0.5"], vec!["10.0.0.5"], vec!["ClusterIPNotAllocated"]),
            ),
            (
                "without our labels",
                s(),
                with(|o| o["metadata"]["labels"] = json!({})),
                (vec!["10.0.0.5"], vec!["10.0.0.5"], vec![]),
            ),
            (
                "of two Services",
                vec![service("s", "10.0.0.5"), service("t", "10.0.0.5")],
                with(|_| {}),
                (vec![], vec![], vec!["ClusterIPAlreadyAllocated"]),
            ),
            (
                "out of range",
                vec![service("s", "192.0.2.1")],
                vec![],
                (vec![], vec![], vec!["ClusterIPOutOfRange"]),
            ),
            (
                "leaked",
                vec![],
                vec![address("10.0.0.9", "gone", 61)],
                (vec!["10.0.0.9"], vec![], vec!["IPAddressNotAllocated"]),
            ),
            (
                "on its way",
                vec![],
                vec![address("10.0.0.9", "new", 10)],
                (vec![], vec![], vec![]),
            ),
            (
                "not its Service's",
                s(),
                vec![address("10.0.0.5", "s", 1000), address("10.0.0.9", "s", 100)],
                (vec!["10.0.0.9"], vec![], vec!["IPAddressWrongReference"]),
            ),
            (
                "about to be taken back",
                s(),
                vec![address("10.0.0.5", "s", 1000), address("10.0.0.9", "s", 2)],
                (vec![], vec![], vec![]),
            ),
        ] {
            let got = judged(&services, objects);
            assert_eq!(got, (names(&deleted), names(&created), reasons), "{what}");
        }
    }

    #[test]
    fn ports_that_are_wrong_are_told() {
        let with_port = |name: &str, port: u16| {
            Arc::new(json!({"metadata": {"name": name, "namespace": "ns"},
                "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}}))
        };
        let services = [
            with_port("a", 30001),
            with_port("b", 30001),
            with_port("c", 30002),
            with_port("d", 80),
        ];
        let findings = ports(&services, &BTreeSet::from([30001]), (30000, 30010));
        let got: Vec<(&str, &str, &str)> = findings
            .iter()
            .map(|f| (meta::name(&f.about), f.reason, f.note.as_str()))
            .collect();
        assert_eq!(
            got,
            [
                (
                    "b",
                    "PortAlreadyAllocated",
                    "Port 30001 was assigned to multiple services; please recreate service"
                ),
                ("c", "PortNotAllocated", "Port 30002 is not allocated; repairing"),
                (
                    "d",
                    "PortOutOfRange",
                    "Port 80 is not within the port range 30000-30010; please recreate service"
                ),
            ]
        );
    }
}
