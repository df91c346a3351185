//! The create-only resources of `authorization.k8s.io`: may I, may they, what may I?
//!
//! Upstream: `pkg/registry/authorization/*/rest.go`, `pkg/apis/authorization/validation`.

use api::authorization::v1::validation::{Review, access_review};
use apimachinery::codec::json::cannot_be_handled;
use apimachinery::field::ErrorList;
use apimachinery::fields;
use apimachinery::gvk::{GroupKind, GroupVersionKind};
use apimachinery::status::ApiError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::rbac::{Rbac, rule::Rule, split_rules};
use super::{Attributes, Authorizer as _, Decision, Union};
use crate::authn::{Authenticator, reviews as authn_reviews};
use crate::objects::{items, text};
use crate::request::{RequestContext, RequestInfo, UserInfo};

const GROUP: &str = "authorization.k8s.io";

/// Everything the virtual review resources ask.
pub(crate) struct Reviews<'a> {
    /// For TokenReview.
    pub(crate) authenticator: &'a Authenticator,
    /// For access reviews.
    pub(crate) authorizer: &'a Union,
    /// For SelfSubjectRulesReview.
    pub(crate) rbac: Option<&'a Rbac>,
}

/// Whether `create` answers for this resource.
pub(crate) fn is_review(group: &str, resource: &str) -> bool {
    matches!(
        (group, resource),
        ("authentication.k8s.io", "tokenreviews" | "selfsubjectreviews")
            | (
                GROUP,
                "subjectaccessreviews"
                    | "selfsubjectaccessreviews"
                    | "localsubjectaccessreviews"
                    | "selfsubjectrulesreviews"
            )
    )
}

impl Reviews<'_> {
    /// Answers a `create` of one of the review kinds: the body with its status filled in.
    pub(crate) async fn create(&self, ctx: &RequestContext, body: Value) -> Result<Value, ApiError> {
        match ctx.info.resource.as_str() {
            "tokenreviews" => authn_reviews::token_review(self.authenticator, ctx, body).await,
            "selfsubjectreviews" => Ok(authn_reviews::self_subject_review(ctx, body)),
            "subjectaccessreviews" => self.access(body, "SubjectAccessReview", None).await,
            "localsubjectaccessreviews" => {
                let mut body = body;
                if text(&body, "/metadata/namespace").is_empty() {
                    apimachinery::meta::set_namespace(&mut body, &ctx.info.namespace);
                }
                let errors = validate(&body, "LocalSubjectAccessReview")?;
                if errors.is_empty() && text(&body, "/metadata/namespace") != ctx.info.namespace {
                    return Err(ApiError::bad_request(format!(
                        "spec.resourceAttributes.namespace must match namespace: {}",
                        ctx.info.namespace
                    )));
                }
                self.access(body, "LocalSubjectAccessReview", None).await
            }
            "selfsubjectaccessreviews" => self.access(body, "SelfSubjectAccessReview", Some(&ctx.user)).await,
            _ => self.rules(ctx, body),
        }
    }

    async fn access(&self, mut review: Value, kind: &'static str, who: Option<&UserInfo>) -> Result<Value, ApiError> {
        let errors = validate(&review, kind)?;
        if !errors.is_empty() {
            return Err(ApiError::invalid(&GroupKind::new(GROUP, kind.to_owned()), "", errors));
        }
        let user = who.cloned().unwrap_or_else(|| user_of(&review));
        let info = info_of(&review);
        let mut status = Map::new();
        match self
            .authorizer
            .authorize(&Attributes {
                user: &user,
                info: &info,
            })
            .await
        {
            Decision::Allow(reason) => {
                status.insert("allowed".to_owned(), json!(true));
                set(&mut status, reason);
            }
            Decision::Deny(reason) => {
                status.insert("allowed".to_owned(), json!(false));
                status.insert("denied".to_owned(), json!(true));
                set(&mut status, reason);
            }
            Decision::NoOpinion(reason) => {
                status.insert("allowed".to_owned(), json!(false));
                set(&mut status, reason);
            }
        }
        review["status"] = Value::Object(status);
        Ok(review)
    }

    fn rules(&self, ctx: &RequestContext, mut review: Value) -> Result<Value, ApiError> {
        let namespace = text(&review, "/spec/namespace").to_owned();
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let mut rules = Vec::new();
        let mut errors = Vec::new();
        if ctx.user.groups.iter().any(|g| g == super::modes::MASTERS) {
            let all = vec!["*".to_owned()];
            rules.push(Rule {
                verbs: all.clone(),
                groups: all.clone(),
                resources: all.clone(),
                ..Default::default()
            });
            rules.push(Rule {
                verbs: all.clone(),
                urls: all,
                ..Default::default()
            });
        }
        if let Some(rbac) = self.rbac {
            let (more, e) = rbac.rules_for(&ctx.user, &namespace);
            rules.extend(more);
            errors = e;
        }
        let mut status = rules_value(&rules);
        status["incomplete"] = json!(!errors.is_empty());
        if !errors.is_empty() {
            status["evaluationError"] = json!(errors.join(", "));
        }
        review["status"] = status;
        Ok(review)
    }
}

fn set(status: &mut Map<String, Value>, reason: String) {
    if !reason.is_empty() {
        status.insert("reason".to_owned(), json!(reason));
    }
}

fn rules_value(rules: &[Rule]) -> Value {
    let (resources, urls) = split_rules(rules);
    json!({
        "resourceRules": resources.into_iter().map(|r| Rule { urls: vec![], ..r.clone() }.to_value()).collect::<Vec<_>>(),
        "nonResourceRules": urls.into_iter().map(Rule::to_value).collect::<Vec<_>>(),
    })
}

fn user_of(review: &Value) -> UserInfo {
    let strings = |v: &Value| {
        v.as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    UserInfo {
        name: text(review, "/spec/user").to_owned(),
        uid: text(review, "/spec/uid").to_owned(),
        groups: items(review, "/spec/groups")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        extra: review
            .pointer("/spec/extra")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.to_lowercase(), strings(v)))
            .collect(),
    }
}

fn info_of(review: &Value) -> RequestInfo {
    let Some(a) = review.pointer("/spec/resourceAttributes").filter(|a| a.is_object()) else {
        return RequestInfo {
            verb: text(review, "/spec/nonResourceAttributes/verb").to_owned(),
            path: text(review, "/spec/nonResourceAttributes/path").to_owned(),
            ..Default::default()
        };
    };
    RequestInfo {
        is_resource: true,
        verb: text(a, "/verb").to_owned(),
        namespace: text(a, "/namespace").to_owned(),
        api_group: text(a, "/group").to_owned(),
        api_version: text(a, "/version").to_owned(),
        resource: text(a, "/resource").to_owned(),
        subresource: text(a, "/subresource").to_owned(),
        name: text(a, "/name").to_owned(),
        field_selector: selector(a, "fieldSelector"),
        label_selector: selector(a, "labelSelector"),
        ..Default::default()
    }
}

/// A selector of a review as the query parameter it stands for. Requirements other than `In` with
/// one value cannot narrow what an authorizer allows, so they are left out.
fn selector(attributes: &Value, field: &str) -> String {
    let raw = text(attributes, &format!("/{field}/rawSelector"));
    if !raw.is_empty() {
        return raw.to_owned();
    }
    items(attributes, &format!("/{field}/requirements"))
        .iter()
        .filter(|r| text(r, "/operator") == "In")
        .filter_map(|r| match items(r, "/values") {
            [one] => Some(format!("{}={}", text(r, "/key"), fields::escape(one.as_str()?))),
            _ => None,
        })
        .collect::<Vec<_>>()
        .join(",")
}

/// What is wrong with a review; 400 with the cause when a part of it is not what its type says.
fn validate(review: &Value, kind: &'static str) -> Result<ErrorList, ApiError> {
    fn part<T: DeserializeOwned + Default>(review: &Value, name: &str, kind: &'static str) -> Result<T, ApiError> {
        let Some(part) = review.get(name).filter(|part| !part.is_null()) else {
            return Ok(T::default());
        };
        T::deserialize(part).map_err(|error| cannot_be_handled(&GroupVersionKind::new(GROUP, "v1", kind), kind, error))
    }
    let which = match kind {
        "SelfSubjectAccessReview" => Review::Own,
        "LocalSubjectAccessReview" => Review::Local,
        _ => Review::Subject,
    };
    let (metadata, spec) = (part(review, "metadata", kind)?, part(review, "spec", kind)?);
    Ok(access_review(&metadata, &spec, which))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_does_not_decode_is_refused_with_its_cause() {
        let review = json!({"spec": {"user": 1}});
        let error = validate(&review, "SubjectAccessReview").expect_err("a number is no name");
        assert!(error.is_bad_request());
        let message = error.message;
        assert!(
            message.starts_with(
                "SubjectAccessReview in version \"v1\" cannot be handled as a SubjectAccessReview: invalid type"
            ),
            "{message}"
        );
    }
}
