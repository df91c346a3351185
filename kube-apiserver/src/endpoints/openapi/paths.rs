//! The operations of a group version, from the resource table.

use serde_json::{Map, Value, json};

use super::schemas::reference;
use crate::endpoints::discovery::version_path;
use crate::resources::{self, Resource, Subresource};
use apimachinery::schema::group_prefix;

/// What answers are encoded in.
const MEDIA_TYPES: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// Patches the server takes.
const PATCHES: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

const WRITE: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
];
const PATCH: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
    ("force", "boolean"),
];
const DELETE: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "boolean"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const LIST: &[(&str, &str)] = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];

/// One operation on its way into the document.
struct Op<'a> {
    row: &'a Resource,
    sub: Option<&'a Subresource>,
    /// Group, version, kind it speaks.
    gvk: (&'a str, &'a str, &'a str),
}

/// All paths of a group version.
pub(super) fn paths(group: &str, version: &str) -> Map<String, Value> {
    let mut out = Map::new();
    let root = version_path(group, version);
    out.insert(
        format!("{root}/"),
        json!({"get": {
            "operationId": format!("get{}APIResources", title(group, version)),
            "tags": [tag(group, version)],
            "responses": responses("meta.v1.APIResourceList", &["200"]),
        }}),
    );
    for row in resources::resources()
        .iter()
        .filter(|r| r.group == group && r.version == version)
    {
        let op = Op {
            row,
            sub: None,
            gvk: (group, version, row.kind),
        };
        let prefix = if row.namespaced {
            format!("{root}/namespaces/{{namespace}}")
        } else {
            root.clone()
        };
        let collection = op.collection();
        if !collection.is_empty() {
            out.insert(format!("{prefix}/{}", row.plural), op.item(collection, false));
        }
        let item = op.single(&row.verbs);
        if !item.is_empty() {
            out.insert(format!("{prefix}/{}/{{name}}", row.plural), op.item(item, true));
        }
        if row.namespaced && row.has_verb("list") {
            let mut all = Map::new();
            all.insert(
                "get".to_owned(),
                op.operation(
                    "list",
                    "list",
                    LIST,
                    None,
                    &op.list_type(),
                    &["200"],
                    "ForAllNamespaces",
                ),
            );
            out.insert(format!("{root}/{}", row.plural), Value::Object(all));
        }
        for s in &row.subresources {
            let op = Op {
                row,
                sub: Some(s),
                gvk: (s.group.unwrap_or(group), s.version.unwrap_or(version), s.kind),
            };
            let ops = op.single(&s.verbs);
            if !ops.is_empty() {
                out.insert(
                    format!("{prefix}/{}/{{name}}/{}", row.plural, s.name),
                    op.item(ops, true),
                );
            }
        }
    }
    out
}

impl Op<'_> {
    fn type_name(&self) -> String {
        let (g, v, k) = self.gvk;
        format!("{}.{v}.{k}", group_prefix(g))
    }

    fn list_type(&self) -> String {
        format!("{}List", self.type_name())
    }

    /// The table may lack option types of connect requests: those are plain texts.
    fn known(&self) -> bool {
        api::schema().id(&self.type_name()).is_some()
    }

    fn collection(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let has = |v: &str| self.row.has_verb(v);
        if has("list") {
            out.insert(
                "get".to_owned(),
                self.operation("list", "list", LIST, None, &self.list_type(), &["200"], ""),
            );
        }
        if has("create") {
            let t = self.type_name();
            out.insert(
                "post".to_owned(),
                self.operation("create", "post", WRITE, Some(&t), &t, &["200", "201", "202"], ""),
            );
        }
        if has("deletecollection") {
            let op = self.operation(
                "deleteCollection",
                "deletecollection",
                LIST,
                Some("meta.v1.DeleteOptions"),
                "meta.v1.Status",
                &["200"],
                "",
            );
            out.insert("delete".to_owned(), op);
        }
        out
    }

    fn single(&self, verbs: &[&str]) -> Map<String, Value> {
        let mut out = Map::new();
        let t = self.type_name();
        let has = |v: &str| verbs.contains(&v);
        if has("get") {
            out.insert(
                "get".to_owned(),
                self.operation("read", "get", &[], None, &t, &["200"], ""),
            );
        }
        if has("create") && self.sub.is_some() {
            out.insert(
                "post".to_owned(),
                self.operation("create", "post", WRITE, Some(&t), &t, &["200", "201", "202"], ""),
            );
        }
        if has("update") {
            out.insert(
                "put".to_owned(),
                self.operation("replace", "put", WRITE, Some(&t), &t, &["200", "201"], ""),
            );
        }
        if has("patch") {
            let mut op = self.operation("patch", "patch", PATCH, None, &t, &["200", "201"], "");
            let patch = json!({"schema": reference("meta.v1.Patch")});
            let content: Map<String, Value> = PATCHES.iter().map(|p| ((*p).to_owned(), patch.clone())).collect();
            op["requestBody"] = json!({"content": content, "required": true});
            out.insert("patch".to_owned(), op);
        }
        if has("delete") {
            let op = self.operation(
                "delete",
                "delete",
                DELETE,
                Some("meta.v1.DeleteOptions"),
                "meta.v1.Status",
                &["200", "202"],
                "",
            );
            out.insert("delete".to_owned(), op);
        }
        out
    }

    /// A path with its operations and the parameters they share.
    fn item(&self, mut operations: Map<String, Value>, named: bool) -> Value {
        let mut shared = Vec::new();
        for (name, wanted) in [("name", named), ("namespace", self.row.namespaced)] {
            if wanted {
                shared.push(json!({
                    "name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true},
                }));
            }
        }
        shared.push(parameter("pretty", "string"));
        operations.insert("parameters".to_owned(), json!(shared));
        Value::Object(operations)
    }

    #[allow(clippy::too_many_arguments)]
    fn operation(
        &self,
        verb: &str,
        action: &str,
        parameters: &[(&str, &str)],
        body: Option<&str>,
        answer: &str,
        codes: &[&str],
        suffix: &str,
    ) -> Value {
        let (group, version, kind) = self.gvk;
        let scope = if self.row.namespaced && suffix.is_empty() {
            "Namespaced"
        } else {
            ""
        };
        let sub = self.sub.map(|s| capital(s.name)).unwrap_or_default();
        let id = format!(
            "{verb}{}{scope}{}{sub}{suffix}",
            title(self.row.group, self.row.version),
            self.row.kind
        );
        let mut op = json!({
            "operationId": id,
            "tags": [tag(self.row.group, self.row.version)],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        if !parameters.is_empty() {
            op["parameters"] = json!(parameters.iter().map(|(n, t)| parameter(n, t)).collect::<Vec<_>>());
        }
        if let Some(b) = body.filter(|_| self.known()) {
            let required = b != "meta.v1.DeleteOptions";
            op["requestBody"] = json!({"content": {"*/*": {"schema": reference(b)}}});
            if required {
                op["requestBody"]["required"] = json!(true);
            }
        }
        op["responses"] = if self.known() {
            responses(answer, codes)
        } else {
            json!({"200": {"description": "OK"}})
        };
        op
    }
}

fn parameter(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn responses(type_name: &str, codes: &[&str]) -> Value {
    let content: Map<String, Value> = MEDIA_TYPES
        .iter()
        .map(|m| ((*m).to_owned(), json!({"schema": reference(type_name)})))
        .collect();
    let mut out = Map::new();
    for c in codes {
        let text = match *c {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        out.insert((*c).to_owned(), json!({"description": text, "content": content}));
    }
    out.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    Value::Object(out)
}

fn capital(s: &str) -> String {
    let mut c = s.chars();
    c.next()
        .map(|f| f.to_uppercase().chain(c).collect())
        .unwrap_or_default()
}

/// `AppsV1`, `CoreV1`, `RbacAuthorizationV1`.
fn title(group: &str, version: &str) -> String {
    let group = if group.is_empty() {
        "core"
    } else {
        group.strip_suffix(".k8s.io").unwrap_or(group)
    };
    group
        .split('.')
        .map(capital)
        .chain(std::iter::once(capital(version)))
        .collect()
}

/// `apps_v1`.
fn tag(group: &str, version: &str) -> String {
    let t = title(group, "");
    let mut c = t.chars();
    let t: String = c
        .next()
        .map(|f| f.to_lowercase().chain(c).collect())
        .unwrap_or_default();
    format!("{t}_{version}")
}
