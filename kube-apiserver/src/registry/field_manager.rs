//! Who owns which fields: `metadata.managedFields` on every write.
//!
//! The rules are `apimachinery::patch::apply`'s; here is what they need to know of this server: the versions a kind
//! has, the fields each path resets (`reset.rs`), and the writer's name.

mod reset;

use apimachinery::codec::{json, proto, yaml};
use apimachinery::gvk::GroupVersionKind;
use apimachinery::meta;
use apimachinery::patch::apply::{FieldManager, Filter, ScaleHandler, Versions};
use apimachinery::schema::TypeId;
use apimachinery::status::{ApiError, Result};
use http::HeaderMap;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use super::convert;
use crate::resources::{self, Resource};

/// `FieldManagerMaxLength`
const MAX_NAME: usize = 128;
/// The name of the server's own writes: upstream's loopback client has it from its user agent.
const SELF: &str = "kube-apiserver";
/// Versions that have been served, besides those that are, in which entries may name the path of replicas.
const REPLICAS: [(&str, &[&str]); 5] = [
    ("v1", &["spec", "replicas"]),
    ("apps/v1", &["spec", "replicas"]),
    ("apps/v1beta1", &["spec", "replicas"]),
    ("apps/v1beta2", &["spec", "replicas"]),
    ("extensions/v1beta1", &["spec", "replicas"]),
];

/// One writer on one path.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    row: &'static Resource,
    subresource: &'static str,
    /// The kind of the body, with its version.
    kind: GroupVersionKind,
    manager: String,
}

impl Writer {
    /// A request's writer: `field_manager` as the query names it, or the start of the user agent.
    pub(crate) fn of_request(
        row: &'static Resource,
        subresource: Option<&'static resources::Subresource>,
        kind: GroupVersionKind,
        field_manager: &str,
        headers: &HeaderMap,
    ) -> Self {
        let manager = if field_manager.is_empty() {
            let agent = headers.get(USER_AGENT).map(|v| String::from_utf8_lossy(v.as_bytes()));
            prefix(agent.as_deref().unwrap_or_default())
        } else {
            field_manager.to_owned()
        };
        Writer {
            row,
            subresource: subresource.map_or("", |s| s.name),
            kind,
            manager,
        }
    }

    /// The server itself.
    pub(crate) fn own(row: &'static Resource, subresource: &'static str) -> Self {
        Writer {
            row,
            subresource,
            kind: GroupVersionKind::new(row.group, row.version, row.kind),
            manager: SELF.to_owned(),
        }
    }

    fn with<T>(&self, run: impl FnOnce(&FieldManager<'_>) -> T) -> T {
        let versions = Rows {
            row: self.row,
            kind: &self.kind,
            subresource: self.subresource,
        };
        let api_version = self.kind.api_version();
        run(&FieldManager {
            schema: api::schema(),
            versions: &versions,
            api_version: &api_version,
            kind: &self.kind.kind,
            subresource: self.subresource,
        })
    }

    /// Records the owners after a write that was no apply. Objects are in the hub version; null replaces nothing.
    pub(crate) fn track(&self, old: &Value, new: &mut Value) {
        let nothing = json!({});
        let old = if old.is_null() { &nothing } else { old };
        let now = apimachinery::time::now_rfc3339();
        let sent = take_owners(new);
        let owners = self.with(|fields| {
            if convert::is_hub(self.row) {
                return fields.update(old, new, sent, &self.manager, &now);
            }
            let old = convert::from_hub(self.row, old);
            let new = convert::from_hub(self.row, new);
            fields.update(&old, &new, sent, &self.manager, &now)
        });
        self.settle(owners, new);
    }

    /// The same on the Scale of `parent`, which keeps the owners of its replicas.
    pub(crate) fn track_scale(&self, old: &Value, new: &mut Value) {
        let now = apimachinery::time::now_rfc3339();
        let owners = self.with(|fields| fields.update(old, new, None, &self.manager, &now));
        self.settle(owners, new);
    }

    /// Gives an object its owners; none when they could not be told, because a write must not fail for it (upstream
    /// `UpdateNoErrors`).
    fn settle(&self, owners: std::result::Result<Option<Value>, String>, object: &mut Value) {
        let owners = owners.unwrap_or_else(|error| {
            let (namespace, name) = (meta::namespace(object), meta::name(object));
            tracing::error!(kind = %self.kind.kind, namespace, name, error, "failed to update managedFields");
            None
        });
        meta::set(object, "managedFields", owners.unwrap_or_default());
    }

    /// Lays a configuration over the live object of the path's version; null is no object. The outcome is checked
    /// by the schema table and has its owners recorded.
    pub(crate) fn apply(&self, live: &Value, config: &Value, force: bool) -> Result<Value> {
        let now = apimachinery::time::now_rfc3339();
        let mut nothing = json!({});
        meta::set_gvk(&mut nothing, &self.kind.api_version(), &self.kind.kind);
        let live = if live.is_null() { &nothing } else { live };
        let merged = self.with(|fields| fields.apply(live, config, &self.manager, force, &now))?;
        let schema = api::schema();
        let ty = schema.kind(&self.kind).ok_or_else(ApiError::path_not_found)?;
        let mut object = json::conform(schema, ty, &merged)
            .map_err(|e| self.unfit(&merged, &e))?
            .object;
        meta::set_gvk(&mut object, &self.kind.api_version(), &self.kind.kind);
        Ok(object)
    }

    /// A merged object with a value of a wrong type (upstream: `structuredmerge.go` `Apply`).
    fn unfit(&self, object: &Value, why: &json::DecodeError) -> ApiError {
        let (namespace, name, kind) = (meta::namespace(object), meta::name(object), &self.kind);
        let text = format!("failed to convert new object ({namespace}/{name}; {kind}) to proper version: {why}");
        ApiError::generic(500, "", text)
    }

    /// The move of owners between the workload and its Scale.
    fn scale_handler<T>(&self, run: impl FnOnce(&ScaleHandler<'_>) -> T) -> T {
        let api_version = self.row.api_version();
        run(&ScaleHandler {
            mappings: &REPLICAS,
            api_version: &api_version,
        })
    }

    /// The owners of a workload's replicas, as owners of its Scale.
    pub(crate) fn owners_of_scale(&self, parent: &Value) -> Result<Value> {
        let list = meta::metadata(parent).get("managedFields");
        let owners = self.scale_handler(|handler| handler.to_scale(list));
        owners.map(Option::unwrap_or_default).map_err(malformed)
    }

    /// The workload's owners after its Scale was written.
    pub(crate) fn owners_of_parent(&self, parent: &Value, scale: &Value) -> Result<Value> {
        let list = |object| meta::metadata(object).get("managedFields");
        let owners = self.scale_handler(|handler| handler.to_parent(list(parent), list(scale)));
        owners.map(Option::unwrap_or_default).map_err(malformed)
    }
}

fn malformed(why: String) -> ApiError {
    ApiError::generic(500, "", why)
}

/// What precedes the first slash of a user agent, printable and cut to size (upstream `prefixFromUserAgent`).
fn prefix(agent: &str) -> String {
    let mut out = String::new();
    for c in agent.split('/').next().unwrap_or_default().chars() {
        if c.is_control() || c.is_whitespace() && c != ' ' {
            continue;
        }
        if out.len() + c.len_utf8() > MAX_NAME {
            break;
        }
        out.push(c);
    }
    out
}

/// Takes the owners out. Strategies see objects without them: decoding to a type and back would cost more than all
/// else they do, and no rule of a kind is about owners.
pub(crate) fn take_owners(object: &mut Value) -> Option<Value> {
    meta::take(object, "managedFields")
}

/// Puts back what [`take_owners`] took.
pub(crate) fn put_owners(object: &mut Value, owners: Option<Value>) {
    if let Some(owners) = owners {
        meta::metadata_mut(object).insert("managedFields".to_owned(), owners);
    }
}

/// Whether an object, as it was sent, says that it has no owners. Decoding by the schema table drops empty lists.
pub(crate) fn says_no_owners(sent: &Value) -> bool {
    let list = meta::metadata(sent).get("managedFields").and_then(Value::as_array);
    list.is_some_and(Vec::is_empty)
}

/// As [`says_no_owners`] of a body; one without such a list is not parsed.
pub(crate) fn body_says_no_owners(body: &[u8]) -> bool {
    const NAME: &str = "managedFields";
    // Protobuf cannot tell an empty list from none.
    if body.starts_with(proto::MAGIC) {
        return false;
    }
    let body = String::from_utf8_lossy(body);
    let is_empty_list = |rest: &str| {
        let mut signs = rest.bytes().filter(|c| !b" \"':\r\n\t".contains(c));
        signs.next() == Some(b'[') && signs.next() == Some(b']')
    };
    let mut behind = body.match_indices(NAME).map(|(at, _)| &body[at + NAME.len()..]);
    behind.any(is_empty_list) && yaml::parse(&body).is_ok_and(|(tree, _)| says_no_owners(&tree))
}

/// Takes all owners away, in a form that decoding keeps.
pub(crate) fn set_no_owners(object: &mut Value) {
    meta::set(object, "managedFields", json!([{}]));
}

/// Takes back new times of owners when nothing else changed, so that nothing is written
/// (upstream `IgnoreManagedFieldsTimestampsTransformer`).
pub(crate) fn ignore_times(new: &mut Value, old: &Value) {
    fn list(object: &Value) -> Option<&Vec<Value>> {
        meta::metadata(object).get("managedFields").and_then(Value::as_array)
    }
    let (Some(before), Some(after)) = (list(old), list(new)) else {
        return;
    };
    if before == after || before.len() != after.len() {
        return;
    }
    let same = |(a, b): (&Value, &Value)| {
        let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
            return false;
        };
        let rest = |map: &serde_json::Map<String, Value>| map.len() - usize::from(map.contains_key("time"));
        rest(a) == rest(b) && a.iter().all(|(k, v)| k == "time" || b.get(k) == Some(v))
    };
    if !before.iter().zip(after).all(same) {
        return;
    }
    let (before, after) = (before.clone(), after.clone());
    meta::set(new, "managedFields", before);
    if new != old {
        meta::set(new, "managedFields", after);
    }
}

/// The versions of a row's kind.
struct Rows<'a> {
    row: &'static Resource,
    kind: &'a GroupVersionKind,
    subresource: &'static str,
}

impl Rows<'_> {
    /// The row of a version; events have two groups.
    fn row_of(&self, api_version: &str) -> Option<&'static Resource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        resources::find(group, version, self.row.plural)
    }
}

impl Versions for Rows<'_> {
    fn type_of(&self, api_version: &str) -> Option<TypeId> {
        if api_version == self.kind.api_version() {
            return api::schema().kind(self.kind);
        }
        let row = self.row_of(api_version)?;
        api::schema().kind_of(row.group, row.version, row.kind)
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Value {
        match (self.row_of(from), self.row_of(to)) {
            (Some(from), Some(to)) => {
                let mut object = convert::from_hub(to, &convert::to_hub(from, object.clone()));
                meta::set_gvk(&mut object, &to.api_version(), to.kind);
                object
            }
            _ => object.clone(),
        }
    }

    fn reset_fields(&self, _api_version: &str) -> Option<&Filter> {
        // Upstream's lists are the same in all versions of a kind.
        reset::fields(self.row.group, self.row.plural, self.subresource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_the_start_of_the_user_agent() {
        let long = "a".repeat(200);
        for (agent, name) in [
            ("kubectl/v1.36.0 (linux/amd64)", "kubectl"),
            ("My Tool", "My Tool"),
            ("", ""),
            ("a\u{1}b/1", "ab"),
            (&long, &long[..128]),
        ] {
            assert_eq!(prefix(agent), name);
        }
    }

    #[test]
    fn an_agent_may_have_a_name_that_is_not_ascii() {
        let mut headers = HeaderMap::new();
        let agent = "Größe/1".as_bytes();
        headers.insert(
            USER_AGENT,
            http::HeaderValue::from_bytes(agent).expect("bytes of a header"),
        );
        let pods = resources::find("", "v1", "pods").expect("pods are served");
        let writer = Writer::of_request(pods, None, GroupVersionKind::new("", "v1", "Pod"), "", &headers);
        assert_eq!(writer.manager, "Größe");
    }

    #[test]
    fn a_body_may_take_the_owners_away() {
        for (body, does) in [
            (r#"{"metadata": {"managedFields": [ ], "name": "a"}}"#, true),
            ("metadata:\n  managedFields: []\n", true),
            (
                r#"{"data": {"a": "managedFields"}, "metadata": {"managedFields": []}}"#,
                true,
            ),
            (r#"{"metadata": {"managedFields": [{}]}}"#, false),
            (r#"{"spec": {"metadata": {"managedFields": []}}}"#, false),
            ("k8s\0managedFields", false),
            ("k8s\0metadata: {managedFields: []}", false),
            ("{}", false),
        ] {
            assert_eq!(body_says_no_owners(body.as_bytes()), does, "{body}");
        }
    }

    #[test]
    fn new_times_alone_are_no_change() {
        let object = |time: &str, value: i64| json!({"metadata": {"managedFields": [{"manager": "a", "time": time, "fieldsV1": {"f:x": {}}}]}, "x": value});
        let old = object("2026-01-01T00:00:00Z", 1);
        let mut new = object("2026-01-01T00:00:09Z", 1);
        ignore_times(&mut new, &old);
        assert_eq!(new, old);
        let mut new = object("2026-01-01T00:00:09Z", 2);
        ignore_times(&mut new, &old);
        assert_eq!(new, object("2026-01-01T00:00:09Z", 2));
    }
}
