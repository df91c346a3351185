//! Services and what stands behind and before them.

use serde_json::{Value, json};

use super::cells::{age, int, labels, name, or, or_none, scalar, selector, some_of};
use super::{Printer, text as column, wide};
use crate::objects::{items, text};

pub(super) const SERVICES: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("Cluster-IP"),
        column("External-IP"),
        column("Port(s)"),
        column("Age"),
        wide("Selector"),
    ],
    cells: |o| {
        vec![
            name(o),
            json!(text(o, "/spec/type")),
            json!(or(o, "/spec/clusterIPs/0", or(o, "/spec/clusterIP", "<none>"))),
            json!(external(o)),
            json!(ports(o)),
            age(o),
            json!(labels(o.pointer("/spec/selector"))),
        ]
    },
};

/// Upstream `getServiceExternalIP`.
fn external(o: &Value) -> String {
    let given: Vec<String> = items(o, "/spec/externalIPs").iter().map(|v| scalar(Some(v))).collect();
    match text(o, "/spec/type") {
        "ExternalName" => text(o, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let mut all: Vec<String> = items(o, "/status/loadBalancer/ingress")
                .iter()
                .map(|i| or(i, "/ip", text(i, "/hostname")).to_owned())
                .filter(|s| !s.is_empty())
                .collect();
            all.extend(given);
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        _ => or_none(given.join(",")),
    }
}

fn ports(o: &Value) -> String {
    let list: Vec<String> = items(o, "/spec/ports")
        .iter()
        .map(|p| match int(p, "/nodePort") {
            0 => format!("{}/{}", int(p, "/port"), or(p, "/protocol", "TCP")),
            node => format!("{}:{node}/{}", int(p, "/port"), or(p, "/protocol", "TCP")),
        })
        .collect();
    or_none(list.join(","))
}

pub(super) const ENDPOINTS: Printer = Printer {
    columns: &[column("Name"), column("Endpoints"), column("Age")],
    cells: |o| vec![name(o), json!(endpoints(o)), age(o)],
};

/// Upstream `formatEndpoints`: at most three.
fn endpoints(o: &Value) -> String {
    if items(o, "/subsets").is_empty() {
        return "<none>".to_owned();
    }
    let mut list = Vec::new();
    for s in items(o, "/subsets") {
        for a in items(s, "/addresses") {
            let ip = text(a, "/ip");
            let host = if ip.contains(':') {
                format!("[{ip}]")
            } else {
                ip.to_owned()
            };
            if items(s, "/ports").is_empty() {
                list.push(ip.to_owned());
            }
            list.extend(items(s, "/ports").iter().map(|p| format!("{host}:{}", int(p, "/port"))));
        }
    }
    some_of(list, 3)
}

pub(super) const ENDPOINT_SLICES: Printer = Printer {
    columns: &[
        column("Name"),
        column("AddressType"),
        column("Ports"),
        column("Endpoints"),
        column("Age"),
    ],
    cells: |o| {
        let ports: Vec<String> = items(o, "/ports")
            .iter()
            .map(|p| match scalar(p.get("port")) {
                s if s.is_empty() => "*".to_owned(),
                s => s,
            })
            .collect();
        let ports = if ports.is_empty() {
            "<unset>".to_owned()
        } else {
            some_of(ports, 3)
        };
        let addresses: Vec<String> = items(o, "/endpoints")
            .iter()
            .flat_map(|e| items(e, "/addresses"))
            .map(|a| scalar(Some(a)))
            .collect();
        let addresses = if addresses.is_empty() {
            "<unset>".to_owned()
        } else {
            some_of(addresses, 3)
        };
        vec![
            name(o),
            json!(text(o, "/addressType")),
            json!(ports),
            json!(addresses),
            age(o),
        ]
    },
};

pub(super) const INGRESSES: Printer = Printer {
    columns: &[
        column("Name"),
        column("Class"),
        column("Hosts"),
        column("Address"),
        column("Ports"),
        column("Age"),
    ],
    cells: |o| {
        let hosts: Vec<String> = items(o, "/spec/rules")
            .iter()
            .map(|r| text(r, "/host").to_owned())
            .filter(|h| !h.is_empty())
            .collect();
        let hosts = if hosts.is_empty() {
            "*".to_owned()
        } else {
            some_of(hosts, 3)
        };
        let address: Vec<&str> = items(o, "/status/loadBalancer/ingress")
            .iter()
            .map(|i| or(i, "/ip", text(i, "/hostname")))
            .filter(|s| !s.is_empty())
            .collect();
        let ports = if items(o, "/spec/tls").is_empty() {
            "80"
        } else {
            "80, 443"
        };
        let class = o
            .pointer("/metadata/annotations")
            .and_then(|a| a.get("kubernetes.io/ingress.class"));
        let class = or(
            o,
            "/spec/ingressClassName",
            class.and_then(Value::as_str).unwrap_or("<none>"),
        );
        vec![
            name(o),
            json!(class),
            json!(hosts),
            json!(address.join(",")),
            json!(ports),
            age(o),
        ]
    },
};

pub(super) const INGRESS_CLASSES: Printer = Printer {
    columns: &[
        column("Name"),
        column("Controller"),
        column("Parameters"),
        column("Age"),
    ],
    cells: |o| {
        let parameters = o
            .pointer("/spec/parameters")
            .filter(|p| p.is_object())
            .map_or("<none>".to_owned(), |p| match text(p, "/apiGroup") {
                "" => format!("{}/{}", text(p, "/kind"), text(p, "/name")),
                g => format!("{}.{g}/{}", text(p, "/kind"), text(p, "/name")),
            });
        vec![name(o), json!(text(o, "/spec/controller")), json!(parameters), age(o)]
    },
};

pub(super) const NETWORK_POLICIES: Printer = Printer {
    columns: &[column("Name"), column("Pod-Selector"), column("Age")],
    cells: |o| vec![name(o), json!(selector(o.pointer("/spec/podSelector"))), age(o)],
};

pub(super) const IP_ADDRESSES: Printer = Printer {
    columns: &[column("Name"), column("ParentRef"), column("Age")],
    cells: |o| {
        let p = o.pointer("/spec/parentRef").unwrap_or(&Value::Null);
        let parts = ["/group", "/resource", "/namespace", "/name"].map(|f| text(p, f));
        let parent = parts
            .into_iter()
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        vec![name(o), json!(or_none(parent)), age(o)]
    },
};

pub(super) const SERVICE_CIDRS: Printer = Printer {
    columns: &[column("Name"), column("CIDRs"), column("Age")],
    cells: |o| {
        let cidrs = items(o, "/spec/cidrs")
            .iter()
            .map(|c| scalar(Some(c)))
            .collect::<Vec<_>>()
            .join(",");
        vec![name(o), json!(cidrs), age(o)]
    },
};
