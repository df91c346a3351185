//! Streams to a node or into a pod: log, exec, attach, portforward and the HTTP proxies.
//!
//! Checks and locations: upstream `pkg/registry/core/pod/rest` and `.../pod/strategy.go`.

use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::Response;
use serde_json::Value;

use super::super::Call;
use super::super::admit::Admit;
use crate::admission::Operation;
use crate::objects::{Objects as _, items, text};
use crate::proxy::{self, Target};
use crate::registry::Hooks as _;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let sub = call.sub.map_or("", |s| s.name);
    if sub != "log" {
        let admit = Admit::new(&call.api, &call.ctx, Operation::Connect);
        let mut options = Value::Null;
        admit.admit(&mut options, None).await?;
        admit.validate(Some(&options), None).await?;
    }
    let target = match (call.row.plural, sub) {
        ("pods", "log") => match log_target(&call).await? {
            Some(target) => return proxy::read(&call.api.nodes, &target, call.row.plural, &call.ctx.info.name).await,
            // Not scheduled yet: nothing was logged.
            None => return Ok(Response::new(Body::empty())),
        },
        ("pods", "exec" | "attach") => command_target(&call, sub).await?,
        ("pods", "portforward") => forward_target(&call).await?,
        ("nodes", "proxy") => node_target(&call).await?,
        ("pods", "proxy") => pod_target(&call).await?,
        ("services", "proxy") => service_target(&call).await?,
        _ => return Err(ApiError::path_not_found()),
    };
    let api = call.api.clone();
    proxy::forward(&api.nodes, target, call.into_request()).await
}

/// The pod's kubelet.
async fn kubelet_of(call: &Call, pod: &Value) -> Result<Target> {
    let name = text(pod, "/spec/nodeName");
    if name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "pod {} does not have a host assigned",
            meta::name(pod)
        )));
    }
    let node = call.api.registry.get("", "nodes", "", name).await?;
    call.api.nodes.kubelet(&node)
}

async fn pod(call: &Call) -> Result<std::sync::Arc<Value>> {
    Ok(call.store()?.get(call.namespace(), &call.ctx.info.name).await?.value())
}

/// The container a request means (upstream `podutils`/`validateContainer`).
fn container(pod: &Value, wanted: Option<&str>, use_default: bool) -> Result<String> {
    let name = meta::name(pod);
    let names = |list: &str| -> Vec<String> { items(pod, list).iter().map(|c| text(c, "/name").to_owned()).collect() };
    let main = names("/spec/containers");
    let init = names("/spec/initContainers");
    let ephemeral = names("/spec/ephemeralContainers");
    match wanted.filter(|w| !w.is_empty()) {
        Some(w) if main.iter().chain(&init).chain(&ephemeral).any(|c| c == w) => Ok(w.to_owned()),
        Some(w) => Err(ApiError::bad_request(format!(
            "container {w} is not valid for pod {name}"
        ))),
        None if main.len() == 1 => Ok(main[0].clone()),
        None if use_default
            && let Some(c) = meta::annotation(pod, "kubectl.kubernetes.io/default-container")
                .filter(|c| main.iter().any(|m| m == c)) =>
        {
            Ok(c.to_owned())
        }
        None => {
            let mut why = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                main.join(" ")
            );
            if !init.is_empty() {
                why.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            if !ephemeral.is_empty() {
                why.push_str(&format!(
                    " or one of the ephemeral containers: [{}]",
                    ephemeral.join(" ")
                ));
            }
            Err(ApiError::bad_request(why))
        }
    }
}

async fn log_target(call: &Call) -> Result<Option<Target>> {
    let pod = pod(call).await?;
    let container = container(&pod, call.query.get("container"), false)?;
    if text(&pod, "/spec/nodeName").is_empty() {
        return Ok(None);
    }
    let mut target = kubelet_of(call, &pod).await?;
    let keep = [
        "follow",
        "previous",
        "timestamps",
        "sinceSeconds",
        "sinceTime",
        "tailLines",
        "limitBytes",
        "stream",
    ];
    let query: Vec<(String, String)> = keep
        .iter()
        .filter_map(|k| {
            call.query
                .get(k)
                .filter(|v| !v.is_empty())
                .map(|v| ((*k).to_owned(), v.to_owned()))
        })
        .filter(|(_, v)| v != "false")
        .collect();
    target.path = format!(
        "/containerLogs/{}/{}/{container}",
        meta::namespace(&pod),
        meta::name(&pod)
    );
    target.query = proxy::encode_query(&query);
    Ok(Some(target))
}

async fn command_target(call: &Call, action: &str) -> Result<Target> {
    let pod = pod(call).await?;
    let container = container(&pod, call.query.get("container"), true)?;
    let mut target = kubelet_of(call, &pod).await?;
    let mut query: Vec<(String, String)> = vec![];
    for (ours, theirs) in [
        ("stdin", "input"),
        ("stdout", "output"),
        ("stderr", "error"),
        ("tty", "tty"),
    ] {
        if call.query.flag(ours) {
            query.push((theirs.to_owned(), "1".to_owned()));
        }
    }
    if query.iter().all(|(k, _)| k == "tty") {
        return Err(ApiError::bad_request(
            "you must specify at least one of stdin, stdout, stderr",
        ));
    }
    if action == "exec" {
        query.extend(call.query.all("command").map(|c| ("command".to_owned(), c.to_owned())));
    }
    target.path = format!("/{action}/{}/{}/{container}", meta::namespace(&pod), meta::name(&pod));
    target.query = proxy::encode_query(&query);
    Ok(target)
}

async fn forward_target(call: &Call) -> Result<Target> {
    let pod = pod(call).await?;
    let mut target = kubelet_of(call, &pod).await?;
    let ports: Vec<(String, String)> = call
        .query
        .all("ports")
        .map(|p| ("port".to_owned(), p.to_owned()))
        .collect();
    target.path = format!("/portForward/{}/{}", meta::namespace(&pod), meta::name(&pod));
    target.query = proxy::encode_query(&ports);
    Ok(target)
}

/// The path behind `/proxy`.
fn rest_of_path(call: &Call) -> String {
    let tail = call.ctx.info.path.split_once("/proxy").map_or("", |(_, t)| t);
    if tail.is_empty() {
        "/".to_owned()
    } else {
        tail.to_owned()
    }
}

async fn node_target(call: &Call) -> Result<Target> {
    let (_, name, port) = split_name(&call.ctx.info.name)?;
    let node = call.api.registry.get("", "nodes", "", &name).await?;
    let mut target = call.api.nodes.kubelet(&node)?;
    if !port.is_empty() {
        target.port = port
            .parse()
            .map_err(|_| ApiError::bad_request(format!("invalid node request {name:?}")))?;
    }
    target.path = rest_of_path(call);
    target.query = call.head.uri.query().unwrap_or("").to_owned();
    Ok(target)
}

async fn pod_target(call: &Call) -> Result<Target> {
    let (scheme, name, port) = split_name(&call.ctx.info.name)?;
    let pod = call.store()?.get(call.namespace(), &name).await?;
    let ip = text(&pod.value(), "/status/podIP").to_owned();
    if ip.is_empty() {
        return Err(ApiError::bad_request("address not allowed"));
    }
    let port = if port.is_empty() {
        items(&pod.value(), "/spec/containers")
            .iter()
            .find_map(|c| c.pointer("/ports/0/containerPort").and_then(Value::as_u64))
            .map_or(0, |p| p as u16)
    } else {
        port.parse()
            .map_err(|_| ApiError::bad_request(format!("invalid pod request {name:?}")))?
    };
    let port = match (port, scheme.as_str()) {
        (0, "https") => 443,
        (0, _) => 80,
        (p, _) => p,
    };
    Ok(Target::plain(
        scheme == "https",
        ip,
        port,
        rest_of_path(call),
        call.head.uri.query().unwrap_or(""),
    ))
}

async fn service_target(call: &Call) -> Result<Target> {
    let (scheme, name, port) = split_name(&call.ctx.info.name)?;
    let service = call.store()?.get(call.namespace(), &name).await?;
    let unavailable = || ApiError::service_unavailable(format!("no endpoints available for service {name:?}"));
    let value = service.value();
    let ports = items(&value, "/spec/ports");
    let wanted = if port.is_empty() && ports.len() == 1 {
        ports.first()
    } else {
        ports
            .iter()
            .find(|p| text(p, "/name") == port || p["port"].as_u64().is_some_and(|n| port.parse() == Ok(n)))
    };
    let wanted = wanted
        .ok_or_else(|| ApiError::service_unavailable(format!("no service port {port:?} found for service {name:?}")))?;
    let wanted_name = text(wanted, "/name");
    let slices = call
        .api
        .registry
        .list("discovery.k8s.io", "endpointslices", call.namespace())
        .await?;
    let mut choices: Vec<(String, u16)> = vec![];
    for slice in slices
        .iter()
        .filter(|s| meta::label(s, "kubernetes.io/service-name") == Some(name.as_str()))
    {
        let number = items(slice, "/ports")
            .iter()
            .find(|p| text(p, "/name") == wanted_name)
            .and_then(|p| p["port"].as_u64());
        let Some(number) = number else { continue };
        for endpoint in items(slice, "/endpoints")
            .iter()
            .filter(|e| e.pointer("/conditions/ready").and_then(Value::as_bool) != Some(false))
        {
            choices.extend(
                items(endpoint, "/addresses")
                    .first()
                    .and_then(Value::as_str)
                    .map(|a| (a.to_owned(), number as u16)),
            );
        }
    }
    if choices.is_empty() {
        return Err(unavailable());
    }
    let (ip, number) = choices.swap_remove(rand::random_range(0..choices.len()));
    Ok(Target::plain(
        scheme == "https",
        ip,
        number,
        rest_of_path(call),
        call.head.uri.query().unwrap_or(""),
    ))
}

/// `[scheme:]name[:port]` (upstream `utilnet.SplitSchemeNamePort`).
fn split_name(id: &str) -> Result<(String, String, String)> {
    let parts: Vec<&str> = id.split(':').collect();
    let (scheme, name, port) = match parts[..] {
        [name] => ("", name, ""),
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => return Err(ApiError::bad_request(format!("invalid service request {id:?}"))),
    };
    if name.is_empty() || !matches!(scheme, "" | "http" | "https") {
        return Err(ApiError::bad_request(format!("invalid service request {id:?}")));
    }
    Ok((scheme.to_owned(), name.to_owned(), port.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_must_be_named_unless_it_is_the_only_one() {
        let one = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}});
        assert_eq!(container(&one, None, false).expect("only one"), "a");
        let two = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let e = container(&two, None, false).expect_err("ambiguous");
        assert_eq!(
            e.message,
            "a container name must be specified for pod p, choose one of: [a b]"
        );
        let e = container(&two, Some("x"), false).expect_err("unknown");
        assert_eq!(e.message, "container x is not valid for pod p");
    }

    #[test]
    fn proxy_names_carry_scheme_and_port() {
        let t = |s: &str| split_name(s).expect("valid");
        assert_eq!(t("web"), ("".into(), "web".into(), "".into()));
        assert_eq!(t("web:80"), ("".into(), "web".into(), "80".into()));
        assert_eq!(t("https:web:443"), ("https".into(), "web".into(), "443".into()));
    }
}
