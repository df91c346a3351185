//! API errors as data (upstream: apimachinery `api/errors/errors.go`).
//!
//! An [`ApiError`] is born with its reason, resource and causes, travels as data and becomes a `Status` object at
//! the edge. Nothing parses its text back.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::{Map, Value};

use crate::field::{self, quote};
use crate::gvk::{GroupKind, GroupResource};

/// The result of an operation that a client may see fail.
pub type Result<T> = std::result::Result<T, ApiError>;

/// The machine-readable reasons of a `Status`.
pub mod reason {
    #![allow(missing_docs)]
    pub const UNKNOWN: &str = "";
    pub const UNAUTHORIZED: &str = "Unauthorized";
    pub const FORBIDDEN: &str = "Forbidden";
    pub const NOT_FOUND: &str = "NotFound";
    pub const ALREADY_EXISTS: &str = "AlreadyExists";
    pub const CONFLICT: &str = "Conflict";
    pub const GONE: &str = "Gone";
    pub const INVALID: &str = "Invalid";
    pub const SERVER_TIMEOUT: &str = "ServerTimeout";
    pub const STORAGE_READ_ERROR: &str = "StorageReadError";
    pub const TIMEOUT: &str = "Timeout";
    pub const TOO_MANY_REQUESTS: &str = "TooManyRequests";
    pub const BAD_REQUEST: &str = "BadRequest";
    pub const METHOD_NOT_ALLOWED: &str = "MethodNotAllowed";
    pub const NOT_ACCEPTABLE: &str = "NotAcceptable";
    pub const REQUEST_ENTITY_TOO_LARGE: &str = "RequestEntityTooLarge";
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "UnsupportedMediaType";
    pub const INTERNAL_ERROR: &str = "InternalError";
    pub const EXPIRED: &str = "Expired";
    pub const SERVICE_UNAVAILABLE: &str = "ServiceUnavailable";
}

/// One cause inside [`Details`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable type, such as `FieldValueInvalid`; may be empty.
    pub reason: String,
    /// Text for a person.
    pub message: String,
    /// The field's path; empty when the cause is not about a field.
    pub field: String,
}

/// What an error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Name of the object, or of the operation for server timeouts.
    pub name: String,
    /// API group of the resource or kind.
    pub group: String,
    /// The resource (`pods`) for most errors, the kind (`Pod`) for invalid objects.
    pub kind: String,
    /// UID of the object, when known.
    pub uid: String,
    /// The single causes.
    pub causes: Vec<Cause>,
    /// Seconds to wait before trying again; 0 = not given.
    pub retry_after_seconds: i32,
}

/// A failure as a client of the API sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, one of [`reason`].
    pub reason: Cow<'static, str>,
    /// Text for a person; also the `Display` of the error.
    pub message: String,
    /// What the error is about.
    pub details: Option<Box<Details>>,
    /// How to go on with a list whose moment is gone (`metadata.continue`); empty for all other errors.
    pub continue_token: String,
}

// === constructors ===

impl ApiError {
    fn plain(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
            message: message.into(),
            details: None,
            continue_token: String::new(),
        }
    }

    fn about(code: u16, reason: &'static str, gr: &GroupResource, name: &str, message: String) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: gr.group.clone().into_owned(),
            kind: gr.resource.clone().into_owned(),
            ..Details::default()
        };
        Self {
            code,
            reason: Cow::Borrowed(reason),
            message,
            details: Some(Box::new(details)),
            continue_token: String::new(),
        }
    }

    /// 404: the object does not exist.
    pub fn not_found(gr: &GroupResource, name: &str) -> Self {
        Self::about(
            404,
            reason::NOT_FOUND,
            gr,
            name,
            format!("{gr} {} not found", quote(name)),
        )
    }

    /// 404 for a path that is no resource (upstream: `NewGenericServerResponse` with 404, as its not-found handlers answer).
    pub fn path_not_found() -> Self {
        let mut error = Self::plain(
            404,
            reason::NOT_FOUND,
            "the server could not find the requested resource",
        );
        error.details = Some(Box::default());
        error
    }

    /// 409: an object of this name exists.
    pub fn already_exists(gr: &GroupResource, name: &str) -> Self {
        Self::about(
            409,
            reason::ALREADY_EXISTS,
            gr,
            name,
            format!("{gr} {} already exists", quote(name)),
        )
    }

    /// 409: every generated name collided.
    pub fn generate_name_conflict(gr: &GroupResource, name: &str, retry_after_seconds: i32) -> Self {
        let message = format!(
            "{gr} {} already exists, the server was not able to generate a unique name for the object",
            quote(name)
        );
        Self::about(409, reason::ALREADY_EXISTS, gr, name, message).with_retry_after(retry_after_seconds)
    }

    /// 409: the object changed under the writer, or the operation contradicts its state.
    pub fn conflict(gr: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {gr} {}: {why}", quote(name));
        Self::about(409, reason::CONFLICT, gr, name, message)
    }

    /// 409: server-side apply met other field managers.
    pub fn apply_conflict(causes: Vec<Cause>, message: impl Into<String>) -> Self {
        let mut error = Self::plain(409, reason::CONFLICT, message);
        error.details = Some(Box::new(Details {
            causes,
            ..Details::default()
        }));
        error
    }

    /// 422: the object breaks rules.
    pub fn invalid(gk: &GroupKind, name: &str, errors: field::ErrorList) -> Self {
        let causes = errors
            .iter()
            .map(|error| Cause {
                reason: error.kind.reason().to_owned(),
                message: error.body(),
                field: error.field.clone(),
            })
            .collect();
        let mut message = format!("{gk} {} is invalid", quote(name));
        if let Some(text) = field::aggregate(&errors) {
            message.push_str(": ");
            message.push_str(&text);
        }
        let details = Details {
            name: name.to_owned(),
            group: gk.group.clone().into_owned(),
            kind: gk.kind.clone().into_owned(),
            causes,
            ..Details::default()
        };
        let mut error = Self::plain(422, reason::INVALID, message);
        error.details = Some(Box::new(details));
        error
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, reason::BAD_REQUEST, message)
    }

    /// 403: the caller may not do this, or admission refused it.
    pub fn forbidden(gr: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = if gr.is_empty() {
            format!("forbidden: {why}")
        } else if name.is_empty() {
            format!("{gr} is forbidden: {why}")
        } else {
            format!("{gr} {} is forbidden: {why}", quote(name))
        };
        Self::about(403, reason::FORBIDDEN, gr, name, message)
    }

    /// 401: the caller is not known. An empty message becomes `not authorized`.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.is_empty() {
            message.push_str("not authorized");
        }
        Self::plain(401, reason::UNAUTHORIZED, message)
    }

    /// 410 `Expired`: the resource version or continue token is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, reason::EXPIRED, message)
    }

    /// 410 `Gone`.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::plain(410, reason::GONE, message)
    }

    /// 429: try again after `retry_after_seconds`.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: i32) -> Self {
        Self::plain(429, reason::TOO_MANY_REQUESTS, message).with_retry_after(retry_after_seconds)
    }

    /// 500: a fault of the server.
    pub fn internal(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let mut error = Self::plain(
            500,
            reason::INTERNAL_ERROR,
            format!("Internal error occurred: {message}"),
        );
        let causes = vec![Cause {
            message,
            ..Cause::default()
        }];
        error.details = Some(Box::new(Details {
            causes,
            ..Details::default()
        }));
        error
    }

    /// 503: a part the server depends on does not answer.
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::plain(503, reason::SERVICE_UNAVAILABLE, message)
    }

    /// 504: the deadline passed; the operation may still complete.
    pub fn timeout(message: impl fmt::Display, retry_after_seconds: i32) -> Self {
        Self::plain(504, reason::TIMEOUT, format!("Timeout: {message}")).with_retry_after(retry_after_seconds)
    }

    /// 500 `ServerTimeout`: a passing fault, the client should try again.
    pub fn server_timeout(gr: &GroupResource, operation: &str, retry_after_seconds: i32) -> Self {
        let message =
            format!("The {operation} operation against {gr} could not be completed at this time, please try again.");
        Self::about(500, reason::SERVER_TIMEOUT, gr, operation, message).with_retry_after(retry_after_seconds)
    }

    /// 406: none of the client's media types can be produced (upstream: apiserver `handlers/negotiation/errors.go`).
    pub fn not_acceptable<S: AsRef<str>>(accepted: &[S]) -> Self {
        let list = joined(accepted);
        let message = format!("only the following media types are accepted: {list}");
        Self::plain(406, reason::NOT_ACCEPTABLE, message)
    }

    /// 415: the body's media type cannot be read (upstream: apiserver `handlers/negotiation/errors.go`).
    pub fn unsupported_media_type<S: AsRef<str>>(accepted: &[S]) -> Self {
        let list = joined(accepted);
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {list}");
        Self::plain(415, reason::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 413: the body is too large.
    pub fn too_large(message: impl fmt::Display) -> Self {
        Self::plain(
            413,
            reason::REQUEST_ENTITY_TOO_LARGE,
            format!("Request entity too large: {message}"),
        )
    }

    /// Any code, reason and message.
    pub fn generic(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            details: None,
            continue_token: String::new(),
        }
    }

    /// Adds the seconds after which to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: i32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// Adds the token a client may go on with.
    #[must_use]
    pub fn with_continue(mut self, token: String) -> Self {
        self.continue_token = token;
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.details.get_or_insert_default().causes.push(cause);
        self
    }
}

fn joined<S: AsRef<str>>(list: &[S]) -> String {
    list.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

// === questions ===

const KNOWN: [&str; 19] = [
    reason::UNAUTHORIZED,
    reason::FORBIDDEN,
    reason::NOT_FOUND,
    reason::ALREADY_EXISTS,
    reason::CONFLICT,
    reason::GONE,
    reason::INVALID,
    reason::SERVER_TIMEOUT,
    reason::STORAGE_READ_ERROR,
    reason::TIMEOUT,
    reason::TOO_MANY_REQUESTS,
    reason::BAD_REQUEST,
    reason::METHOD_NOT_ALLOWED,
    reason::NOT_ACCEPTABLE,
    reason::REQUEST_ENTITY_TOO_LARGE,
    reason::UNSUPPORTED_MEDIA_TYPE,
    reason::INTERNAL_ERROR,
    reason::EXPIRED,
    reason::SERVICE_UNAVAILABLE,
];

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident: $reason:ident $code:literal;)*) => {
        impl ApiError {$(
            $(#[$doc])*
            pub fn $name(&self) -> bool { self.has(reason::$reason, $code) }
        )*}
    };
}
questions! {
    /// Whether the object was not found.
    is_not_found: NOT_FOUND 404;
    /// Whether the write met another writer.
    is_conflict: CONFLICT 409;
    /// Whether the object broke validation rules.
    is_invalid: INVALID 422;
    /// Whether the caller was refused.
    is_forbidden: FORBIDDEN 403;
    /// Whether the caller is unknown.
    is_unauthorized: UNAUTHORIZED 401;
    /// Whether the request was not understood.
    is_bad_request: BAD_REQUEST 400;
    /// Whether the resource has no such verb.
    is_method_not_supported: METHOD_NOT_ALLOWED 405;
    /// Whether the object is gone for good.
    is_gone: GONE 410;
    /// Whether the server failed.
    is_internal: INTERNAL_ERROR 500;
    /// Whether the server or a part of it is away.
    is_service_unavailable: SERVICE_UNAVAILABLE 503;
    /// Whether the deadline passed.
    is_timeout: TIMEOUT 504;
    /// Whether none of the accepted media types can be produced.
    is_not_acceptable: NOT_ACCEPTABLE 406;
    /// Whether the body's media type cannot be read.
    is_unsupported_media_type: UNSUPPORTED_MEDIA_TYPE 415;
}

impl ApiError {
    /// Reason equals, or the reason is no known one and the code equals (as upstream's `IsNotFound` and kin).
    fn has(&self, reason: &str, code: u16) -> bool {
        self.reason == reason || (self.code == code && !KNOWN.contains(&self.reason.as_ref()))
    }

    /// Whether an object of this name exists.
    pub fn is_already_exists(&self) -> bool {
        self.reason == reason::ALREADY_EXISTS
    }

    /// Whether the resource version or continue token was too old.
    pub fn is_expired(&self) -> bool {
        self.reason == reason::EXPIRED
    }

    /// Whether the server asks to try again.
    pub fn is_server_timeout(&self) -> bool {
        self.reason == reason::SERVER_TIMEOUT
    }

    /// Whether the server is overloaded.
    pub fn is_too_many_requests(&self) -> bool {
        self.reason == reason::TOO_MANY_REQUESTS || self.code == 429
    }

    /// Seconds the server asks the client to wait, if it does.
    pub fn retry_after(&self) -> Option<i32> {
        let seconds = self.details.as_ref().map_or(0, |details| details.retry_after_seconds);
        (seconds > 0 || (self.is_server_timeout() && self.details.is_some())).then_some(seconds)
    }

    /// Whether a cause of the given reason is attached.
    pub fn has_cause(&self, reason: &str) -> bool {
        self.details
            .as_ref()
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
    }
}

// === conversions ===

impl ApiError {
    /// The `Status` object.
    pub fn to_status(&self) -> meta::Status {
        let details = self.details.as_deref().map(|details| meta::StatusDetails {
            name: filled(&details.name),
            group: filled(&details.group),
            kind: filled(&details.kind),
            uid: filled(&details.uid),
            retry_after_seconds: (details.retry_after_seconds != 0).then_some(details.retry_after_seconds),
            causes: (!details.causes.is_empty()).then(|| {
                details
                    .causes
                    .iter()
                    .map(|cause| meta::StatusCause {
                        reason: filled(&cause.reason),
                        message: filled(&cause.message),
                        field: filled(&cause.field),
                    })
                    .collect()
            }),
        });
        meta::Status {
            metadata: meta::ListMeta {
                continue_: filled(&self.continue_token),
                ..meta::ListMeta::default()
            },
            status: Some("Failure".to_owned()),
            message: filled(&self.message),
            reason: filled(&self.reason),
            details,
            code: Some(i32::from(self.code)),
        }
    }

    /// The `Status` object as an untyped object.
    pub fn to_value(&self) -> Value {
        let mut status = Map::new();
        status.insert("kind".into(), "Status".into());
        status.insert("apiVersion".into(), "v1".into());
        let mut metadata = Map::new();
        put(&mut metadata, "continue", &self.continue_token);
        status.insert("metadata".into(), metadata.into());
        status.insert("status".into(), "Failure".into());
        put(&mut status, "message", &self.message);
        put(&mut status, "reason", &self.reason);
        if let Some(details) = &self.details {
            status.insert("details".into(), details.to_value());
        }
        status.insert("code".into(), self.code.into());
        Value::Object(status)
    }

    /// The `Status` object as JSON, as it stands in an HTTP body (with the final newline Go's encoder writes).
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(&self.to_value()).expect("a tree of strings and numbers always serialises");
        out.push(b'\n');
        out
    }

    /// Reads a `Status` object back; also of success, whose reason is empty.
    pub fn from_status(status: meta::Status) -> Self {
        let details = status.details.map(|details| {
            Box::new(Details {
                name: details.name.unwrap_or_default(),
                group: details.group.unwrap_or_default(),
                kind: details.kind.unwrap_or_default(),
                uid: details.uid.unwrap_or_default(),
                retry_after_seconds: details.retry_after_seconds.unwrap_or_default(),
                causes: details
                    .causes
                    .unwrap_or_default()
                    .into_iter()
                    .map(|cause| Cause {
                        reason: cause.reason.unwrap_or_default(),
                        message: cause.message.unwrap_or_default(),
                        field: cause.field.unwrap_or_default(),
                    })
                    .collect(),
            })
        });
        Self {
            code: status
                .code
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or_default(),
            reason: Cow::Owned(status.reason.unwrap_or_default()),
            message: status.message.unwrap_or_default(),
            details,
            continue_token: status.metadata.continue_.unwrap_or_default(),
        }
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        put(&mut out, "name", &self.name);
        put(&mut out, "group", &self.group);
        put(&mut out, "kind", &self.kind);
        put(&mut out, "uid", &self.uid);
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(|cause| {
                let mut out = Map::new();
                put(&mut out, "reason", &cause.reason);
                put(&mut out, "message", &cause.message);
                put(&mut out, "field", &cause.field);
                Value::Object(out)
            });
            out.insert("causes".into(), Value::Array(causes.collect()));
        }
        if self.retry_after_seconds != 0 {
            out.insert("retryAfterSeconds".into(), self.retry_after_seconds.into());
        }
        Value::Object(out)
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        map.insert(key.to_owned(), value.into());
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Error, Path};

    fn deployments() -> GroupResource {
        GroupResource::new("apps", "deployments")
    }

    #[test]
    fn messages_are_upstreams() {
        let gr = deployments();
        assert_eq!(
            ApiError::not_found(&gr, "x").to_string(),
            "deployments.apps \"x\" not found"
        );
        assert_eq!(
            ApiError::already_exists(&gr, "x").to_string(),
            "deployments.apps \"x\" already exists"
        );
        assert_eq!(
            ApiError::conflict(&gr, "x", "changed").to_string(),
            "Operation cannot be fulfilled on deployments.apps \"x\": changed"
        );
        assert_eq!(
            ApiError::forbidden(&gr, "", "no").to_string(),
            "deployments.apps is forbidden: no"
        );
        let errors = vec![Error::required(&Path::new("spec"), "")];
        let error = ApiError::invalid(&GroupKind::new("apps", "Deployment"), "x", errors);
        assert_eq!(
            error.to_string(),
            "Deployment.apps \"x\" is invalid: spec: Required value"
        );
        assert!(error.has_cause("FieldValueRequired"));
    }

    #[test]
    fn a_status_survives_the_trip() {
        let error = ApiError::server_timeout(&deployments(), "create", 2);
        assert_eq!(ApiError::from_status(error.to_status()), error);
        let text = String::from_utf8(error.to_json()).unwrap_or_default();
        assert!(text.contains("\"retryAfterSeconds\":2"), "{text}");
    }

    #[test]
    fn unknown_reasons_are_judged_by_code() {
        assert!(ApiError::generic(404, "", "x").is_not_found());
        assert!(!ApiError::generic(404, "Forbidden", "x").is_not_found());
    }
}
