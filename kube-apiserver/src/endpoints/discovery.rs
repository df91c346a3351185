//! (owner: APISERVER-AUTH) Discovery; legacy documents only until the aggregated form is here.

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::resources::{self, resources};

/// Paths listed at `/`.
pub(crate) fn paths() -> Vec<String> {
    vec![
        "/api".into(),
        "/apis".into(),
        "/healthz".into(),
        "/livez".into(),
        "/readyz".into(),
        "/version".into(),
    ]
}

/// `/api`, `/apis`, `/api/v1`, `/apis/<group>[/<version>]`; `None`: 404.
pub(crate) fn serve(path: &str, _headers: &HeaderMap) -> Option<Response<Body>> {
    let parts: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let v = match parts[..] {
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => {
            let mut groups: Vec<&str> = resources().iter().map(|r| r.group).filter(|g| !g.is_empty()).collect();
            groups.dedup();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.iter().map(|g| group(g)).collect::<Vec<_>>()})
        }
        ["api", v] if resources::group_version_exists("", v) => list("", v),
        ["apis", g] if resources::group_exists(g) => group(g),
        ["apis", g, v] if resources::group_version_exists(g, v) => list(g, v),
        _ => return None,
    };
    let mut body = serde_json::to_vec(&v).ok()?;
    body.push(b'\n');
    Some(super::respond::bytes(StatusCode::OK, "application/json", body))
}

fn group(g: &str) -> Value {
    let mut versions: Vec<&str> = resources().iter().filter(|r| r.group == g).map(|r| r.version).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.dedup();
    let gv = |v: &str| json!({"groupVersion": format!("{g}/{v}"), "version": v});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": g, "versions": versions.iter().map(|v| gv(v)).collect::<Vec<_>>(), "preferredVersion": gv(versions[0])})
}

fn list(g: &str, v: &str) -> Value {
    let mut all = vec![];
    for r in resources().iter().filter(|r| r.group == g && r.version == v) {
        all.push(json!({"name": r.plural, "singularName": r.singular, "namespaced": r.namespaced, "kind": r.kind, "verbs": r.verbs, "shortNames": r.short_names, "categories": r.categories}));
        for s in &r.subresources {
            all.push(json!({"name": format!("{}/{}", r.plural, s.name), "singularName": "", "namespaced": r.namespaced, "kind": s.kind, "group": s.group, "version": s.version, "verbs": s.verbs}));
        }
    }
    let gv = if g.is_empty() { v.to_owned() } else { format!("{g}/{v}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": all})
}
