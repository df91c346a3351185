//! `POST serviceaccounts/<name>/token`: a TokenRequest in, a signed token out.
//!
//! Upstream: `pkg/registry/core/serviceaccount/storage/token.go`.

use std::sync::Arc;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::gvk::{GroupKind, GroupResource};
use apimachinery::status::ApiError;
use serde_json::{Value, json};

use super::issuer::{Issuer, Named, TokenSpec, issue_token};
use crate::objects::{Objects, find, items, text};
use crate::request::RequestContext;

/// Lifetime the kubelet asks for in projected volumes; such tokens are quietly extended.
const WARN_ONLY_BOUND_SECONDS: i64 = 60 * 60 + 7;
/// What they are extended to: one year.
const EXTENDED_SECONDS: i64 = 24 * 365 * 60 * 60;
const GROUP: &str = "authentication.k8s.io";
const DEFAULT_SECONDS: i64 = 60 * 60;
const MIN_SECONDS: i64 = 10 * 60;
const MAX_SECONDS: i64 = 1 << 32;

/// Serves TokenRequests.
pub(crate) struct TokenRequests {
    /// Signs; `None` when the server has no signing key.
    pub(crate) issuer: Option<Issuer>,
    /// `--api-audiences`.
    pub(crate) api_audiences: Vec<String>,
    /// `--service-account-max-token-expiration`, seconds.
    pub(crate) max_seconds: Option<i64>,
    /// `--service-account-extend-token-expiration`.
    pub(crate) extend: bool,
    /// Where the service account and what the token is bound to are.
    pub(crate) objects: Arc<dyn Objects>,
    /// Now, Unix seconds.
    pub(crate) now: fn() -> i64,
}

impl TokenRequests {
    /// Answers a request for a token of `namespace`/`name`.
    pub(crate) async fn create(
        &self,
        ctx: &RequestContext,
        namespace: &str,
        name: &str,
        mut request: Value,
    ) -> Result<Value, ApiError> {
        let Some(issuer) = &self.issuer else {
            return Err(ApiError::not_found(
                &GroupResource::new("", "serviceaccounts/token"),
                name,
            ));
        };
        for (field, url, what) in [("name", name, "name"), ("namespace", namespace, "namespace")] {
            let given = text(&request, &format!("/metadata/{field}"));
            if !given.is_empty() && given != url {
                let why = format!("must match the service account {what} if specified");
                let errors = vec![Error::invalid(&Path::new("metadata").child(field), given, why)];
                return Err(ApiError::invalid(&kind(), name, errors));
            }
        }
        let account = self.objects.get("", "serviceaccounts", namespace, name).await?;
        let (uid, have) = (text(&request, "/metadata/uid"), text(&account, "/metadata/uid"));
        if !uid.is_empty() && uid != have {
            let why =
                format!("the UID in the token request ({uid}) does not match the UID of the service account ({have})");
            let gr = GroupResource::new(GROUP, "TokenRequest");
            return Err(ApiError::conflict(&gr, name, why));
        }
        default(&mut request, &self.api_audiences);
        let errors = validate(&request);
        if !errors.is_empty() {
            return Err(ApiError::invalid(&kind(), "", errors));
        }
        let mut spec = TokenSpec {
            namespace: namespace.to_owned(),
            service_account: named(&account),
            audiences: items(&request, "/spec/audiences")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            issued_at: (self.now)(),
            id: apimachinery::names::new_uid(),
            ..Default::default()
        };
        self.bind(&mut spec, &request, name).await?;
        let mut wanted = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
        if let Some(max) = self.max_seconds.filter(|m| *m > 0 && wanted > *m) {
            ctx.warn(format!(
                "requested expiration of {wanted} seconds shortened to {max} seconds"
            ));
            wanted = max;
            request["spec"]["expirationSeconds"] = json!(wanted);
        }
        spec.expires_in = wanted;
        if self.extend
            && spec.pod.is_some()
            && wanted == WARN_ONLY_BOUND_SECONDS
            && spec.audiences.iter().all(|a| self.api_audiences.contains(a))
        {
            spec.warn_after = Some(wanted);
            spec.expires_in = EXTENDED_SECONDS;
        }
        let token =
            issue_token(issuer, &spec).map_err(|e| ApiError::internal(format!("failed to generate token: {e}")))?;
        let expires = jiff::Timestamp::from_second(spec.issued_at + wanted)
            .map_err(|e| ApiError::internal(format!("failed to generate token: {e}")))?;
        request["metadata"]["name"] = json!(name);
        request["metadata"]["namespace"] = json!(namespace);
        request["metadata"]["uid"] = json!(text(&account, "/metadata/uid"));
        request["metadata"]["creationTimestamp"] = json!(
            jiff::Timestamp::from_second(spec.issued_at)
                .map(|t| t.to_string())
                .unwrap_or_default()
        );
        request["status"] = json!({"token": token, "expirationTimestamp": expires.to_string()});
        Ok(request)
    }

    /// Fills in what the token is bound to, checking that it exists and fits.
    async fn bind(&self, spec: &mut TokenSpec, request: &Value, account: &str) -> Result<(), ApiError> {
        let Some(bound) = request.pointer("/spec/boundObjectRef").filter(|r| r.is_object()) else {
            return Ok(());
        };
        let (kind, version, name, uid) = (
            text(bound, "/kind"),
            text(bound, "/apiVersion"),
            text(bound, "/name"),
            text(bound, "/uid"),
        );
        // Any version of the core group will do.
        let core = !version.contains('/');
        let resource = match kind {
            "Pod" if core => "pods",
            "Secret" if core => "secrets",
            "Node" if core => "nodes",
            _ => {
                let version = if core {
                    format!("/{version}")
                } else {
                    version.to_owned()
                };
                return Err(ApiError::bad_request(format!(
                    "cannot bind token to object of type {version}, Kind={kind}"
                )));
            }
        };
        let ns = if resource == "nodes" {
            ""
        } else {
            spec.namespace.as_str()
        };
        let object = self.objects.get("", resource, ns, name).await?;
        let have = named(&object);
        let wrong_uid = (!uid.is_empty() && uid != have.uid).then(|| {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            ApiError::conflict(&GroupResource::new("", kind.to_owned()), name, why)
        });
        match resource {
            "pods" => {
                let of = text(&object, "/spec/serviceAccountName");
                if of != account {
                    return Err(ApiError::bad_request(format!(
                        "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
                    )));
                }
                let node = text(&object, "/spec/nodeName");
                if !node.is_empty() {
                    // A node that is gone leaves its name in the token, without a uid.
                    let found = find(&*self.objects, "", "nodes", "", node).await?;
                    spec.node = Some(found.map_or_else(
                        || Named {
                            name: node.to_owned(),
                            uid: String::new(),
                        },
                        |n| named(&n),
                    ));
                }
                spec.pod = Some(have);
            }
            "secrets" => spec.secret = Some(have),
            _ => spec.node = Some(have),
        }
        wrong_uid.map_or(Ok(()), Err)
    }
}

fn kind() -> GroupKind {
    GroupKind::new(GROUP, "TokenRequest")
}

fn named(object: &Value) -> Named {
    Named {
        name: text(object, "/metadata/name").to_owned(),
        uid: text(object, "/metadata/uid").to_owned(),
    }
}

/// Defaults of TokenRequestSpec.
fn default(request: &mut Value, api_audiences: &[String]) {
    if !request["spec"].is_object() {
        request["spec"] = json!({});
    }
    if request["spec"]["expirationSeconds"].is_null() {
        request["spec"]["expirationSeconds"] = json!(DEFAULT_SECONDS);
    }
    if items(request, "/spec/audiences").is_empty() {
        request["spec"]["audiences"] = json!(api_audiences);
    }
}

/// Upstream `pkg/apis/authentication/validation/validation.go` `ValidateTokenRequest`.
fn validate(request: &Value) -> ErrorList {
    let path = Path::new("spec").child("expirationSeconds");
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
    if seconds < MIN_SECONDS {
        return vec![Error::invalid(
            &path,
            seconds,
            "may not specify a duration less than 10 minutes",
        )];
    }
    if seconds > MAX_SECONDS {
        return vec![Error::invalid(
            &path,
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        )];
    }
    vec![]
}
