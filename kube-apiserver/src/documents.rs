//! Everything that is not a resource: health, version, metrics, the pages about the process, discovery, OpenAPI,
//! OpenID.

use std::collections::BTreeMap;

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use component::health::Checks;
use component::{debug, zpages};
use http::{Method, Request, Response, StatusCode};

use crate::authn::oidc_discovery::{self, Metadata};
use crate::endpoints::negotiate::Output;
use crate::endpoints::{body, discovery, method_not_allowed, nothing_at, openapi, respond};
use crate::request::RequestContext;

/// The documents of one server.
pub(crate) struct Documents {
    /// `/healthz`, `/livez`, `/readyz`.
    pub(crate) health: Vec<Checks>,
    /// `/.well-known/openid-configuration`, `/openid/v1/jwks`.
    pub(crate) openid: Option<Metadata>,
    /// `/flagz`, unless its gate is off.
    pub(crate) flags: Option<BTreeMap<String, String>>,
    /// Whether there is a `/statusz`.
    pub(crate) statusz: bool,
    /// `--profiling`: whether there are `/debug/pprof` and `/debug/flags`.
    pub(crate) profiling: bool,
}

/// What the process calls itself on its own pages.
const COMPONENT: &str = "apiserver";

impl Documents {
    /// Answers a non-resource path.
    pub(crate) async fn serve(&self, ctx: &RequestContext, request: Request<Body>) -> Result<Response<Body>> {
        let path = ctx.info.path.as_str();
        let query = request.uri().query().unwrap_or("");
        for checks in &self.health {
            let Some(sub) = path.strip_prefix('/').and_then(|p| p.strip_prefix(checks.path())) else {
                continue;
            };
            if sub.is_empty() || sub.starts_with('/') {
                return Ok(checks.respond(sub.trim_start_matches('/'), query).await.map(Body::new));
            }
        }
        if self.profiling && debug::concerns(path) {
            let method = request.method().clone();
            let body = body::read(request.into_body()).await?;
            return Ok(debug::respond(&method, path, &body).map(Body::new));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(method_not_allowed());
        }
        match path {
            "/version" | "/version/" => {
                let v = serde_json::to_value(component::version::Info::get()).map_err(ApiError::internal)?;
                let mut body = serde_json::to_vec_pretty(&v).map_err(ApiError::internal)?;
                body.push(b'\n');
                Ok(respond::bytes(StatusCode::OK, "application/json", body))
            }
            "/metrics" => Ok(component::metrics::response().map(Body::new)),
            "/metrics/slis" => Ok(component::metrics::slis::response().map(Body::new)),
            "/statusz" if self.statusz => {
                let started = component::metrics::process_started();
                Ok(zpages::statusz(COMPONENT, started, &self.paths(), request.headers()).map(Body::new))
            }
            "/flagz" => Ok(match &self.flags {
                Some(flags) => zpages::flagz(COMPONENT, flags, request.headers()).map(Body::new),
                None => respond::page_not_found(),
            }),
            "/" => {
                let out = Output {
                    pretty: true,
                    ..Default::default()
                };
                respond::value(StatusCode::OK, &out, &serde_json::json!({"paths": self.paths()}))
            }
            oidc_discovery::CONFIGURATION_PATH => Ok(self.openid(|m| &m.configuration, "application/json")),
            oidc_discovery::JWKS_PATH => Ok(self.openid(|m| &m.jwks, oidc_discovery::JWKS_CONTENT_TYPE)),
            p if p == "/api" || p == "/apis" || p.starts_with("/api/") || p.starts_with("/apis/") => {
                discovery::serve(path, query, request.headers()).unwrap_or_else(|| nothing_at(path))
            }
            p if p == "/openapi/v2" || p == "/openapi/v3" || p.starts_with("/openapi/v3/") => {
                Ok(openapi::serve(path, query, request.headers()).unwrap_or_else(respond::page_not_found))
            }
            _ => Ok(respond::page_not_found()),
        }
    }

    /// The index: every path, one for each health check among them.
    fn paths(&self) -> Vec<String> {
        let mut all = discovery::paths();
        for checks in &self.health {
            all.extend(checks.names().map(|name| format!("/{}/{name}", checks.path())));
        }
        all.extend(self.flags.as_ref().map(|_| "/flagz".to_owned()));
        all.extend(self.statusz.then(|| "/statusz".to_owned()));
        all.sort();
        all.dedup();
        all
    }

    fn openid(&self, part: fn(&Metadata) -> &Vec<u8>, content_type: &'static str) -> Response<Body> {
        let Some(m) = &self.openid else {
            return respond::page_not_found();
        };
        let mut r = respond::bytes(StatusCode::OK, content_type, part(m).clone());
        r.headers_mut().insert(
            http::header::CACHE_CONTROL,
            http::HeaderValue::from_static(oidc_discovery::CACHE_CONTROL),
        );
        r
    }
}
