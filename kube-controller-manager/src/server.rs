//! Port 10257: health, without credentials.

use component::{
    health::Checks,
    serving::{self, Body, Server, Tls},
};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Binds and serves until `shutdown`; the handle ends when the last connection has drained.
pub(crate) async fn start(config: &Config, shutdown: CancellationToken) -> anyhow::Result<JoinHandle<()>> {
    let Some(address) = config.address else {
        return Ok(tokio::spawn(async {}));
    };
    let tls = match &config.serving_files {
        Some((cert, key)) => Tls::from_files(cert, key)?,
        None => Tls::self_signed(&[address.ip().to_string(), "localhost".to_owned()])?,
    };
    let server = Server::bind(address).await?.tls(tls);
    let health = Checks::new("healthz").ping();
    let handler = serving::handler(move |request| {
        let health = health.clone();
        async move { answer(&request, &health).await }
    });
    Ok(tokio::spawn(async move { server.serve(handler, shutdown).await }))
}

async fn answer(request: &Request<Incoming>, health: &Checks) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path().strip_prefix("/healthz") {
        Some("") => health.respond("", query).await,
        Some(sub) if sub.starts_with('/') => health.respond(&sub[1..], query).await,
        _ => not_found(),
    }
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(serving::full("404 page not found\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
