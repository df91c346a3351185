//! Authentication and authorization of a component's own endpoints (`/metrics`, `/configz`, ...), with
//! the 401 and 403 answers of an API server (upstream `apiserver/pkg/endpoints/filters`).
//!
//! ```
//! # use component::{guard::Guard, serving::Body};
//! # async fn handler(guard: Guard, request: http::Request<()>) -> http::Response<Body> {
//! let user = match guard.check(&request).await {
//!     Ok(user) => user,
//!     Err(response) => return response,
//! };
//! # http::Response::new(component::serving::full(user.name))
//! # }
//! ```

use apimachinery::status::ApiError;
use http::{HeaderValue, Request, Response, StatusCode, header};

use crate::authn::{User, delegated};
use crate::authz::{self, Attributes};
use crate::serving::{Body, full};

/// The two questions, in order.
pub struct Guard {
    authn: delegated::Delegated,
    authz: authz::Delegated,
}

impl Guard {
    /// Guards with these.
    #[must_use]
    pub fn new(authn: delegated::Delegated, authz: authz::Delegated) -> Self {
        Self { authn, authz }
    }

    /// The authenticator, for callers with attributes of their own.
    #[must_use]
    pub fn authn(&self) -> &delegated::Delegated {
        &self.authn
    }

    /// The authorizer, for callers with attributes of their own.
    #[must_use]
    pub fn authz(&self) -> &authz::Delegated {
        &self.authz
    }

    /// May this request have its path? Always-allowed paths ask for nothing.
    ///
    /// # Errors
    /// The answer to send instead.
    pub async fn check<B>(&self, request: &Request<B>) -> Result<User, Response<Body>> {
        let path = request.uri().path();
        let certs = request.extensions().get::<crate::serving::PeerCerts>().cloned();
        if self.authz.always_allows(path) {
            return Ok(User::anonymous());
        }
        let verb = request.method().as_str().to_lowercase();
        let user = self
            .authn
            .authenticate_parts(certs.as_ref(), request.headers())
            .await
            .map_err(|_| answer(&ApiError::unauthorized("Unauthorized")))?;
        let attributes = Attributes::Path {
            verb: verb.clone(),
            path: path.to_owned(),
        };
        match self.authz.authorize(&user, &attributes).await {
            Ok(decision) if decision.allowed => Ok(user),
            Ok(decision) => {
                let mut message = format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name);
                if !decision.reason.is_empty() {
                    message.push_str(": ");
                    message.push_str(&decision.reason);
                }
                Err(answer(&ApiError::generic(403, "Forbidden", message)))
            }
            Err(error) => {
                tracing::warn!(error, "authorization question failed");
                Err(answer(&ApiError::internal(error)))
            }
        }
    }
}

fn answer(error: &ApiError) -> Response<Body> {
    let mut response = Response::new(full(error.to_json()));
    *response.status_mut() = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}
