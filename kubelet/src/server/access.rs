//! Who may do what on the endpoint: certificates of the client CA, tokens the apiserver knows, and
//! its word on `nodes/<subresource>` (upstream: pkg/kubelet/server/auth.go).

use std::sync::Arc;
use std::time::Duration;

use component::authn::delegated::Delegated as Authenticator;
use component::authn::trust::Trust;
use component::authn::x509::ClientCa;
use component::authz::{Attributes, Delegated as Authorizer};
use component::serving::Body;
use http::{Request, Response, StatusCode};

use super::text;
use crate::shared::Shared;

/// Times for which answers are kept (upstream: defaults of `authorization.webhook`).
const ALLOWED: Duration = Duration::from_secs(300);
const DENIED: Duration = Duration::from_secs(30);
/// The same of `authentication.webhook.cacheTTL`.
const TOKENS: Duration = Duration::from_secs(120);

/// The two questions of every request.
pub(super) struct Access {
    authenticator: Authenticator,
    /// `None`: everything is allowed.
    authorizer: Option<Authorizer>,
    node: String,
}

impl Access {
    pub(super) fn new(shared: &Shared) -> anyhow::Result<Self> {
        let file = &shared.config.file;
        let ca_file = &file.authentication.x509.client_ca_file;
        let ca = match ca_file.is_empty() {
            true => None,
            false => Some(ClientCa::from_file(ca_file)?),
        };
        let webhook = &file.authentication.webhook;
        let reviewer = shared.client.clone().filter(|_| webhook.enabled);
        let ttl = if webhook.cache_ttl.0.is_zero() {
            TOKENS
        } else {
            webhook.cache_ttl.0
        };
        let anonymous = file.authentication.anonymous.enabled;
        let trust = Arc::new(Trust::new(ca, None));
        let authorizer = (file.authorization.mode == "Webhook")
            .then(|| Authorizer::new(shared.client.clone(), Vec::new(), ALLOWED, DENIED));
        Ok(Self {
            authenticator: Authenticator::new(trust, reviewer, ttl, anonymous),
            authorizer,
            node: shared.config.node_name.clone(),
        })
    }

    /// Lets a request pass when its user may use one of the subresources.
    pub(super) async fn check<B>(&self, request: &Request<B>, subresources: &[&str]) -> Result<(), Response<Body>> {
        let certs = request.extensions().get::<component::serving::PeerCerts>().cloned();
        let Ok(user) = self
            .authenticator
            .authenticate_parts(certs.as_ref(), request.headers())
            .await
        else {
            return Err(text(StatusCode::UNAUTHORIZED, "Unauthorized"));
        };
        let Some(authorizer) = &self.authorizer else {
            return Ok(());
        };
        if user.groups.iter().any(|group| group == "system:masters") {
            return Ok(());
        }
        let verb = match request.method().as_str() {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "get",
        };
        let mut failure = None;
        for subresource in subresources {
            let attributes = Attributes::Resource {
                verb: verb.to_owned(),
                group: String::new(),
                version: "v1".to_owned(),
                resource: "nodes".to_owned(),
                subresource: (*subresource).to_owned(),
                namespace: String::new(),
                name: self.node.clone(),
            };
            match authorizer.authorize(&user, &attributes).await {
                Ok(decision) if decision.allowed => return Ok(()),
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            let message = format!(
                "Authorization error (user={}, verb={verb}, resource=nodes, subresource(s)={subresources:?})",
                user.name
            );
            tracing::warn!(%error, user = %user.name, "cannot authorize");
            return Err(text(StatusCode::INTERNAL_SERVER_ERROR, &message));
        }
        let list = subresources.join(" ");
        let message = format!(
            "Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{list}])",
            user.name
        );
        Err(text(StatusCode::FORBIDDEN, &message))
    }
}
