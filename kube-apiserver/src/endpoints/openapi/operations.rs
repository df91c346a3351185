//! What a document describes besides schemas: paths with their operations, in one form that both versions of OpenAPI
//! are written from.
//!
//! Upstream: `apiserver/pkg/endpoints/installer.go` (`registerResourceHandlers`) says which operations there are and
//! how they are called, `pkg/endpoints/openapi` (`GetOperationIDAndTags`) how names and tags are made of that, and
//! kube-openapi's builders which parameters move up to the path.

use std::collections::BTreeMap;

mod nonresource;
mod parameters;
mod resource;

pub(super) use nonresource::{api_versions, group, groups, keys, openid_configuration, version};
pub(super) use parameters::Parameter;
pub(super) use resource::group_version;

/// Media types of objects, in upstream's order.
const OBJECT: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// Media types of lists and watches.
const STREAM: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
/// Media types of patches.
const PATCH: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const ANY: &[&str] = &["*/*"];

/// Operations by path.
pub(super) type Paths = BTreeMap<String, Vec<Operation>>;

/// One method of a path.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// Lower-case HTTP method.
    pub(super) method: &'static str,
    /// `operationId`.
    pub(super) id: String,
    /// What it does.
    pub(super) description: String,
    /// `apps_v1`.
    pub(super) tag: String,
    /// `x-kubernetes-action`.
    pub(super) action: Option<&'static str>,
    /// Group, version, kind.
    pub(super) kind: Option<[String; 3]>,
    /// All of them: [`split`] tells which belong to the path.
    pub(super) parameters: Vec<Parameter>,
    /// What the client sends.
    pub(super) body: Option<Body>,
    /// Media types of requests.
    pub(super) consumes: &'static [&'static str],
    /// Media types of answers.
    pub(super) produces: Vec<&'static str>,
    /// Status codes with a body.
    pub(super) answers: Vec<(u16, Content)>,
}

/// A request's body.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// A type of the schema table.
    pub(super) type_name: String,
    /// Whether there must be one.
    pub(super) required: bool,
}

/// What an answer holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// A type of the schema table.
    Type(String),
    /// Text.
    Text,
}

/// What a status code is called.
pub(super) fn phrase(code: u16) -> &'static str {
    match code {
        201 => "Created",
        202 => "Accepted",
        401 => "Unauthorized",
        _ => "OK",
    }
}

/// Moves the parameters that all operations of a path share out of them.
pub(super) fn split(operations: &mut [Operation]) -> Vec<Parameter> {
    let Some((first, others)) = operations.split_first() else {
        return Vec::new();
    };
    let everywhere = |p: &&Parameter| others.iter().all(|o| o.parameters.contains(p));
    let mut shared: Vec<Parameter> = first.parameters.iter().filter(everywhere).cloned().collect();
    shared.sort_by_key(|p| (p.name, !p.in_path));
    for o in operations {
        o.parameters.retain(|p| !shared.contains(p));
        o.parameters.sort_by_key(|p| (p.name, !p.in_path));
    }
    shared
}

/// `AppsV1`, `CoreV1`, `RbacAuthorizationV1`.
fn title(group: &str, version: &str) -> String {
    let group = match group {
        "" => "core",
        g => g.strip_suffix(".k8s.io").unwrap_or(g),
    };
    group
        .split('.')
        .map(capital)
        .chain(std::iter::once(capital(version)))
        .collect()
}

/// `apps_v1`; without version `apps`.
fn tag(group: &str, version: &str) -> String {
    let title = title(group, "");
    let group = format!("{}{}", title[..1].to_lowercase(), &title[1..]);
    if version.is_empty() {
        group
    } else {
        format!("{group}_{version}")
    }
}

fn capital(s: &str) -> String {
    let mut c = s.chars();
    c.next()
        .map(|f| f.to_uppercase().chain(c).collect())
        .unwrap_or_default()
}

/// ` a `, ` an `, or a space before plurals (upstream `GetArticleForNoun`).
fn article(noun: &str) -> &'static str {
    if noun.ends_with('s') && !noun.ends_with("ss") {
        " "
    } else if noun.starts_with(['A', 'E', 'I', 'O', 'U']) {
        " an "
    } else {
        " a "
    }
}
