//! Services and what stands behind and before them.

use serde_json::{Value, json};

use super::Cells;
use super::cells::{age, annotation, int, labels, load_balancer, name, or, or_none, scalar, selector, some_of, texts};
use crate::objects::{items, text};

pub(super) const SERVICES: Cells = |o| {
    vec![
        name(o),
        json!(text(o, "/spec/type")),
        json!(or(o, "/spec/clusterIPs/0", or(o, "/spec/clusterIP", "<none>"))),
        json!(external(o)),
        json!(ports(o)),
        age(o),
        json!(labels(o.pointer("/spec/selector"))),
    ]
};

/// Upstream `getServiceExternalIP`.
fn external(o: &Value) -> String {
    let mut given = texts(o, "/spec/externalIPs");
    match text(o, "/spec/type") {
        "ExternalName" => text(o, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let mut all = load_balancer(o);
            all.append(&mut given);
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ClusterIP" | "NodePort" => or_none(given.join(",")),
        _ => "<unknown>".to_owned(),
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

pub(super) const ENDPOINTS: Cells = |o| vec![name(o), json!(endpoints(o)), age(o)];

/// Upstream `formatEndpoints`: at most three.
fn endpoints(o: &Value) -> String {
    if items(o, "/subsets").is_empty() {
        return "<none>".to_owned();
    }
    let mut list = Vec::new();
    for s in items(o, "/subsets") {
        let ips: Vec<&str> = items(s, "/addresses").iter().map(|a| text(a, "/ip")).collect();
        if items(s, "/ports").is_empty() {
            list.extend(ips.iter().map(|ip| (*ip).to_owned()));
        }
        for p in items(s, "/ports") {
            let port = int(p, "/port");
            list.extend(ips.iter().map(|ip| match ip.contains(':') {
                true => format!("[{ip}]:{port}"),
                false => format!("{ip}:{port}"),
            }));
        }
    }
    some_of(list, 3)
}

pub(super) const ENDPOINT_SLICES: Cells = |o| {
    let ports = items(o, "/ports")
        .iter()
        .map(
            |p| match (scalar(p.get("port")), p.get("name").and_then(Value::as_str)) {
                (port, _) if !port.is_empty() => port,
                (_, Some(name)) => name.to_owned(),
                _ => "*".to_owned(),
            },
        )
        .collect();
    let addresses = items(o, "/endpoints")
        .iter()
        .flat_map(|e| items(e, "/addresses"))
        .map(|a| scalar(Some(a)))
        .collect();
    let unset = |list: Vec<String>| match some_of(list, 3) {
        s if s.is_empty() => json!("<unset>"),
        s => json!(s),
    };
    vec![
        name(o),
        json!(text(o, "/addressType")),
        unset(ports),
        unset(addresses),
        age(o),
    ]
};

pub(super) const INGRESSES: Cells = |o| {
    let ports = if items(o, "/spec/tls").is_empty() {
        "80"
    } else {
        "80, 443"
    };
    vec![
        name(o),
        json!(or(o, "/spec/ingressClassName", "<none>")),
        json!(hosts(o)),
        json!(load_balancer(o).join(",")),
        json!(ports),
        age(o),
    ]
};

/// Upstream `formatHosts`: the rest is counted in rules.
fn hosts(o: &Value) -> String {
    const MAX: usize = 3;
    let rules = items(o, "/spec/rules");
    let hosts: Vec<&str> = rules.iter().map(|r| text(r, "/host")).collect();
    let mut shown = Vec::new();
    for host in hosts {
        if shown.len() == MAX {
            return format!("{} + {} more...", shown.join(","), rules.len() - MAX);
        }
        if !host.is_empty() {
            shown.push(host);
        }
    }
    if shown.is_empty() {
        "*".to_owned()
    } else {
        shown.join(",")
    }
}

pub(super) const INGRESS_CLASSES: Cells = |o| {
    let default = annotation(o, "ingressclass.kubernetes.io/is-default-class") == Some("true");
    let mark = if default { " (default)" } else { "" };
    let parameters = o
        .pointer("/spec/parameters")
        .filter(|p| p.is_object())
        .map_or("<none>".to_owned(), |p| match p["apiGroup"].as_str() {
            None => format!("{}/{}", text(p, "/kind"), text(p, "/name")),
            Some(g) => format!("{}.{g}/{}", text(p, "/kind"), text(p, "/name")),
        });
    vec![
        json!(format!("{}{mark}", text(o, "/metadata/name"))),
        json!(text(o, "/spec/controller")),
        json!(parameters),
        age(o),
    ]
};

pub(super) const NETWORK_POLICIES: Cells = |o| vec![name(o), json!(selector(o.pointer("/spec/podSelector"))), age(o)];

/// A cell more than there are columns, as upstream.
pub(super) const IP_ADDRESSES: Cells = |o| {
    let parent = o.pointer("/spec/parentRef").filter(|p| p.is_object()).map(|p| {
        let resource = match text(p, "/group") {
            "" => text(p, "/resource").to_owned(),
            group => format!("{}.{group}", text(p, "/resource")),
        };
        match text(p, "/namespace") {
            "" => format!("{}/{}", resource.to_lowercase(), text(p, "/name")),
            namespace => format!("{}/{namespace}/{}", resource.to_lowercase(), text(p, "/name")),
        }
    });
    vec![name(o), json!(parent.unwrap_or_else(|| "<none>".to_owned())), age(o)]
};

pub(super) const SERVICE_CIDRS: Cells = |o| vec![name(o), json!(texts(o, "/spec/cidrs").join(",")), age(o)];
