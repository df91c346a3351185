//! TokenReview and SelfSubjectReview: create-only resources that answer who a credential is.

use apimachinery::status::ApiError;
use serde_json::{Map, Value, json};

use super::{Authenticator, authenticated};
use crate::objects::{items, text};
use crate::request::{RequestContext, UserInfo};

/// Answers `POST tokenreviews` (upstream `pkg/registry/authentication/tokenreview/storage.go`).
pub(crate) async fn token_review(
    authenticator: &Authenticator,
    ctx: &RequestContext,
    mut review: Value,
) -> Result<Value, ApiError> {
    let token = text(&review, "/spec/token").to_owned();
    if token.is_empty() {
        return Err(ApiError::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let asked: Vec<String> = items(&review, "/spec/audiences")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let audiences = if asked.is_empty() {
        authenticator.api_audiences.clone()
    } else {
        asked.clone()
    };
    let status = match authenticator.authenticate_token(&token, &audiences).await {
        Ok(Some(proven)) => {
            proven.warnings.iter().for_each(|w| ctx.warn(w.as_str()));
            let mut status = json!({"authenticated": true, "user": user_value(&authenticated(proven.user))});
            // A token without audiences is good for the API server's own.
            let granted = if proven.audiences.is_empty() {
                audiences
                    .iter()
                    .filter(|a| authenticator.api_audiences.contains(a))
                    .cloned()
                    .collect()
            } else {
                proven.audiences
            };
            if !asked.is_empty() && granted.is_empty() {
                status = json!({"error": "token audiences do not match"});
            } else if !granted.is_empty() {
                status["audiences"] = json!(granted);
            }
            status
        }
        Ok(None) => json!({"error": "[invalid bearer token]"}),
        Err(e) => json!({"error": format!("[invalid bearer token, {e}]")}),
    };
    review["status"] = status;
    if review.pointer("/status/user").is_none() {
        review["status"]["user"] = json!({});
    }
    Ok(review)
}

/// Answers `POST selfsubjectreviews`.
pub(crate) fn self_subject_review(ctx: &RequestContext, mut review: Value) -> Value {
    review["status"] = json!({"userInfo": user_value(&ctx.user)});
    review
}

/// `authentication.k8s.io/v1.UserInfo`, empty fields left out.
pub(crate) fn user_value(user: &UserInfo) -> Value {
    let mut m = Map::new();
    if !user.name.is_empty() {
        m.insert("username".to_owned(), json!(user.name));
    }
    if !user.uid.is_empty() {
        m.insert("uid".to_owned(), json!(user.uid));
    }
    if !user.groups.is_empty() {
        m.insert("groups".to_owned(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        m.insert("extra".to_owned(), json!(user.extra));
    }
    Value::Object(m)
}
