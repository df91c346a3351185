//! The field manager: what a request does to an object and its `metadata.managedFields`
//! (apimachinery `util/managedfields/internal`: the chain `fieldmanager.go` builds, in one place).

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::compare;
use super::conflict;
use super::field_set;
use super::managed::{Entry, Managed, Operation, Owner};
use super::set::Set;
use super::updater::{Failure, Updater, Versions};
use super::validate;
use crate::field::escape_html;
use crate::gvk::GroupVersionKind;
use crate::meta;
use crate::schema::Schema;
use crate::status::ApiError;

/// kubectl's record of a client-side apply.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager that keeps client-side and server-side apply in step.
const KUBECTL: &str = "kubectl";
/// The owner of what was there when the first apply came.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Updates of this many managers are told apart (`DefaultMaxUpdateManagers`).
const MAX_UPDATE_MANAGERS: usize = 10;
/// `TotalAnnotationSizeLimitB`
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Fields nobody owns (`stripmeta.go`).
static STRIPPED: LazyLock<Set> = LazyLock::new(|| {
    Set::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// The rules for one path of one kind in one version.
#[derive(Clone, Copy)]
pub struct FieldManager<'a> {
    /// The table.
    pub schema: &'a Schema,
    /// The kind's versions.
    pub versions: &'a dyn Versions,
    /// The version the request is in.
    pub api_version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The subresource, empty for the object itself.
    pub subresource: &'a str,
}

impl FieldManager<'_> {
    fn updater(&self) -> Updater<'_> {
        Updater {
            schema: self.schema,
            versions: self.versions,
        }
    }

    /// The owners after a create, update or patch, as `metadata.managedFields`. Both objects are in the request's
    /// version; a created one replaces an object without a uid. `sent` are the owners the new object came with, which
    /// on a path of their own do not count; those it still has never do. `now` is RFC 3339.
    ///
    /// # Errors
    /// When the objects cannot be compared; upstream then stores no owners.
    pub fn update(
        &self,
        live: &Value,
        new: &Value,
        sent: Option<Value>,
        manager: &str,
        now: &str,
    ) -> Result<Option<Value>, String> {
        let stored = meta::metadata(live).get("managedFields");
        let mut managed = live_or_new(stored, sent, self.subresource.is_empty());
        // Once lost, owners are tracked again from the next apply on.
        if managed.entries.is_empty() && !meta::uid(live).is_empty() {
            return Ok(None);
        }
        self.track(live, new, &mut managed, manager, now)?;
        managed.cap_updates(MAX_UPDATE_MANAGERS);
        Ok(managed.encode())
    }

    /// Adds a write's changes to its owner.
    fn track(&self, live: &Value, new: &Value, managed: &mut Managed, manager: &str, now: &str) -> Result<(), String> {
        let changed = self.updater().update(live, new, self.api_version, managed)?;
        let changed = changed.difference(&STRIPPED);
        if changed.is_empty() {
            return Ok(());
        }
        let owner = Owner::new(manager, Operation::Update, self.api_version, self.subresource);
        let fields = match managed.take(&owner) {
            Some(mut before) => changed.union(self.updater().today(&mut before)),
            None => changed,
        };
        managed.put(Entry {
            owner,
            api_version: self.api_version.to_owned(),
            time: Some(now.to_owned()),
            fields: fields.into(),
        });
        Ok(())
    }

    /// Lays `config` over the live object, in the request's version. The answer carries the owners in
    /// `metadata.managedFields` and is yet to be decoded by the table.
    ///
    /// # Errors
    /// 409 with the conflicts, 400 for a configuration that is none of this kind, and 500 with upstream's text for
    /// one that does not fit the schema.
    pub fn apply(
        &self,
        live: &Value,
        config: &Value,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<Value, ApiError> {
        self.check(config)?;
        let decoded = Managed::decode(meta::metadata(live).get("managedFields"))
            .map_err(|why| ApiError::generic(500, "", format!("failed to decode managed fields: {why}")))?;
        let outcome = match self.merge(live, config, &decoded, manager, force, now) {
            Err(Failure::Conflicts(conflicts)) if manager == KUBECTL => {
                let allowed = self.last_applied_fields(live).unwrap_or_default();
                let left: Vec<_> = conflicts.into_iter().filter(|one| !allowed.has(&one.path)).collect();
                if left.is_empty() {
                    self.merge(live, config, &decoded, manager, true, now)
                } else {
                    Err(Failure::Conflicts(left))
                }
            }
            outcome => outcome,
        };
        let (mut object, managed) = outcome.map_err(|failure| match failure {
            Failure::Conflicts(conflicts) => conflict::to_api_error(&conflicts),
            Failure::Other(why) => ApiError::generic(500, "", why),
        })?;
        if manager == KUBECTL && meta::annotation(&object, LAST_APPLIED).is_some_and(|text| !text.is_empty()) {
            record_last_applied(&mut object, config);
        }
        meta::set(&mut object, "managedFields", managed.encode().unwrap_or(Value::Null));
        Ok(object)
    }

    /// What must be right before anything is merged.
    fn check(&self, config: &Value) -> Result<(), ApiError> {
        if meta::api_version(config) != self.api_version || meta::kind(config) != self.kind {
            let text = format!("invalid object type: {}", gvk(config));
            return Err(ApiError::bad_request(text));
        }
        if meta::metadata(config).get("managedFields").is_some_and(Value::is_array) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        let Some(atom) = self.updater().atom(self.api_version) else {
            return Err(ApiError::path_not_found());
        };
        let faults = validate::validate(self.schema, atom, config);
        faults.into_result().map_err(|why| {
            let text = format!("failed to create typed patch object ({}): {why}", named(config));
            ApiError::generic(500, "", text)
        })
    }

    fn merge(
        &self,
        live: &Value,
        config: &Value,
        managed: &Managed,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<(Value, Managed), Failure> {
        let mut managed = managed.clone();
        if managed.entries.is_empty() {
            let nothing = Value::Object(Map::new());
            self.track(&nothing, live, &mut managed, BEFORE_FIRST_APPLY, now)
                .map_err(|why| Failure::Other(format!("failed to create manager for existing fields: {why}")))?;
        }
        let owner = Owner::new(manager, Operation::Apply, self.api_version, self.subresource);
        let merged = self
            .updater()
            .apply(live, config, self.api_version, &mut managed, &owner, force)?;
        if let Some(mut entry) = managed.take(&owner) {
            entry.fields = std::mem::take(&mut entry.fields)
                .into_set()
                .difference(&STRIPPED)
                .into();
            if merged.is_some() {
                entry.time = Some(now.to_owned());
            }
            if !entry.fields.is_empty() {
                managed.put(entry);
            }
        }
        Ok((merged.unwrap_or_else(|| live.clone()), managed))
    }

    /// Fields that a client-side apply set and nobody changed since: kubectl may take them over
    /// (`lastappliedmanager.go`).
    fn last_applied_fields(&self, live: &Value) -> Option<Set> {
        let text = meta::annotation(live, LAST_APPLIED).filter(|text| !text.is_empty())?;
        let last: Value = serde_json::from_str(text).ok()?;
        if meta::api_version(&last) != self.api_version {
            return None;
        }
        let atom = self.updater().atom(self.api_version)?;
        // Of neither may an element occur twice.
        if [&last, live]
            .iter()
            .any(|object| !validate::validate(self.schema, atom, object).is_empty())
        {
            return None;
        }
        let changes = compare::compare(self.schema, atom, &last, live).ok()?;
        Some(
            field_set::field_set(self.schema, atom, &last)
                .difference(&changes.modified)
                .difference(&changes.added)
                .difference(&changes.removed),
        )
    }
}

/// The owners a write starts from (`decodeLiveOrNew`): those the client sent, where it may and when it sent valid ones.
/// An empty list, or one empty entry, takes them all away.
fn live_or_new(stored: Option<&Value>, sent: Option<Value>, may_send: bool) -> Managed {
    let unchanged = sent.as_ref() == stored;
    if may_send
        && !unchanged
        && let Some(Value::Array(list)) = &sent
    {
        let empty = |entry: &Value| entry.as_object().is_some_and(Map::is_empty);
        if list.is_empty() || list.len() == 1 && empty(&list[0]) {
            return Managed::default();
        }
        match Managed::decode(sent.as_ref()) {
            Ok(managed) if !managed.entries.is_empty() => return managed,
            _ => {}
        }
    }
    // Owners that came back as they were spare a copy of the stored ones.
    let list = if unchanged { sent } else { stored.cloned() };
    list.and_then(|list| Managed::stored(list).ok()).unwrap_or_default()
}

/// Keeps the annotation of client-side apply in step (`lastappliedupdater.go`).
fn record_last_applied(object: &mut Value, config: &Value) {
    let mut config = config.clone();
    if let Some(annotations) = config
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    let text = escape_html(config.to_string()) + "\n";
    meta::set_annotation(object, LAST_APPLIED, &text);
    let size: usize = meta::annotations(object)
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > MAX_ANNOTATIONS {
        meta::remove_annotation(object, LAST_APPLIED);
    }
}

/// `namespace/name; group/version, Kind=kind`, as upstream names an object in errors.
fn named(object: &Value) -> String {
    format!("{}/{}; {}", meta::namespace(object), meta::name(object), gvk(object))
}

/// An object's kind; a version that is none counts as no kind.
fn gvk(object: &Value) -> GroupVersionKind {
    meta::gvk(object).unwrap_or_else(|| GroupVersionKind::new("", "", ""))
}
