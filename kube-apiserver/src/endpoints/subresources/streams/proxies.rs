//! Where the HTTP proxies of nodes, pods and services lead.
//!
//! Upstream: `pkg/registry/core/node/strategy.go`, `pod/strategy.go` and
//! `service/storage/storage.go`, each `ResourceLocation`.

use std::net::IpAddr;

use apimachinery::status::{ApiError, Result};
use serde_json::Value;

use super::super::super::Call;
use crate::objects::{Objects as _, items, text};
use crate::proxy::rewrite::Rewrite;
use crate::proxy::{Target, Trust, paths};

/// Target of a proxy request, and how its answers lead back.
pub(super) async fn locate(call: &Call) -> Result<(Target, Rewrite)> {
    let mut target = match call.row.plural {
        "nodes" => node(call).await?,
        "pods" => pod(call).await?,
        "services" => service(call).await?,
        _ => return Err(ApiError::path_not_found()),
    };
    let (prefix, rest) = paths::split(&call.ctx.info);
    target.path = paths::backend(rest);
    target.query = call.head.uri.query().unwrap_or("").to_owned();
    let host = call.head.headers.get(http::header::HOST).and_then(|h| h.to_str().ok());
    let rewrite = Rewrite {
        prefix: prefix.to_owned(),
        backend: target.authority(),
        host: host
            .or(call.head.uri.authority().map(http::uri::Authority::as_str))
            .unwrap_or("")
            .to_owned(),
    };
    Ok((target, rewrite))
}

fn endpoint(scheme: &str, host: &str, port: u16) -> Target {
    Target {
        secure: scheme == "https",
        trust: Trust::Endpoint,
        host: host.to_owned(),
        port,
        path: String::new(),
        query: String::new(),
    }
}

async fn node(call: &Call) -> Result<Target> {
    let id = &call.ctx.info.name;
    let (scheme, name, port) = split_name(id, "node")?;
    let node = call.api.registry.get("", "nodes", "", &name).await?;
    let kubelet = call.api.nodes.kubelet(&node)?;
    proxyable(&kubelet.host).await?;
    if port.is_empty() || port == kubelet.port.to_string() {
        return Ok(kubelet);
    }
    Ok(endpoint(&scheme, &kubelet.host, number(&port)?))
}

async fn pod(call: &Call) -> Result<Target> {
    let (scheme, name, port) = split_name(&call.ctx.info.name, "pod")?;
    let pod = call.store()?.get(call.namespace(), &name).await?.value();
    let port = match port.as_str() {
        "" => items(&pod, "/spec/containers")
            .iter()
            .find_map(|c| c.pointer("/ports/0/containerPort").and_then(Value::as_u64))
            .and_then(|p| u16::try_from(p).ok())
            .unwrap_or(if scheme == "https" { 443 } else { 80 }),
        given => number(given)?,
    };
    let ip = text(&pod, "/status/podIPs/0/ip");
    if !ip.parse().is_ok_and(global_unicast) {
        return Err(ApiError::bad_request("address not allowed"));
    }
    Ok(endpoint(&scheme, ip, port))
}

async fn service(call: &Call) -> Result<Target> {
    let id = &call.ctx.info.name;
    let (scheme, name, port) = split_name(id, "service")?;
    let ns = call.namespace();
    let port = match port.parse::<i64>() {
        // A number is that of a Service's port; endpoints know the port's name.
        Ok(number) => {
            let service = call.store()?.get(ns, &name).await?.value();
            let found = items(&service, "/spec/ports")
                .iter()
                .find(|p| p["port"].as_i64() == Some(number));
            found.map(|p| text(p, "/name").to_owned()).ok_or_else(|| {
                ApiError::service_unavailable(format!("no service port {number} found for service {name:?}"))
            })?
        }
        Err(_) => port,
    };
    let endpoints = call.api.registry.get("", "endpoints", ns, &name).await?;
    if items(&endpoints, "/subsets").is_empty() {
        return Err(ApiError::service_unavailable(format!(
            "no endpoints available for service {name:?}"
        )));
    }
    for (address, number) in choices(&endpoints, &port) {
        if is_pod(call, ns, address).await {
            return Ok(endpoint(&scheme, text(address, "/ip"), number));
        }
    }
    Err(ApiError::service_unavailable(format!(
        "no endpoints available for service {id:?}"
    )))
}

/// Ready addresses that have the port of this name, from a random one on.
fn choices<'a>(endpoints: &'a Value, port: &str) -> Vec<(&'a Value, u16)> {
    let mut all: Vec<(&Value, u16)> = vec![];
    for subset in items(endpoints, "/subsets") {
        let ports = items(subset, "/ports").iter().filter(|p| text(p, "/name") == port);
        for number in ports.filter_map(|p| u16::try_from(p["port"].as_u64()?).ok()) {
            all.extend(items(subset, "/addresses").iter().map(|a| (a, number)));
        }
    }
    if !all.is_empty() {
        let start = rand::random_range(0..all.len());
        all.rotate_left(start);
    }
    all
}

/// Whether an endpoint's address is its pod's: a Service must not lead the apiserver anywhere else.
async fn is_pod(call: &Call, ns: &str, address: &Value) -> bool {
    let (namespace, name) = (text(address, "/targetRef/namespace"), text(address, "/targetRef/name"));
    if namespace != ns || name.is_empty() {
        return false;
    }
    match call.api.registry.get("", "pods", ns, name).await {
        Ok(pod) => items(&pod, "/status/podIPs")
            .iter()
            .any(|ip| text(ip, "/ip") == text(address, "/ip")),
        Err(error) => {
            tracing::debug!(%error, name, "an endpoint has no pod");
            false
        }
    }
}

/// Nodes are reached by names too: none of a name's addresses may be local.
async fn proxyable(host: &str) -> Result<()> {
    let addresses: Vec<IpAddr> = match host.parse() {
        Ok(ip) => vec![ip],
        Err(_) => tokio::net::lookup_host((host, 0))
            .await
            .map_err(|_| ApiError::bad_request(format!("lookup {host}: no such host")))?
            .map(|a| a.ip())
            .collect(),
    };
    if addresses.is_empty() {
        return Err(ApiError::bad_request("no addresses for hostname"));
    }
    if addresses.iter().all(|ip| global_unicast(*ip)) {
        Ok(())
    } else {
        Err(ApiError::bad_request("address not allowed"))
    }
}

/// Go's `IP.IsGlobalUnicast`: not loopback, link-local, multicast, broadcast or unspecified. As in Go, an IPv4
/// address in IPv6's clothes (`::ffff:127.0.0.1`) is the IPv4 address, which is what the kernel would connect to.
fn global_unicast(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(local || ip.is_loopback() || ip.is_multicast() || ip.is_unspecified())
}

/// A port that is dialled as it was written; Go's dialer knows a few by name.
fn number(port: &str) -> Result<u16> {
    let number = match port {
        "http" => Some(80),
        "https" => Some(443),
        digits => digits.parse().ok(),
    };
    number.ok_or_else(|| {
        ApiError::service_unavailable(format!(
            "error trying to reach service: dial tcp: lookup tcp/{port}: unknown port"
        ))
    })
}

/// `[scheme:]name[:port]` (upstream `utilnet.SplitSchemeNamePort`).
fn split_name(id: &str, what: &str) -> Result<(String, String, String)> {
    let parts: Vec<&str> = id.split(':').collect();
    let split = match parts[..] {
        [name] => Some(("", name, "")),
        [name, port] => Some(("", name, port)),
        [scheme, name, port] => Some((scheme, name, port)),
        _ => None,
    };
    match split {
        Some((scheme, name, port)) if !name.is_empty() && matches!(scheme, "" | "http" | "https") => {
            Ok((scheme.to_owned(), name.to_owned(), port.to_owned()))
        }
        _ => Err(ApiError::bad_request(format!("invalid {what} request {id:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn proxy_names_carry_scheme_and_port() {
        let t = |s: &str| split_name(s, "service").map_err(|e| e.message);
        let ok = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(t("web"), ok("", "web", ""));
        assert_eq!(t("web:80"), ok("", "web", "80"));
        assert_eq!(t("https:web:443"), ok("https", "web", "443"));
        assert_eq!(t("https:web:"), ok("https", "web", ""));
        for bad in ["ftp:web:80", ":80", "", "a:b:c:d"] {
            assert_eq!(t(bad), Err(format!("invalid service request {bad:?}")));
        }
    }

    #[test]
    fn a_services_port_is_found_by_its_name_among_ready_addresses() {
        let endpoints = json!({"subsets": [
            {"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "notReadyAddresses": [{"ip": "10.0.0.9"}],
             "ports": [{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}]},
            {"addresses": [{"ip": "10.0.0.3"}], "ports": [{"port": 80}]},
        ]});
        let find = |port: &str| {
            let mut all: Vec<String> = choices(&endpoints, port)
                .iter()
                .map(|(a, p)| format!("{}:{p}", text(a, "/ip")))
                .collect();
            all.sort();
            all
        };
        assert_eq!(find("http"), ["10.0.0.1:8080", "10.0.0.2:8080"]);
        assert_eq!(find(""), ["10.0.0.3:80"]);
        assert!(find("none").is_empty());
    }

    #[test]
    fn local_addresses_are_not_proxied_to() {
        for (ip, allowed) in [
            ("10.0.0.1", true),
            ("192.0.2.1", true),
            ("fd00::1", true),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("fe80::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(global_unicast(ip.parse().expect("an address")), allowed, "{ip}");
        }
    }
}
