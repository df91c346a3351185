//! Passes a request on with its method and body, streaming both ways; an upgrade becomes a tunnel.
//!
//! Upstream: `apimachinery/pkg/util/proxy/upgradeaware.go` `UpgradeAwareHandler`.

use std::net::IpAddr;

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use component::serving::PeerAddr;
use http::header::{HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use super::rewrite::Rewrite;
use super::{Nodes, Target, Tunnel, headers, send, unexplained};

/// What a request and its answer go through.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// exec, attach, port-forward: nothing but an upgrade makes sense.
    Stream,
    /// A proxy for browsers: answers are made to lead back through it.
    Browse(Rewrite),
}

/// Forwards `request` to `target`.
pub(crate) async fn forward(
    nodes: &Nodes,
    target: Target,
    mut request: Request<Body>,
    manner: Manner,
) -> Result<Response<Body>> {
    let upgrade = headers::wants_upgrade(request.headers());
    let peer: Option<IpAddr> = request.extensions().get::<PeerAddr>().map(|p| p.0.ip());
    match &manner {
        Manner::Stream if !upgrade => return Err(ApiError::bad_request("Upgrade request required")),
        Manner::Browse(_) if !upgrade && target.path.is_empty() => {
            if matches!(*request.method(), Method::GET | Method::HEAD) {
                return with_slash(&request);
            }
        }
        _ => {}
    }
    let client = upgrade.then(|| hyper::upgrade::on(&mut request));

    let (parts, body) = request.into_parts();
    let mut onward = Request::new(body);
    *onward.method_mut() = parts.method;
    *onward.headers_mut() = headers::onward(&parts.headers, peer, upgrade);
    let mut to = target.clone();
    if to.path.is_empty() {
        to.path.push('/');
    }
    *onward.uri_mut() = to.uri()?;
    // HTTP/2 has the name in the URI.
    if !onward.headers().contains_key(http::header::HOST) {
        match parts
            .uri
            .authority()
            .and_then(|a| HeaderValue::from_str(a.as_str()).ok())
        {
            Some(host) => drop(onward.headers_mut().insert(http::header::HOST, host)),
            None => super::set_host(onward.headers_mut(), &target),
        }
    }
    if let Manner::Browse(rewrite) = &manner
        && let Ok(uri) = HeaderValue::from_str(&rewrite.forwarded_uri(&target.path))
        && !upgrade
    {
        onward.headers_mut().insert("x-forwarded-uri", uri);
    }

    let mut response = send(nodes, &to, onward).await.map_err(|why| {
        if upgrade {
            unexplained(format!("error dialing backend: {why}"))
        } else {
            ApiError::service_unavailable(format!("error trying to reach service: {why}"))
        }
    })?;
    let status = response.status();
    let Some(client) = client else {
        let mut response = response.map(Body::new);
        headers::clean_answer(response.headers_mut());
        return Ok(match manner {
            Manner::Browse(rewrite) => rewrite.answer(response),
            Manner::Stream => response,
        });
    };
    if status != StatusCode::SWITCHING_PROTOCOLS {
        if status.as_u16() < 400 {
            return Err(unexplained(format!(
                "invalid upgrade response: status code {}",
                status.as_u16()
            )));
        }
        let mut response = response.map(Body::new);
        headers::clean_answer(response.headers_mut());
        return Ok(response);
    }
    let backend = hyper::upgrade::on(&mut response);
    let (tunnel, open) = Tunnel::open();
    tokio::spawn(async move {
        let _open = open;
        match tokio::try_join!(client, backend) {
            Ok((client, backend)) => join(TokioIo::new(client), TokioIo::new(backend)).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    let mut out = Response::new(Body::empty());
    *out.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *out.headers_mut() = response.headers().clone();
    out.extensions_mut().insert(tunnel);
    Ok(out)
}

/// Copies both ways. When one side has ended for good the other is closed too: nobody is left to
/// listen, and a command in a container must learn that its client is gone.
async fn join<A, B>(client: A, backend: B)
where
    A: tokio::io::AsyncRead + tokio::io::AsyncWrite,
    B: tokio::io::AsyncRead + tokio::io::AsyncWrite,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_backend, mut to_backend) = tokio::io::split(backend);
    // Either side may hang up at any time: how a session ends is not our error.
    let result = tokio::select! {
        r = tokio::io::copy(&mut from_client, &mut to_backend) => r,
        r = tokio::io::copy(&mut from_backend, &mut to_client) => r,
    };
    if let Err(error) = result {
        tracing::debug!(%error, "tunnel ended");
    }
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut to_client).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut to_backend).await;
}

/// A page below `/proxy` could not name its neighbours: it belongs below `/proxy/`.
fn with_slash(request: &Request<Body>) -> Result<Response<Body>> {
    let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
    // Two slashes in front would make the first segment a host.
    let location = format!("/{}/{query}", request.uri().path().trim_start_matches('/'));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let value = HeaderValue::from_str(&location).map_err(ApiError::internal)?;
    response.headers_mut().insert(LOCATION, value);
    Ok(response)
}
