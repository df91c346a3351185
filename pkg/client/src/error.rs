//! The errors of a request to the apiserver: a variant per step that failed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

/// The result of a request to the apiserver.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error from another crate, kept as the source.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The apiserver answered with a `Status` (or another non-2xx answer, turned into one).
    #[error("{}", .0.message.as_deref().unwrap_or("the server answered without a message"))]
    Api(Box<Status>),
    /// No connection to the apiserver could be made; the request was not sent.
    #[error("cannot connect to {address}")]
    Connect {
        /// Host and port that were dialled.
        address: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The connection broke while the request or its answer was in flight; it may have been executed.
    #[error("request to the apiserver failed")]
    Transport(#[source] BoxError),
    /// No answer within the time limit of the request.
    #[error("no answer from the apiserver within {0:?}")]
    Timeout(std::time::Duration),
    /// The credentials could not be read.
    #[error("cannot load client credentials")]
    Credentials(#[source] crate::config::ConfigError),
    /// The answer is not what the request should get.
    #[error("cannot decode {what}")]
    Decode {
        /// The type that was expected.
        what: &'static str,
        /// Where the text departs from it.
        #[source]
        source: serde_json::Error,
    },
    /// The object to send cannot be encoded.
    #[error("cannot encode the request body")]
    Encode(#[source] serde_json::Error),
    /// The caller asked for something that is not a request (empty name, bad path).
    #[error("invalid request: {0}")]
    InvalidRequest(String),
}

impl Error {
    /// The `Status` the apiserver sent, if the error is an answer.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Error::Api(status) => Some(status),
            _ => None,
        }
    }

    /// The HTTP code of the answer, if the error is an answer.
    pub fn code(&self) -> Option<u16> {
        self.status().and_then(|s| s.code).and_then(|c| u16::try_from(c).ok())
    }

    /// The machine-readable reason of the answer (`NotFound`, `Conflict`, ...), empty when there is none.
    pub fn reason(&self) -> &str {
        self.status().and_then(|s| s.reason.as_deref()).unwrap_or_default()
    }

    /// The object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.reason_or_code("NotFound", 404)
    }

    /// The object changed since it was read, or another precondition failed.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// An object of that name exists.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// The resource version asked for is too old (410, reasons `Expired` and `Gone`).
    pub fn is_expired(&self) -> bool {
        matches!(self.reason(), "Expired" | "Gone") || self.code() == Some(410)
    }

    /// The caller may not do that.
    pub fn is_forbidden(&self) -> bool {
        self.reason_or_code("Forbidden", 403)
    }

    /// The credentials were not accepted.
    pub fn is_unauthorized(&self) -> bool {
        self.reason_or_code("Unauthorized", 401)
    }

    /// The object is not valid (422).
    pub fn is_invalid(&self) -> bool {
        self.reason_or_code("Invalid", 422)
    }

    /// The server asks to come back later (429).
    pub fn is_too_many_requests(&self) -> bool {
        self.reason_or_code("TooManyRequests", 429)
    }

    /// The namespace is being deleted, so nothing can be created in it.
    /// Upstream: apimachinery `HasStatusCause(err, NamespaceTerminatingCause)`.
    pub fn is_namespace_terminating(&self) -> bool {
        self.has_cause("NamespaceTerminating")
    }

    /// The answer carries a cause of that type in its details.
    pub fn has_cause(&self, reason: &str) -> bool {
        self.status()
            .and_then(|s| s.details.as_ref())
            .and_then(|d| d.causes.as_ref())
            .is_some_and(|causes| causes.iter().any(|c| c.reason.as_deref() == Some(reason)))
    }

    /// Seconds the server asked to wait before a retry.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.status()
            .and_then(|s| s.details.as_ref())
            .and_then(|d| d.retry_after_seconds)
            .and_then(|s| u64::try_from(s).ok())
    }

    fn reason_or_code(&self, reason: &str, code: u16) -> bool {
        match self.status() {
            Some(s) => match s.reason.as_deref() {
                Some(r) if !r.is_empty() => r == reason,
                _ => s.code == Some(i32::from(code)),
            },
            None => false,
        }
    }

    /// The whole chain of causes on one line, for a log.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// `error: its source: its source's source`.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
