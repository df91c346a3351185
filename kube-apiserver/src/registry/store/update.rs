//! Update and patch: read, change, check, write if still the same; again when someone was faster.

use std::sync::Arc;

use apimachinery::field::{Error, Path};
use apimachinery::status::{ApiError, Result};
use serde_json::Value;

use super::write::Written;
use super::{Entry, Hooks, Store, codec, meta};
use crate::registry::field_manager;
use crate::registry::strategy::{Checked, Strategy};
use crate::request::RequestContext;
use crate::storage::Write;

/// The conflict text tools match on.
pub(super) const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
/// Rounds of read-change-write before a busy object is reported as a conflict.
const ROUNDS: usize = 64;

/// The new object from the present one. Called again after a lost race.
pub(crate) type ChangeFn<'a> = &'a (dyn Fn(&Value) -> Result<Value> + Send + Sync);

impl Store {
    /// Changes one object; the flag tells that it was created instead.
    pub(crate) async fn update(
        &self,
        ctx: &RequestContext,
        ns: &str,
        name: &str,
        strategy: &dyn Strategy,
        change: ChangeFn<'_>,
        hooks: &dyn Hooks,
    ) -> Result<(Arc<Entry>, bool)> {
        let key = self.key(ns, name)?;
        let (mut current, _) = self.read(ns, name, "update").await?;
        for _ in 0..ROUNDS {
            let Some(kv) = current else {
                if !strategy.allow_create_on_update() && !hooks.creates() {
                    return Err(ApiError::not_found(&self.gr, name));
                }
                let obj = change(&Value::Null)?;
                if !meta::uid(&obj).is_empty() {
                    let why = format!(
                        "Precondition failed: UID in precondition: {}, UID in object meta: ",
                        meta::uid(&obj)
                    );
                    return Err(ApiError::conflict(&self.gr, name, why));
                }
                match self.create(ctx, ns, without_version(obj), hooks).await {
                    // Someone was faster: it is an update now.
                    Err(e) if e.is_already_exists() => {
                        current = self.read(ns, name, "update").await?.0;
                        continue;
                    }
                    done => return Ok((done?, true)),
                }
            };
            let mut old = Arc::unwrap_or_clone(self.entry(&kv)?.value());
            let mut new = change(&old)?;
            self.settle(ns, name, strategy, &mut new, &old, kv.mod_rev)?;
            hooks.admit(&mut new, Some(&old)).await?;
            let owners = (
                field_manager::take_owners(&mut new),
                field_manager::take_owners(&mut old),
            );
            self.dropped.apply(&mut new, Some(&old));
            let Checked {
                errors: particular,
                warnings,
            } = strategy.update(ctx, &mut new, &old);
            let mut errors = meta::changed(&new, owners.0.as_ref(), &old, self.row.namespaced);
            errors.extend(particular);
            field_manager::put_owners(&mut new, owners.0);
            field_manager::put_owners(&mut old, owners.1);
            field_manager::ignore_times(&mut new, &old);
            if !errors.is_empty() {
                return Err(ApiError::invalid(&self.gk, name, errors));
            }
            warnings.into_iter().for_each(|w| ctx.warn(w));
            hooks.validate(Some(&new), Some(&old)).await?;

            let stored = codec::encode(self.row, self.settings.form, &mut new)?;
            let gone = self.finished(&new, &old);
            let unchanged = || !gone && (stored.bytes == kv.value || new == old && self.written_as_now(&kv.value));
            if ctx.dry_run || unchanged() && !self.stale(&key).await? {
                return Ok((self.wrap(kv.mod_rev, new), false));
            }
            if gone {
                let removed = self.storage.delete(&key, kv.mod_rev).await;
                match removed.map_err(|e| self.failed(e, "update"))? {
                    Write::Done(rev) => {
                        self.entries.deleted(&key, rev);
                        meta::set_revision(&mut new, rev);
                        hooks.gone(&new).await;
                        return Ok((self.wrap(rev, new), false));
                    }
                    Write::Conflict(now) => current = now,
                }
                continue;
            }
            let written = self.put(&key, stored, new, Some(kv.mod_rev)).await;
            match written.map_err(|e| self.failed(e, "update"))? {
                Written::Done(entry) => return Ok((entry, false)),
                Written::Conflict(now) => current = now,
            }
        }
        Err(ApiError::conflict(&self.gr, name, MODIFIED))
    }

    /// Version and identity checks, and the fields a client may leave out or must not change
    /// (upstream `rest.BeforeUpdate`, `ValidateObjectMetaAccessorUpdate`).
    fn settle(
        &self,
        ns: &str,
        name: &str,
        strategy: &dyn Strategy,
        new: &mut Value,
        old: &Value,
        rev: i64,
    ) -> Result<()> {
        meta::settle_namespace(new, self.row.namespaced, ns)?;
        let version = meta::resource_version(new);
        match version {
            "" | "0" => {
                if !strategy.allow_unconditional_update() {
                    let path = Path::new("metadata").child("resourceVersion");
                    let e = Error::invalid(&path, 0i64, "must be specified for an update");
                    return Err(ApiError::invalid(&self.gk, name, vec![e]));
                }
            }
            text => match text.parse::<u64>() {
                Ok(n) if n as i64 == rev => {}
                Ok(_) => return Err(ApiError::conflict(&self.gr, name, MODIFIED)),
                Err(_) => {
                    let path = Path::new("metadata").child("resourceVersion");
                    let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                    return Err(ApiError::invalid(
                        &self.gk,
                        name,
                        vec![Error::invalid(&path, text, why)],
                    ));
                }
            },
        }
        let (uid, old_uid) = (meta::uid(new), meta::uid(old));
        if !uid.is_empty() && uid != old_uid {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {old_uid}");
            return Err(ApiError::conflict(&self.gr, name, why));
        }
        let old_meta = apimachinery::meta::metadata(old);
        let m = meta::metadata_mut(new);
        m.remove("selfLink");
        m.insert("resourceVersion".into(), Value::String(rev.to_string()));
        let keep = |m: &mut serde_json::Map<String, Value>, field: &str| match old_meta.get(field) {
            Some(v) => {
                m.insert(field.to_owned(), v.clone());
            }
            None => {
                m.remove(field);
            }
        };
        keep(m, "uid");
        keep(m, "generation");
        for field in ["creationTimestamp", "deletionTimestamp"] {
            // Times that are set stay, whatever a client says; to set one is for validation to refuse.
            if old_meta.contains_key(field) || m.get(field).is_none_or(Value::is_null) {
                keep(m, field);
            }
        }
        for field in ["name", "deletionGracePeriodSeconds"] {
            // A client may leave these out; a different value is for validation to refuse.
            if m.get(field).is_none_or(Value::is_null) {
                keep(m, field);
            }
        }
        Ok(())
    }

    /// Whether this update removes the last thing a marked object waited for
    /// (upstream `ShouldDeleteDuringUpdate`).
    fn finished(&self, new: &Value, old: &Value) -> bool {
        meta::is_terminating(old) && meta::deletion_grace_period_seconds(old).unwrap_or(0) == 0 && !self.pending(new)
    }

    /// Whether finalizers keep the object; namespaces also wait for `spec.finalizers`.
    pub(super) fn pending(&self, obj: &Value) -> bool {
        !meta::finalizers(obj).is_empty()
            || (self.row.plural == "namespaces"
                && self.row.group.is_empty()
                && obj
                    .pointer("/spec/finalizers")
                    .and_then(Value::as_array)
                    .is_some_and(|a| !a.is_empty()))
    }
}

fn without_version(mut obj: Value) -> Value {
    meta::set_revision(&mut obj, 0);
    obj
}
