//! The parameters of requests, and how they become query strings.

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde_json::Value;

pub use meta::{DeleteOptions, Preconditions};

/// What to list or watch.
#[derive(Clone, Debug, Default)]
pub struct ListParams {
    /// Label selector in its text form.
    pub label_selector: Option<String>,
    /// Field selector in its text form.
    pub field_selector: Option<String>,
    /// At most this many objects in one answer.
    pub limit: Option<u32>,
    /// Where the last answer said to continue.
    pub continue_token: Option<String>,
    /// Revision to read at; see upstream's "resource versions" page.
    pub resource_version: Option<String>,
    /// `Exact` or `NotOlderThan`.
    pub resource_version_match: Option<String>,
    /// The server ends the request after this many seconds.
    pub timeout_seconds: Option<u32>,
    /// Watches only: send the state first, then an initial-events-end bookmark.
    pub send_initial_events: bool,
    /// Watches only: send bookmarks.
    pub allow_watch_bookmarks: bool,
}

impl ListParams {
    /// With a label selector.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into()).filter(|s| !s.is_empty());
        self
    }

    /// With a field selector.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.field_selector = Some(selector.into()).filter(|s| !s.is_empty());
        self
    }

    /// At a resource version.
    #[must_use]
    pub fn at(mut self, resource_version: impl Into<String>) -> Self {
        self.resource_version = Some(resource_version.into());
        self
    }

    pub(crate) fn query(&self, watch: bool) -> Query {
        let mut q = Query::default();
        q.opt("labelSelector", self.label_selector.as_deref());
        q.opt("fieldSelector", self.field_selector.as_deref());
        q.opt("continue", self.continue_token.as_deref());
        q.opt("resourceVersion", self.resource_version.as_deref());
        q.opt("resourceVersionMatch", self.resource_version_match.as_deref());
        q.opt("limit", self.limit.map(|n| n.to_string()).as_deref());
        q.opt("timeoutSeconds", self.timeout_seconds.map(|n| n.to_string()).as_deref());
        if watch {
            q.add("watch", "true");
            if self.allow_watch_bookmarks {
                q.add("allowWatchBookmarks", "true");
            }
            if self.send_initial_events {
                q.add("sendInitialEvents", "true");
            }
        }
        q
    }
}

/// A change to an object, in one of the four patch formats.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902 operations.
    Json(Value),
    /// RFC 7386 merge patch.
    Merge(Value),
    /// Strategic merge patch.
    Strategic(Value),
    /// Server-side apply of a (partial) object.
    Apply(Value),
}

impl Patch {
    /// `Content-Type` of the format.
    pub fn content_type(&self) -> &'static str {
        match self {
            Patch::Json(_) => "application/json-patch+json",
            Patch::Merge(_) => "application/merge-patch+json",
            Patch::Strategic(_) => "application/strategic-merge-patch+json",
            Patch::Apply(_) => "application/apply-patch+yaml",
        }
    }

    /// The patch itself.
    pub fn body(&self) -> &Value {
        match self {
            Patch::Json(v) | Patch::Merge(v) | Patch::Strategic(v) | Patch::Apply(v) => v,
        }
    }
}

/// Options of a patch.
#[derive(Clone, Debug, Default)]
pub struct PatchParams {
    /// Owner of the fields; required for apply.
    pub field_manager: Option<String>,
    /// Take fields over from other managers (apply).
    pub force: bool,
    /// Do everything except storing.
    pub dry_run: bool,
}

impl PatchParams {
    pub(crate) fn query(&self) -> Query {
        let mut q = Query::default();
        q.opt("fieldManager", self.field_manager.as_deref());
        if self.force {
            q.add("force", "true");
        }
        if self.dry_run {
            q.add("dryRun", "All");
        }
        q
    }
}

/// Delete options in the background, for the object of that UID only (empty for any).
pub fn delete_background(uid: &str) -> DeleteOptions {
    DeleteOptions {
        propagation_policy: Some("Background".into()),
        preconditions: (!uid.is_empty()).then(|| Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteOptions::default()
    }
}

/// A query string under construction.
#[derive(Clone, Debug, Default)]
pub struct Query(String);

impl Query {
    /// Adds one parameter.
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        escape(value, &mut self.0);
    }

    fn opt(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// `?a=b&c=d`, or nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(crate) fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_escape_selectors() {
        let params = ListParams::default().labels("a in (b,c)").fields("spec.nodeName=x");
        assert_eq!(
            params.query(false).as_str(),
            "?labelSelector=a%20in%20%28b%2Cc%29&fieldSelector=spec.nodeName%3Dx"
        );
        assert_eq!(ListParams::default().query(true).as_str(), "?watch=true");
    }
}
