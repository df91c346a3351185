//! What a request is about and who makes it: parsed once at the door, read everywhere.
//!
//! Path rules: upstream `apiserver/pkg/endpoints/request/requestinfo.go` `NewRequestInfo`.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::fields;
use apimachinery::validation::is_path_segment_name;
use parking_lot::Mutex;

/// What the URL and method ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestInfo {
    /// API verb (`get`, `list`, `watch`, `create`, ...) or the lower-case HTTP method.
    pub(crate) verb: String,
    /// `api` or `apis`, empty for non-API paths.
    pub(crate) api_prefix: String,
    /// API group, `""` for core.
    pub(crate) api_group: String,
    /// API version.
    pub(crate) api_version: String,
    /// Namespace, empty when none is named.
    pub(crate) namespace: String,
    /// Plural resource name.
    pub(crate) resource: String,
    /// Subresource, may be empty.
    pub(crate) subresource: String,
    /// Object name, may be empty.
    pub(crate) name: String,
    /// The URL path as sent.
    pub(crate) path: String,
    /// Path segments from the resource on.
    pub(crate) parts: Vec<String>,
    /// Whether this names an API resource (as opposed to `/healthz` or discovery).
    pub(crate) is_resource: bool,
    /// Raw `fieldSelector` and `labelSelector` of a list-like request (authorizers look at them).
    pub(crate) field_selector: String,
    /// See `field_selector`.
    pub(crate) label_selector: String,
}

/// Namespace subresources that are not resources of the namespace's content.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Parses method, path and query of one request.
    pub(crate) fn parse(method: &http::Method, path: &str, query: &str) -> Self {
        let mut info = RequestInfo {
            verb: method.as_str().to_ascii_lowercase(),
            path: path.to_owned(),
            ..Default::default()
        };
        let decoded = segments(path);
        let mut parts: &[String] = &decoded;
        if parts.len() < 3 || (parts[0] != "api" && parts[0] != "apis") {
            return info;
        }
        info.api_prefix = parts[0].clone();
        parts = &parts[1..];
        if info.api_prefix == "apis" {
            if parts.len() < 3 {
                return info;
            }
            info.api_group = parts[0].clone();
            parts = &parts[1..];
        }
        info.is_resource = true;
        info.api_version = parts[0].clone();
        parts = &parts[1..];

        let mut watch_prefix = false;
        if parts[0] == "watch" || parts[0] == "proxy" {
            if parts.len() < 2 {
                info.is_resource = false;
                return info;
            }
            info.verb = parts[0].clone();
            watch_prefix = parts[0] == "watch";
            parts = &parts[1..];
        } else {
            info.verb = match info.verb.as_str() {
                "post" => "create",
                "get" | "head" => "get",
                "put" => "update",
                "patch" => "patch",
                "delete" => "delete",
                _ => "",
            }
            .to_owned();
        }

        if parts[0] == "namespaces" && parts.len() > 1 {
            info.namespace = parts[1].clone();
            if parts.len() > 2 && !NAMESPACE_SUBRESOURCES.contains(&parts[2].as_str()) {
                parts = &parts[2..];
            }
        }
        info.parts = parts.to_vec();
        info.resource = parts[0].clone();
        if parts.len() >= 2 {
            info.name = parts[1].clone();
        }
        if parts.len() >= 3 {
            info.subresource = parts[2].clone();
        }

        if info.name.is_empty() && info.verb == "get" {
            let opts = Query::parse(query);
            info.verb = if opts.flag("watch") { "watch" } else { "list" }.to_owned();
            info.set_selectors(&opts);
        } else if watch_prefix || info.verb == "watch" {
            info.set_selectors(&Query::parse(query));
        }
        if info.name.is_empty() && info.verb == "delete" {
            info.verb = "deletecollection".to_owned();
            info.set_selectors(&Query::parse(query));
        }
        // A list, watch or deletecollection narrowed to one name is authorized by that name.
        if matches!(info.verb.as_str(), "list" | "watch" | "deletecollection")
            && info.name.is_empty()
            && let Some(name) = info
                .exact_field("metadata.name")
                .filter(|name| is_path_segment_name(name).is_empty())
        {
            info.name = name;
        }
        info
    }

    /// The value the field selector demands of a field. It is read by the parser that the list behind it uses:
    /// who is let in by a term must get no more than that term selects.
    pub(crate) fn exact_field(&self, field: &str) -> Option<String> {
        let selector = fields::Selector::parse(&self.field_selector).ok()?;
        selector.requires_exact_match(field).map(str::to_owned)
    }

    fn set_selectors(&mut self, query: &Query) {
        self.field_selector = query.get("fieldSelector").unwrap_or_default().to_owned();
        self.label_selector = query.get("labelSelector").unwrap_or_default().to_owned();
    }
}

/// The decoded segments of a path, also empty ones between others (upstream `splitPath`).
fn segments(path: &str) -> Vec<String> {
    match path.trim_matches('/') {
        "" => vec![],
        path => path.split('/').map(percent_decode).collect(),
    }
}

/// Decoded query parameters in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=b&c=d` with percent and plus decoding.
    pub(crate) fn parse(query: &str) -> Self {
        Query(
            query
                .split('&')
                .filter(|p| !p.is_empty())
                .map(|pair| {
                    let (k, v) = pair.split_once('=').unwrap_or((pair, ""));
                    (
                        percent_decode(&k.replace('+', " ")),
                        percent_decode(&v.replace('+', " ")),
                    )
                })
                .collect(),
        )
    }

    /// First value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// All values of `key`, in order.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// A boolean as upstream's conversion reads it: absent, `0` and `false` are false, and any
    /// other value, also an empty one, is true (`apimachinery/pkg/runtime/conversion.go`).
    pub(crate) fn flag(&self, key: &str) -> bool {
        match self.get(key) {
            None => false,
            Some(v) => !(v == "0" || v.eq_ignore_ascii_case("false")),
        }
    }
}

/// Percent-decoding; malformed escapes are kept as they are.
pub(crate) fn percent_decode(s: &str) -> String {
    if !s.contains('%') {
        return s.to_owned();
    }
    let b = s.as_bytes();
    let mut out = Vec::with_capacity(b.len());
    let mut i = 0;
    while i < b.len() {
        let hex = |c: u8| (c as char).to_digit(16);
        if b[i] == b'%'
            && i + 2 < b.len()
            && let (Some(h), Some(l)) = (hex(b[i + 1]), hex(b[i + 2]))
        {
            out.push((h * 16 + l) as u8);
            i += 3;
        } else {
            out.push(b[i]);
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An authenticated user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserInfo {
    /// User name, e.g. `system:node:a`.
    pub(crate) name: String,
    /// Stable id, often empty.
    pub(crate) uid: String,
    /// Groups, e.g. `system:masters`.
    pub(crate) groups: Vec<String>,
    /// Extra facts from the authenticator.
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// A user with only a name and groups.
    pub(crate) fn new(name: &str, groups: &[&str]) -> Self {
        UserInfo {
            name: name.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            ..Default::default()
        }
    }

    /// The identity of the apiserver's own in-process requests.
    pub(crate) fn loopback() -> Self {
        Self::new("system:apiserver", &["system:masters", "system:authenticated"])
    }
}

/// More than can be sent: one character each (`chain/headers.rs`).
const MAX_WARNINGS: usize = 4096;

/// Everything about one request that strategies and admission may look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestContext {
    /// Who asks.
    pub(crate) user: UserInfo,
    /// What is asked.
    pub(crate) info: RequestInfo,
    /// `dryRun=All`: run everything, persist nothing.
    pub(crate) dry_run: bool,
    /// Warnings for the client, sent as `Warning: 299` headers.
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
    /// Lists and maps of the body that are empty, with their JSON pointers: objects go without them, and rules may tell
    /// them from absent ones.
    pub(crate) given_empty: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
}

impl RequestContext {
    /// The context of the server's own requests.
    pub(crate) fn internal() -> Self {
        RequestContext {
            user: UserInfo::loopback(),
            ..Default::default()
        }
    }

    /// The server's own request on one resource.
    pub(crate) fn internal_for(
        verb: &str,
        group: &str,
        version: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Self {
        let mut ctx = Self::internal();
        ctx.info = RequestInfo {
            verb: verb.to_owned(),
            api_group: group.to_owned(),
            api_version: version.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            is_resource: true,
            ..Default::default()
        };
        ctx
    }

    /// Adds a warning for the client, once.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut all = self.warnings.lock();
        if all.len() < MAX_WARNINGS && !all.contains(&text) {
            all.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str) -> RequestInfo {
        let (p, q) = uri.split_once('?').unwrap_or((uri, ""));
        RequestInfo::parse(&method.parse().expect("method"), p, q)
    }

    #[test]
    fn paths_map_to_verbs_and_resources() {
        for (m, uri, verb, ns, res, sub, name) in [
            (
                "GET",
                "/api/v1/namespaces/default/pods",
                "list",
                "default",
                "pods",
                "",
                "",
            ),
            ("GET", "/api/v1/pods?watch=true", "watch", "", "pods", "", ""),
            ("GET", "/api/v1/pods?watch=false", "list", "", "pods", "", ""),
            (
                "GET",
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "get",
                "a",
                "deployments",
                "scale",
                "d",
            ),
            ("POST", "/api/v1/namespaces", "create", "", "namespaces", "", ""),
            ("GET", "/api/v1/namespaces/a", "get", "a", "namespaces", "", "a"),
            (
                "PUT",
                "/api/v1/namespaces/a/finalize",
                "update",
                "a",
                "namespaces",
                "finalize",
                "a",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/a/pods",
                "deletecollection",
                "a",
                "pods",
                "",
                "",
            ),
            (
                "GET",
                "/api/v1/watch/namespaces/a/pods/p",
                "watch",
                "a",
                "pods",
                "",
                "p",
            ),
            (
                "GET",
                "/api/v1/nodes?fieldSelector=metadata.name%3Dn1",
                "list",
                "",
                "nodes",
                "",
                "n1",
            ),
            ("GET", "/api/v1/nodes/n1/proxy/a/b", "get", "", "nodes", "proxy", "n1"),
        ] {
            let i = parse(m, uri);
            assert!(i.is_resource, "{uri}");
            assert_eq!(
                (
                    i.verb.as_str(),
                    i.namespace.as_str(),
                    i.resource.as_str(),
                    i.subresource.as_str(),
                    i.name.as_str()
                ),
                (verb, ns, res, sub, name),
                "{m} {uri}"
            );
        }
    }

    #[test]
    fn empty_segments_count_unless_they_are_outside() {
        for (uri, version, verb, resource, name, sub) in [
            ("/api/v1/pods//", "v1", "list", "pods", "", ""),
            ("//api/v1/pods", "v1", "list", "pods", "", ""),
            ("/api//v1/pods", "", "get", "v1", "pods", ""),
            ("/api/v1//pods", "v1", "get", "", "pods", ""),
            ("/api/v1/namespaces//pods", "v1", "list", "pods", "", ""),
            ("/api/v1/namespaces/n//pods", "v1", "get", "", "pods", ""),
            ("/api/v1/namespaces/n/pods//log", "v1", "list", "pods", "", "log"),
        ] {
            let i = parse("GET", uri);
            assert!(i.is_resource, "{uri}");
            let got = (&*i.api_version, &*i.verb, &*i.resource, &*i.name, &*i.subresource);
            assert_eq!(got, (version, verb, resource, name, sub), "{uri}");
        }
    }

    #[test]
    fn a_collection_has_a_name_only_if_its_selector_selects_no_other() {
        for (selector, name) in [
            ("metadata.name%3Da", "a"),
            ("metadata.name%3D%3Da,metadata.namespace%3Dx", "a"),
            // One term about the namespace, whose value has a comma.
            (r"metadata.namespace!%3Dx\,metadata.name%3Da", ""),
            (r"metadata.name%3Da\,b", "a,b"),
            ("metadata.name!%3Da", ""),
            ("metadata.name%3D..", ""),
            ("metadata.name%3Da%252Fb", ""),
            ("metadata.name", ""),
        ] {
            for method in ["GET", "DELETE"] {
                let info = parse(
                    method,
                    &format!("/api/v1/namespaces/n/secrets?fieldSelector={selector}"),
                );
                assert_eq!(info.name, name, "{method} {selector}");
            }
        }
    }

    #[test]
    fn discovery_and_health_are_not_resources() {
        for uri in [
            "/",
            "/healthz",
            "/api",
            "/apis",
            "/api/v1",
            "/apis/apps",
            "/apis/apps/v1",
        ] {
            assert!(!parse("GET", uri).is_resource, "{uri}");
        }
    }
}
