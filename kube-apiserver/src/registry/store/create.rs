//! Create: system fields, name generation, strategy, admission, one guarded write.

use std::sync::Arc;

use apimachinery::names;
use apimachinery::status::{ApiError, Result};
use serde_json::Value;

use super::write::Written;
use super::{Entry, Hooks, Store, codec, meta};
use crate::registry::field_manager;
use crate::registry::strategy::Checked;
use crate::request::RequestContext;

/// Names tried for one `generateName` before giving up, as upstream.
const NAME_ATTEMPTS: usize = 8;

impl Store {
    /// Creates `obj` in `ns`.
    pub(crate) async fn create(
        &self,
        ctx: &RequestContext,
        ns: &str,
        mut obj: Value,
        hooks: &dyn Hooks,
    ) -> Result<Arc<Entry>> {
        meta::settle_namespace(&mut obj, self.row.namespaced, ns)?;
        if !matches!(meta::resource_version(&obj), "" | "0") {
            return Err(ApiError::generic(
                500,
                "",
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let m = meta::metadata_mut(&mut obj);
        for field in [
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "uid",
            "creationTimestamp",
        ] {
            m.remove(field);
        }
        hooks.admit(&mut obj, None).await?;

        let m = meta::metadata_mut(&mut obj);
        m.insert("uid".into(), Value::String(names::new_uid()));
        m.insert(
            "creationTimestamp".into(),
            Value::String(apimachinery::time::now_rfc3339()),
        );
        let generate = meta::generate_name(&obj).to_owned();
        let generated = meta::name(&obj).is_empty() && !generate.is_empty();
        let attempts = if generated { NAME_ATTEMPTS } else { 1 };
        let mut name = String::new();
        for _ in 0..attempts {
            // Only a generated name is tried again, with the object as it was.
            let mut obj = if generated {
                obj.clone()
            } else {
                std::mem::take(&mut obj)
            };
            if generated {
                let name = names::generate_name(&generate);
                meta::metadata_mut(&mut obj).insert("name".into(), Value::String(name));
            }
            let owners = field_manager::take_owners(&mut obj);
            self.dropped.apply(&mut obj, None);
            let Checked { mut errors, warnings } = self.strategy.create(ctx, &mut obj);
            name = meta::name(&obj).to_owned();
            if errors.is_empty() {
                errors = meta::created(&obj, owners.as_ref(), self.row.namespaced);
            }
            if !errors.is_empty() {
                return Err(ApiError::invalid(&self.gk, &name, errors));
            }
            field_manager::put_owners(&mut obj, owners);
            warnings.into_iter().for_each(|w| ctx.warn(w));
            hooks.validate(Some(&obj), None).await?;
            match self.write_new(ctx, ns, &name, obj).await? {
                Some(entry) => return Ok(entry),
                None if generated => {}
                None => return Err(ApiError::already_exists(&self.gr, &name)),
            }
        }
        Err(ApiError::generate_name_conflict(&self.gr, &name, 1))
    }

    /// Writes a new key; `None`: it exists.
    async fn write_new(
        &self,
        ctx: &RequestContext,
        ns: &str,
        name: &str,
        mut obj: Value,
    ) -> Result<Option<Arc<Entry>>> {
        let stored = codec::encode(self.row, self.settings.form, &mut obj)?;
        if ctx.dry_run {
            let (kv, _) = self.read(ns, name, "create").await?;
            return Ok(kv.is_none().then(|| self.wrap(0, obj)));
        }
        let key = self.key(ns, name)?;
        let written = self.put(&key, stored, obj, None).await;
        match written.map_err(|e| self.failed(e, "create"))? {
            Written::Done(entry) => Ok(Some(entry)),
            Written::Conflict(_) => Ok(None),
        }
    }
}
