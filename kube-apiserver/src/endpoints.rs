//! HTTP endpoints: one file per verb, and the documents that describe the API.
//!
//! [`Api::dispatch`] finds the row of the resource table a request names and calls the verb's
//! handler; subresources that are not plain objects live in `subresources/`.

pub(crate) mod admit;
pub(crate) mod body;
pub(crate) mod codec;
mod component_statuses;
mod create;
mod delete;
mod deletecollection;
pub(crate) mod discovery;
mod get;
mod list;
pub(crate) mod negotiate;
pub(crate) mod openapi;
mod owner_references;
mod patch;
pub(crate) mod respond;
mod subresources;
pub(crate) mod table;
mod update;
mod watch;
mod write_options;

use std::sync::Arc;
use std::time::Duration;

use apimachinery::gvk::GroupVersionKind;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Request, Response};
use parking_lot::Mutex;

use crate::admission::Chain;
use crate::authn::Authenticator;
use crate::authn::token_request::TokenRequests;
use crate::authz::Union;
use crate::authz::rbac::Rbac;
use crate::draining::Draining;
use crate::proxy::Nodes;
use crate::registry::field_manager::{self, Writer};
use crate::registry::strategy::Strategy;
use crate::registry::{Registry, Store, convert};
use crate::request::{Query, RequestContext};
use crate::resources::{self, Resource, Subresource};
use crate::services::Allocators;

/// Subresources that pass the request on (upstream's `Connecter`s).
const CONNECTS: [&str; 4] = ["attach", "exec", "portforward", "proxy"];

/// Everything the handlers need.
pub(crate) struct Api {
    /// The objects.
    pub(crate) registry: Arc<Registry>,
    /// Who is asking; also answers TokenReviews.
    pub(crate) authenticator: Arc<Authenticator>,
    /// Who may; also answers access reviews.
    pub(crate) authorizer: Union,
    /// The RBAC index, when the mode is on.
    pub(crate) rbac: Option<Arc<Rbac>>,
    /// Admission plugins.
    pub(crate) admission: Chain,
    /// `serviceaccounts/token`.
    pub(crate) tokens: TokenRequests,
    /// The way to the kubelets.
    pub(crate) nodes: Arc<Nodes>,
    /// Cluster IPs and node ports.
    pub(crate) allocators: Option<Arc<Allocators>>,
    /// Tells watches when to end.
    pub(crate) draining: Arc<Draining>,
    /// `--min-request-timeout`: watches live at least this long.
    pub(crate) min_request_timeout: Duration,
}

/// One request on one resource, on its way through a handler.
pub(crate) struct Call {
    /// Server-wide parts.
    pub(crate) api: Arc<Api>,
    /// User, parsed path, dry run, warnings.
    pub(crate) ctx: RequestContext,
    /// The served row.
    pub(crate) row: &'static Resource,
    /// The subresource, when one is named.
    pub(crate) sub: Option<&'static Subresource>,
    /// Decoded query.
    pub(crate) query: Query,
    /// Headers and extensions.
    pub(crate) head: http::request::Parts,
    /// The body until someone takes it.
    body: Mutex<Body>,
}

impl Call {
    /// The store behind the row.
    fn store(&self) -> Result<&Arc<Store>> {
        self.api
            .registry
            .store_for(self.row)
            .ok_or_else(ApiError::path_not_found)
    }

    /// Namespace of the request for the store: empty for cluster-scoped kinds, also for the
    /// namespaces resource itself, whose name is in the path's namespace position.
    fn namespace(&self) -> &str {
        if self.row.namespaced {
            &self.ctx.info.namespace
        } else {
            ""
        }
    }

    /// The rules for this path: the kind's, or its status's.
    fn strategy<'a>(&self, store: &'a Store) -> &'a dyn Strategy {
        match self.sub.map(|s| s.name) {
            Some("status") => store.strategy.status().unwrap_or(store.strategy),
            _ => store.strategy,
        }
    }

    /// Group, version and kind a body of this path must have.
    fn expected(&self) -> (&'static str, &'static str, &'static str) {
        match self.sub {
            Some(s) => (
                s.group.unwrap_or(self.row.group),
                s.version.unwrap_or(self.row.version),
                s.kind,
            ),
            None => (self.row.group, self.row.version, self.row.kind),
        }
    }

    /// Who writes here, for the owners of fields.
    fn writer(&self) -> Writer {
        let (group, version, kind) = self.expected();
        let manager = self.query.get("fieldManager").unwrap_or_default();
        let kind = GroupVersionKind::new(group, version, kind);
        Writer::of_request(self.row, self.sub, kind, manager, &self.head.headers)
    }

    fn output(&self) -> Result<negotiate::Output> {
        negotiate::output(&self.head.headers, &self.query, true)
    }

    /// The whole body.
    async fn body(&self) -> Result<bytes::Bytes> {
        let body = std::mem::take(&mut *self.body.lock());
        body::read(body).await
    }

    /// The request as it came, for proxies.
    fn into_request(self) -> Request<Body> {
        Request::from_parts(self.head, self.body.into_inner())
    }
}

impl Api {
    /// Serves a resource request that authentication and authorization let through.
    pub(crate) async fn dispatch(
        self: Arc<Self>,
        mut ctx: RequestContext,
        request: Request<Body>,
    ) -> Result<Response<Body>> {
        let info = &ctx.info;
        let (Some(row), sub) = find(info) else {
            return nothing_at(&info.path);
        };
        // It is told from what follows by the prefix as it is sent.
        if info.path.starts_with("//") {
            return Ok(respond::page_not_found());
        }
        if !info.subresource.is_empty() && sub.is_none() {
            return Err(ApiError::path_not_found());
        }
        if sub.is_some() && info.name.is_empty() {
            return Err(ApiError::bad_request("name must be provided"));
        }
        // A namespaced kind has no single objects outside a namespace; a cluster-scoped one none inside.
        let in_namespace = !info.namespace.is_empty() && row.plural != "namespaces";
        if in_namespace && !row.namespaced || row.namespaced && info.namespace.is_empty() && named(info) {
            return Err(ApiError::path_not_found());
        }
        let verb = info.verb.clone();
        let served = match sub {
            Some(s) => s.verbs.contains(&verb.as_str()) || s.name == "proxy",
            None => row.has_verb(&verb),
        };
        if !served || !shaped(row, sub, info) {
            return Err(method_not_allowed());
        }
        if let Some(warning) = resources::deprecation(&info.api_group, &info.api_version, &info.resource) {
            ctx.warn(warning);
        }
        let query = Query::parse(request.uri().query().unwrap_or(""));
        // A query behind these belongs to whoever is connected to; deletions read their options from
        // the body first.
        let deletes = matches!(verb.as_str(), "delete" | "deletecollection");
        if !deletes && !sub.is_some_and(|s| CONNECTS.contains(&s.name)) {
            ctx.dry_run = write_options::dry_run(&verb, &query, request.headers())?;
        }
        let (head, body) = request.into_parts();
        let call = Call {
            api: self,
            ctx,
            row,
            sub,
            query,
            head,
            body: Mutex::new(body),
        };
        // Each boxed: a request needs the room of its own verb, not that of the largest.
        if call.sub.is_some_and(|s| s.name != "status") {
            return Box::pin(subresources::serve(call)).await;
        }
        match verb.as_str() {
            "get" => Box::pin(get::serve(call)).await,
            "list" => Box::pin(list::serve(call)).await,
            "watch" => Box::pin(watch::serve(call)).await,
            // These take addresses and give them back around what they write.
            _ if call.api.allocators.as_ref().is_some_and(|a| a.concerns(row)) => to_its_end(write(verb, call)).await,
            _ => write(verb, call).await,
        }
    }
}

async fn write(verb: String, call: Call) -> Result<Response<Body>> {
    match verb.as_str() {
        "create" => Box::pin(create::serve(call)).await,
        "update" => Box::pin(update::serve(call)).await,
        "patch" => Box::pin(patch::serve(call)).await,
        "delete" => Box::pin(delete::serve(call)).await,
        "deletecollection" => Box::pin(deletecollection::serve(call)).await,
        _ => Err(method_not_allowed()),
    }
}

/// Work that goes on when nobody waits for it any more: the client hung up, or its time is over (upstream
/// `finisher.FinishRequest`).
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime goes down.
            Err(error) => Err(ApiError::internal(error)),
        },
    }
}

/// 404 of a path that nobody serves: a Status below the roots of our groups, a page elsewhere (upstream: `director` of
/// `apiserver/pkg/server/handler.go`; whom go-restful does not get, `http.NotFound` does).
pub(crate) fn nothing_at(path: &str) -> Result<Response<Body>> {
    let below = |root: &str| {
        let rest = path.strip_prefix(root)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    };
    let group = below("/apis").and_then(|rest| rest.strip_prefix('/')?.split('/').next());
    let group = group.filter(|g| !g.is_empty());
    if below("/api").is_some() || group.is_some_and(resources::group_served) {
        return Err(ApiError::path_not_found());
    }
    Ok(respond::page_not_found())
}

fn find(info: &crate::request::RequestInfo) -> (Option<&'static Resource>, Option<&'static Subresource>) {
    let row = resources::find_served(&info.api_group, &info.api_version, &info.resource);
    let sub = row
        .filter(|_| !info.subresource.is_empty())
        .and_then(|r| r.subresource(&info.subresource));
    (row, sub)
}

/// 405 of a path that exists under another method, as go-restful's.
pub(crate) fn method_not_allowed() -> ApiError {
    ApiError::generic(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}

/// Whether the path itself names an object (a field selector does not count).
fn named(info: &crate::request::RequestInfo) -> bool {
    info.parts.len() > 1
}

/// Whether a path of this shape has the verb: creation names no object, and only reading goes over
/// all namespaces.
fn shaped(row: &Resource, sub: Option<&Subresource>, info: &crate::request::RequestInfo) -> bool {
    let all_namespaces = row.namespaced && info.namespace.is_empty();
    match info.verb.as_str() {
        "create" => !all_namespaces && (sub.is_some() || !named(info)),
        "update" | "patch" => named(info),
        "deletecollection" => !all_namespaces,
        _ => true,
    }
}

/// A client's object as the store wants it: hub version, defaults filled in.
fn settle(store: &Store, row: &Resource, obj: serde_json::Value) -> serde_json::Value {
    let mut obj = convert::to_hub(row, obj);
    let owners = field_manager::take_owners(&mut obj);
    store.strategy.default(&mut obj);
    field_manager::put_owners(&mut obj, owners);
    obj
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::request::RequestInfo;

    #[tokio::test]
    async fn a_write_that_nobody_waits_for_is_not_left_half_done() {
        let (open, gate) = tokio::sync::oneshot::channel::<()>();
        let (done, finished) = tokio::sync::oneshot::channel();
        let mut write = Box::pin(to_its_end(async move {
            gate.await.map_err(ApiError::internal)?;
            done.send("all of it").map_err(ApiError::internal)
        }));
        assert!(futures::poll!(&mut write).is_pending());
        // The client hangs up.
        drop(write);
        open.send(()).unwrap();
        assert_eq!(finished.await.unwrap(), "all of it");
        let panics = to_its_end::<()>(async { panic!("as if nothing were between") });
        assert!(
            futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(panics))
                .await
                .is_err()
        );
    }

    #[test]
    fn what_nobody_serves_is_a_status_below_our_roots_only() {
        for (path, status) in [
            ("/api//v1/pods", true),
            ("/api/v9/pods", true),
            ("/api/v1//pods", true),
            ("/apis/apps//v1/deployments", true),
            ("/apis/apps/v1//deployments", true),
            ("/apis/apps/v9", true),
            ("/apis//apps/v1/deployments", false),
            ("/apis/nope/v1/x", false),
            ("/apiz/v1/pods", false),
            ("/x", false),
        ] {
            match nothing_at(path) {
                Err(e) => assert!(status && e.code == 404, "{path}: {e:?}"),
                Ok(page) => assert!(!status && page.status() == 404, "{path}"),
            }
        }
    }

    #[test]
    fn paths_have_the_verbs_of_their_shape_only() {
        let cases = [
            ("POST", "/api/v1/namespaces/n/pods", true),
            ("POST", "/api/v1/namespaces/n/pods/x", false),
            ("POST", "/api/v1/namespaces/n/pods/x/binding", true),
            ("POST", "/api/v1/pods", false),
            ("POST", "/api/v1/namespaces", true),
            ("POST", "/api/v1/namespaces/n", false),
            ("PUT", "/api/v1/namespaces/n/pods", false),
            ("PUT", "/api/v1/namespaces/n", true),
            ("PUT", "/api/v1/namespaces/n/finalize", true),
            ("PATCH", "/api/v1/nodes", false),
            ("PATCH", "/api/v1/nodes/x/status", true),
            ("DELETE", "/api/v1/pods", false),
            ("DELETE", "/api/v1/namespaces/n/pods", true),
            ("GET", "/api/v1/pods", true),
        ];
        for (method, path, there) in cases {
            let info = RequestInfo::parse(&method.parse().unwrap(), path, "");
            let (row, sub) = find(&info);
            assert_eq!(shaped(row.unwrap(), sub, &info), there, "{method} {path}");
        }
    }
}
