//! One RBAC policy rule and what it allows.
//!
//! Upstream: `pkg/apis/rbac/v1/evaluation_helpers.go` (`VerbMatches`, `ResourceMatches`, ...).

use serde_json::{Map, Value, json};

use crate::objects::items;
use crate::request::RequestInfo;

/// A `PolicyRule`, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Verbs, `*` is all.
    pub(crate) verbs: Vec<String>,
    /// API groups, `*` is all, `""` core.
    pub(crate) groups: Vec<String>,
    /// Resources, `*` all, `*/sub` a subresource of all.
    pub(crate) resources: Vec<String>,
    /// Object names; empty is all.
    pub(crate) names: Vec<String>,
    /// URL paths; a `*` at the end is a prefix match.
    pub(crate) urls: Vec<String>,
}

impl Rule {
    /// Reads a rule object; absent lists are empty.
    pub(crate) fn from_value(v: &Value) -> Self {
        let list = |p: &str| {
            items(v, p)
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Rule {
            verbs: list("/verbs"),
            groups: list("/apiGroups"),
            resources: list("/resources"),
            names: list("/resourceNames"),
            urls: list("/nonResourceURLs"),
        }
    }

    /// The rule as an API object, empty lists left out.
    pub(crate) fn to_value(&self) -> Value {
        let mut m = Map::new();
        m.insert("verbs".to_owned(), json!(self.verbs));
        for (key, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !list.is_empty() {
                m.insert(key.to_owned(), json!(list));
            }
        }
        Value::Object(m)
    }

    /// Whether this rule alone allows the request.
    pub(crate) fn allows(&self, info: &RequestInfo) -> bool {
        if !matches_or_star(&self.verbs, &info.verb) {
            return false;
        }
        if !info.is_resource {
            return self.urls.iter().any(|u| url_matches(u, &info.path));
        }
        matches_or_star(&self.groups, &info.api_group)
            && resource_matches(&self.resources, &info.resource, &info.subresource)
            && (self.names.is_empty() || self.names.contains(&info.name))
    }
}

fn matches_or_star(list: &[String], value: &str) -> bool {
    list.iter().any(|v| v == "*" || v == value)
}

/// Whether a URL pattern covers a path.
pub(crate) fn url_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

fn resource_matches(list: &[String], resource: &str, subresource: &str) -> bool {
    list.iter().any(|r| {
        if r == "*" {
            return true;
        }
        if subresource.is_empty() {
            return r == resource;
        }
        match r.split_once('/') {
            Some((left, sub)) => sub == subresource && (left == "*" || left == resource),
            None => false,
        }
    })
}
