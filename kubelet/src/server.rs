//! The kubelet's HTTPS endpoint, port 10250, and the small one for health on 10248
//! (upstream: pkg/kubelet/server/server.go).

mod access;
mod log_requests;
pub(crate) mod logs;
mod query;
mod stats;
mod streams;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use component::serving::{self, Body, Server, Tls, full};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::pleg::Pleg;
use crate::pods::PodExt;
use crate::shared::Shared;
use access::Access;

/// The endpoint's state.
pub(crate) struct Endpoint {
    shared: Arc<Shared>,
    pleg: Arc<Pleg>,
    access: Access,
}

/// Starts the servers; they end with `shutdown`.
///
/// # Errors
/// An address that cannot be bound, or certificates that cannot be read.
pub(crate) async fn start(shared: Arc<Shared>, pleg: Arc<Pleg>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let file = shared.config.file.clone();
    if file.healthz_port != 0 {
        let address = SocketAddr::new(file.healthz_bind_address.parse()?, file.healthz_port);
        let server = Server::bind(address).await?;
        let pleg = pleg.clone();
        let handler = serving::handler(move |request: Request<Incoming>| {
            let pleg = pleg.clone();
            async move {
                match request.uri().path() {
                    "/healthz" | "/healthz/ping" | "/healthz/log" | "/healthz/syncloop" => healthz(&pleg),
                    _ => not_found(),
                }
            }
        });
        tokio::spawn(server.serve(handler, shutdown.clone()));
    }
    if !file.enable_server {
        return Ok(());
    }
    let address = SocketAddr::new(file.address.parse::<IpAddr>()?, file.port);
    let mut tls = match (file.tls_cert_file.as_str(), file.tls_private_key_file.as_str()) {
        ("", _) | (_, "") => {
            let mut names = vec![shared.config.node_name.clone()];
            names.extend(shared.facts.host_ips());
            Tls::self_signed(&names)?
        }
        (cert, key) => Tls::from_files(cert, key)?,
    };
    if !file.authentication.x509.client_ca_file.is_empty() {
        tls = tls.client_ca_hints(&file.authentication.x509.client_ca_file)?;
    }
    let access = Access::new(&shared)?;
    let endpoint = Arc::new(Endpoint { shared, pleg, access });
    let server = Server::bind(address).await?.tls(tls);
    let handler = serving::handler(move |request| {
        let endpoint = endpoint.clone();
        async move { endpoint.answer(request).await }
    });
    tokio::spawn(server.serve(handler, shutdown));
    Ok(())
}

/// What a path is for, and the subresource of nodes that stands for it in authorization.
enum Route<'a> {
    Healthz,
    Pods,
    RunningPods,
    Configz,
    Metrics,
    ResourceMetrics,
    Summary,
    Logs(&'a [&'a str]),
    Exec(&'a [&'a str]),
    Attach(&'a [&'a str]),
    PortForward(&'a [&'a str]),
    Run(&'a [&'a str]),
}

impl<'a> Route<'a> {
    fn of(segments: &'a [&'a str]) -> Option<Self> {
        Some(match segments {
            ["healthz"] | ["healthz", "ping" | "log" | "syncloop"] => Self::Healthz,
            ["pods"] => Self::Pods,
            ["runningpods"] => Self::RunningPods,
            ["configz"] => Self::Configz,
            ["metrics"] | ["metrics", "cadvisor" | "probes" | "slis"] => Self::Metrics,
            ["metrics", "resource"] => Self::ResourceMetrics,
            ["stats", "summary"] => Self::Summary,
            ["containerLogs", rest @ ..] if rest.len() == 3 => Self::Logs(rest),
            ["exec", rest @ ..] if matches!(rest.len(), 3 | 4) => Self::Exec(rest),
            ["attach", rest @ ..] if matches!(rest.len(), 3 | 4) => Self::Attach(rest),
            ["portForward", rest @ ..] if matches!(rest.len(), 2 | 3) => Self::PortForward(rest),
            ["run", rest @ ..] if matches!(rest.len(), 3 | 4) => Self::Run(rest),
            _ => return None,
        })
    }

    /// Subresources of nodes; the first one allowed is enough (upstream: server/auth.go).
    fn subresources(&self) -> &'static [&'static str] {
        match self {
            Self::Healthz => &["healthz", "proxy"],
            Self::Pods | Self::RunningPods => &["pods", "proxy"],
            Self::Configz => &["configz", "proxy"],
            Self::Metrics | Self::ResourceMetrics => &["metrics"],
            Self::Summary => &["stats"],
            _ => &["proxy"],
        }
    }
}

impl Endpoint {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let decoded: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|s| query::decode(s, false))
            .collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let Some(route) = Route::of(&segments) else {
            return not_found();
        };
        if let Err(refusal) = self.access.check(&request, route.subresources()).await {
            return refusal;
        }
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        match route {
            Route::Exec(target) => streams::exec(&self.shared, request, target).await,
            Route::Attach(target) => streams::attach(&self.shared, request, target).await,
            Route::PortForward(target) => streams::port_forward(&self.shared, request, target).await,
            Route::Run(target) if *request.method() == Method::POST => {
                streams::run(&self.shared, &request, target).await
            }
            _ if !get => text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed"),
            Route::Healthz => healthz(&self.pleg),
            Route::Pods => self.pods(),
            Route::RunningPods => self.running_pods().await,
            Route::Configz => {
                let file = serde_json::to_value(&self.shared.config.file).unwrap_or_default();
                json_answer(&json!({"kubeletconfig": file}))
            }
            Route::Metrics => component::metrics::response(),
            Route::ResourceMetrics => stats::resource_metrics(&self.shared).await,
            Route::Summary => stats::summary(&self.shared).await,
            Route::Logs(target) => log_requests::serve(&self.shared, &request, target).await,
            Route::Run(_) => text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed"),
        }
    }

    /// The pods this kubelet should run, with the newest status of each.
    fn pods(&self) -> Response<Body> {
        let mut items = Vec::new();
        for pod in self.shared.pods.all() {
            let mut pod = (*pod).clone();
            if let Some(status) = self.shared.statuses.get(pod.uid()) {
                pod.status = Some(status);
            }
            items.push(serde_json::to_value(pod).unwrap_or_default());
        }
        for item in &mut items {
            if let Some(item) = item.as_object_mut() {
                item.remove("kind");
                item.remove("apiVersion");
            }
        }
        json_answer(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
    }

    /// What really runs, by the runtime's account.
    async fn running_pods(&self) -> Response<Body> {
        use crate::runtime::annotations::{CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID};
        use std::collections::BTreeMap;
        let containers = match self.shared.runtime.list_containers(None).await {
            Ok(containers) => containers,
            Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        };
        let mut pods: BTreeMap<String, serde_json::Value> = BTreeMap::new();
        for container in containers {
            let get = |key: &str| container.labels.get(key).cloned().unwrap_or_default();
            if container.state != cri_proto::v1::ContainerState::ContainerRunning as i32 {
                continue;
            }
            let pod = pods.entry(get(POD_UID)).or_insert_with(|| {
                json!({
                    "metadata": {"name": get(POD_NAME), "namespace": get(POD_NAMESPACE), "uid": get(POD_UID)},
                    "spec": {"containers": []},
                    "status": {},
                })
            });
            let image = container.image.as_ref().map(|i| i.image.clone()).unwrap_or_default();
            if let Some(list) = pod["spec"]["containers"].as_array_mut() {
                list.push(json!({"name": get(CONTAINER_NAME), "image": image, "resources": {}}));
            }
        }
        let items: Vec<_> = pods.into_values().collect();
        json_answer(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
    }
}

fn healthz(pleg: &Pleg) -> Response<Body> {
    match pleg.check() {
        Ok(()) => {
            let mut response = text(StatusCode::OK, "");
            *response.body_mut() = full("ok");
            response
        }
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("[+]ping ok\n[-]syncloop failed: {error}\nhealthz check failed"),
        ),
    }
}

fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

/// A plain text answer, ended as Go's `http.Error` does.
pub(crate) fn text(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(full(format!("{message}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

fn json_answer(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
