//! The order of the filters every request passes. Upstream: `apiserver/pkg/server/config.go`
//! `DefaultBuildHandlerChain`.
//!
//! request info -> panic recovery -> audit id -> draining -> metrics -> CORS -> deadline -> authentication ->
//! impersonation -> max in flight -> authorization -> dispatch.

mod cors;
mod headers;
mod impersonation;
mod inflight;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use component::serving::{GoAway, PeerCerts};
use futures::FutureExt as _;
use http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use regex::bytes::Regex;

use crate::authz::Union;
use crate::documents::Documents;
use crate::draining::{self, Draining};
use crate::endpoints::{Api, respond};
use crate::metrics::{Labels, Running, identity};
use crate::request::{Query, RequestContext, RequestInfo};

pub(crate) use inflight::Inflight;

/// Paths answered for anyone, as probes need them.
const ALWAYS_ALLOWED: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// Everything the chain needs.
pub(crate) struct Chain {
    /// Resource requests.
    pub(crate) api: Arc<Api>,
    /// Everything else.
    pub(crate) documents: Documents,
    /// Concurrency limits.
    pub(crate) inflight: Inflight,
    /// Whether requests are still taken.
    pub(crate) draining: Arc<Draining>,
    /// `--request-timeout`.
    pub(crate) request_timeout: Duration,
    /// `Strict-Transport-Security` of every answer (upstream `filters/hsts.go`).
    pub(crate) transport_security: Option<HeaderValue>,
    /// `--cors-allowed-origins`.
    pub(crate) origins: Vec<Regex>,
    /// `--goaway-chance` (upstream `filters/goaway.go`).
    pub(crate) goaway_chance: f64,
}

impl Chain {
    /// Serves one request. Never fails: every error is an answer.
    pub(crate) async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Body>, Infallible> {
        // Request info: what is asked, read by all that follows.
        let path = request.uri().path().to_owned();
        let info = RequestInfo::parse(request.method(), &path, request.uri().query().unwrap_or(""));
        let request = request.map(Body::new);
        let accept = headers::for_errors(request.headers());
        let origin = cors::allowed(&self.origins, request.headers());
        // One of many connections goes away and comes back, perhaps to another server.
        let go_away =
            request.version() == Version::HTTP_2 && self.goaway_chance > 0.0 && rand::random_bool(self.goaway_chance);
        let audit_id = headers::audit_id(request.headers());
        let long = long_running(&info);
        // A server that stops: the client is sent elsewhere before anything is done for it.
        let under_way = match self.draining.enter(&request, &info, long) {
            Ok(under_way) => under_way,
            Err(mut refusal) => {
                headers::finish(refusal.headers_mut(), &audit_id);
                return Ok(*refusal);
            }
        };
        let query = Query::parse(request.uri().query().unwrap_or(""));
        let labels = Labels::new(
            request.method(),
            &info,
            request.uri().query().unwrap_or(""),
            request.headers(),
        );
        let running = Running::begin(labels, long);

        // Panic recovery: one request must not take the process down.
        let ctx = RequestContext {
            info,
            ..Default::default()
        };
        let warnings = ctx.warnings.clone();
        let preflight = origin.as_ref().and_then(|_| cors::preflight(&request));
        let answered = match preflight {
            Some(response) => Ok(Ok(response)),
            None => {
                AssertUnwindSafe(self.filtered(ctx, request, long, &running))
                    .catch_unwind()
                    .await
            }
        };
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(e)) => respond::error(&accept, &query, &e),
            Err(_) => {
                tracing::error!(path, "a request made the server panic");
                let e = ApiError::internal("This request caused apiserver to panic. Look in the logs for details.");
                respond::error(&accept, &query, &e)
            }
        };
        headers::warnings(response.headers_mut(), &warnings.lock());
        headers::finish(response.headers_mut(), &audit_id);
        if let Some(value) = &self.transport_security {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
        if let Some(origin) = origin {
            cors::mark(response.headers_mut(), origin);
        }
        if go_away {
            response.extensions_mut().insert(GoAway);
        }
        Ok(draining::until_the_end(under_way, running.answered(response)))
    }

    async fn filtered(
        &self,
        ctx: RequestContext,
        request: Request<Body>,
        long: bool,
        running: &Running,
    ) -> Result<Response<Body>> {
        // Deadline: bounds all that follows, so that nobody waits longer than they said.
        if long {
            return self.identified(ctx, request, true, running).await;
        }
        let deadline = self.deadline(&request)?;
        let answer = self.identified(ctx, request, false, running);
        tokio::time::timeout(deadline, answer).await.map_err(|_| {
            running.terminated(StatusCode::GATEWAY_TIMEOUT);
            ApiError::timeout(
                "request did not complete within requested timeout - context deadline exceeded",
                0,
            )
        })?
    }

    async fn identified(
        &self,
        mut ctx: RequestContext,
        mut request: Request<Body>,
        long: bool,
        running: &Running,
    ) -> Result<Response<Body>> {
        // Authentication: who asks. Credentials are gone from the headers afterwards.
        let certs = request.extensions().get::<PeerCerts>().map(|c| c.0.clone());
        let begun = Instant::now();
        let (certs, mut warnings) = (certs.as_deref().unwrap_or(&[]), vec![]);
        let user = self
            .api
            .authenticator
            .authenticate(&ctx.info.path, request.headers_mut(), certs, &mut warnings)
            .await;
        warnings.into_iter().for_each(|w| ctx.warn(w));
        identity::authenticated(user.as_ref().ok().map(|u| u.name.as_str()), begun.elapsed());
        ctx.user = user?;
        // Impersonation: asks as someone else, if authorization lets it.
        impersonation::apply(&self.api.authorizer, &mut ctx, request.headers_mut()).await?;
        // Max in flight: long-running requests, masters and probes are not counted. Before authorization, whose work
        // is part of the load.
        let free = long || is_probe(&ctx.info);
        let Ok(_slot) = self.inflight.enter(&ctx, free).await else {
            running.terminated(StatusCode::TOO_MANY_REQUESTS);
            return Ok(inflight::refusal());
        };
        self.authorize(&self.api.authorizer, &ctx).await?;
        self.dispatch(ctx, request).await
    }

    async fn authorize(&self, authorizer: &Union, ctx: &RequestContext) -> Result<()> {
        if is_probe(&ctx.info) {
            return Ok(());
        }
        let begun = Instant::now();
        let outcome = authorizer.check(&ctx.user, &ctx.info).await;
        identity::authorized(outcome.is_ok(), begun.elapsed());
        outcome
    }

    /// `?timeout=` up to `--request-timeout` (upstream `filters.WithRequestDeadline`).
    fn deadline(&self, request: &Request<Body>) -> Result<Duration> {
        let query = Query::parse(request.uri().query().unwrap_or(""));
        let Some(text) = query.get("timeout").filter(|t| !t.is_empty()) else {
            return Ok(self.request_timeout);
        };
        let wanted = component::flags::parse_duration(text).map_err(|error| {
            ApiError::bad_request(format!("invalid timeout specified in the request URL - {error}"))
        })?;
        Ok(if wanted.is_zero() {
            self.request_timeout
        } else {
            wanted.min(self.request_timeout)
        })
    }

    async fn dispatch(&self, ctx: RequestContext, request: Request<Body>) -> Result<Response<Body>> {
        if ctx.info.is_resource {
            return self.api.clone().dispatch(ctx, request).await;
        }
        Box::pin(self.documents.serve(&ctx, request)).await
    }
}

/// A question about health, which anyone may ask at any time (upstream: the FlowSchema `probes` is exempt).
fn is_probe(info: &RequestInfo) -> bool {
    !info.is_resource && ALWAYS_ALLOWED.contains(&info.path.as_str())
}

/// Requests that live as long as the client wants (upstream `BasicLongRunningRequestCheck`).
fn long_running(info: &RequestInfo) -> bool {
    info.is_resource
        && (matches!(info.verb.as_str(), "watch" | "proxy")
            || matches!(
                info.subresource.as_str(),
                "attach" | "exec" | "proxy" | "log" | "portforward"
            ))
        || !info.is_resource && info.path.starts_with("/debug/pprof/")
}
