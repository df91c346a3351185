//! Delete: preconditions, grace periods, garbage-collection finalizers, collections.
//!
//! Rules: upstream `registry/store.go` `Delete`, `updateForGracefulDeletionAndFinalizers`,
//! `deletionFinalizersForGarbageCollection`; `rest/delete.go` `BeforeDelete`.

use std::sync::Arc;

use apimachinery::gvk::GroupResource;
use apimachinery::status::{ApiError, Result};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::{Entry, Hooks, List, Store, codec, meta};
use crate::registry::options::{DeleteOptions, ListOptions};
use crate::request::RequestContext;
use crate::storage::Write;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// Rounds of read-mark-write.
const ROUNDS: usize = 64;

/// What a delete left behind.
pub(crate) struct Deleted {
    /// The object as it last was.
    pub(crate) entry: Arc<Entry>,
    /// Gone; otherwise it waits for its grace period or finalizers.
    pub(crate) gone: bool,
}

/// What marking does to the object.
enum Marked {
    /// Remove it now.
    Now,
    /// It is marked already; nothing to write.
    Already,
    /// Write the marks; then remove it, or leave it to wait.
    Write { then_remove: bool },
}

impl Store {
    /// Deletes one object, or marks it.
    pub(crate) async fn delete(
        &self,
        ctx: &RequestContext,
        ns: &str,
        name: &str,
        options: &DeleteOptions,
        hooks: &dyn Hooks,
    ) -> Result<Deleted> {
        let key = self.key(ns, name)?;
        let (mut current, _) = self.read(ns, name, "delete").await?;
        // The object as this call has marked it.
        let mut marked: Option<Arc<Entry>> = None;
        for _ in 0..ROUNDS {
            let now = current.as_ref().map(|kv| Ok((kv.mod_rev, self.entry(kv)?.value())));
            let now = now.transpose()?;
            // Someone else removed what we marked; one that has come back since is not ours to remove
            // (upstream `ignoreNotFound`).
            if let Some(entry) = &marked
                && now
                    .as_ref()
                    .is_none_or(|(_, obj)| meta::uid(obj) != meta::uid(&entry.value()))
            {
                return Ok(Deleted {
                    entry: entry.clone(),
                    gone: true,
                });
            }
            let Some((rev, obj)) = now else {
                return Err(ApiError::not_found(&self.gr, name));
            };
            let mut obj = Arc::unwrap_or_clone(obj);
            self.preconditions(name, options, &obj, rev, marked.as_deref())?;
            if marked.is_none() {
                hooks.validate(None, Some(&obj)).await?;
            } else if self.pending(&obj) {
                // Someone put a finalizer on it since we marked it.
                return Ok(Deleted {
                    entry: self.wrap(rev, obj),
                    gone: false,
                });
            }
            let mark = if marked.is_some() {
                Marked::Now
            } else {
                self.mark(&mut obj, options)
            };
            if ctx.dry_run || options.dry_run {
                return Ok(Deleted {
                    entry: self.wrap(rev, obj),
                    gone: matches!(mark, Marked::Now),
                });
            }
            let outcome = match mark {
                Marked::Already => {
                    return Ok(Deleted {
                        entry: self.wrap(rev, obj),
                        gone: false,
                    });
                }
                Marked::Now => self.storage.delete(&key, rev).await,
                Marked::Write { .. } => {
                    let bytes = codec::encode(self.row, self.settings.form, &mut obj)?.bytes;
                    self.storage.update(&key, bytes, rev, self.ttl).await
                }
            };
            match (outcome.map_err(|e| self.failed(e, "delete"))?, mark) {
                (Write::Done(rev), Marked::Write { then_remove: true }) => {
                    meta::set_revision(&mut obj, rev);
                    marked = Some(self.wrap(rev, obj));
                    current = self.read(ns, name, "delete").await?.0;
                }
                (Write::Done(rev), mark) => {
                    if matches!(mark, Marked::Now) {
                        self.entries.deleted(&key, rev);
                    }
                    meta::set_revision(&mut obj, rev);
                    let gone = matches!(mark, Marked::Now);
                    if gone {
                        hooks.gone(&obj).await;
                    }
                    return Ok(Deleted {
                        entry: self.wrap(rev, obj),
                        gone,
                    });
                }
                (Write::Conflict(now), _) => current = now,
            }
        }
        Err(ApiError::conflict(&self.gr, name, super::update::MODIFIED))
    }

    fn preconditions(
        &self,
        name: &str,
        options: &DeleteOptions,
        obj: &Value,
        rev: i64,
        marked: Option<&Entry>,
    ) -> Result<()> {
        let uid = meta::uid(obj);
        if let Some(want) = &options.uid
            && want != uid
        {
            let why = format!(
                "the UID in the precondition ({want}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
            );
            return Err(self.refused(name, why));
        }
        // Our own mark moved the version on: what the client asked for held before it.
        let wanted = options.resource_version.as_ref();
        if let Some(want) = wanted.map(|want| marked.map_or_else(|| want.clone(), |entry| entry.rev.to_string()))
            && want != rev.to_string()
        {
            let why = format!(
                "the ResourceVersion in the precondition ({want}) does not match the ResourceVersion in record ({rev}). The object might have been modified"
            );
            return Err(self.refused(name, why));
        }
        Ok(())
    }

    /// A precondition that does not hold: upstream names the kind here, not the resource.
    fn refused(&self, name: &str, why: String) -> ApiError {
        let kind = GroupResource::new(self.gk.group.clone(), self.gk.kind.clone());
        ApiError::conflict(&kind, name, why)
    }

    /// Applies grace period and finalizers to `obj`.
    fn mark(&self, obj: &mut Value, options: &DeleteOptions) -> Marked {
        let now = jiff::Timestamp::now();
        let before: Vec<String> = meta::finalizers(obj).into_iter().map(str::to_owned).collect();
        let after = self.gc_finalizers(&before, options);
        let finalizers_change = before.len() != after.len() || before.iter().any(|f| !after.contains(f));

        let graceful = self.grace(obj, options, now);
        if matches!(graceful, Grace::Pending) {
            // Finalizers are not touched while a period runs.
            return Marked::Already;
        }
        if finalizers_change {
            meta::set_finalizers(obj, &after);
        }
        let pending = self.pending(obj);
        match graceful {
            Grace::Set(seconds) => Marked::Write {
                then_remove: seconds == 0 && !pending,
            },
            Grace::None if pending => {
                if !self.mark_waiting(obj, now) && !finalizers_change {
                    return Marked::Already;
                }
                Marked::Write { then_remove: false }
            }
            Grace::None | Grace::Pending => Marked::Now,
        }
    }

    /// Marks an object that only finalizers hold (upstream `markAsDeleting`); whether that changed it.
    fn mark_waiting(&self, obj: &mut Value, now: jiff::Timestamp) -> bool {
        let marked = meta::is_terminating(obj);
        if marked && meta::deletion_grace_period_seconds(obj).unwrap_or(0) == 0 {
            return false;
        }
        let generation = meta::generation(obj);
        let at = meta::deletion_timestamp(obj).and_then(|t| apimachinery::time::parse(t).ok());
        meta::mark_deleted(obj, at.filter(|t| *t <= now).unwrap_or(now), 0);
        if !marked && generation > 0 {
            meta::metadata_mut(obj).insert("generation".into(), Value::from(generation + 1));
        }
        if self.row.plural == "namespaces" && self.row.group.is_empty() {
            // Namespaces have no grace period (upstream namespace `REST.Delete`).
            meta::metadata_mut(obj).remove("deletionGracePeriodSeconds");
            obj["status"]["phase"] = Value::String("Terminating".into());
        }
        true
    }

    /// Grace periods; sets the timestamps when a new period begins.
    fn grace(&self, obj: &mut Value, options: &DeleteOptions, now: jiff::Timestamp) -> Grace {
        let Some(seconds) = self.strategy.graceful_deletion(obj, options.grace_period_seconds) else {
            return Grace::None;
        };
        if meta::is_terminating(obj) {
            let running = meta::deletion_grace_period_seconds(obj).unwrap_or(0);
            if running == 0 {
                return Grace::None;
            }
            // Negative stands for the shortest period there is; a running one can only be shortened.
            let wanted = options.grace_period_seconds.map(|s| if s < 0 { 1 } else { s });
            let Some(mut wanted) = wanted.filter(|w| *w < running) else {
                return Grace::Pending;
            };
            let started = meta::deletion_timestamp(obj)
                .and_then(|t| apimachinery::time::parse(t).ok())
                .map_or(now, |t| meta::later(t, running.saturating_neg()));
            let mut end = meta::later(started, wanted);
            if end < now {
                end = now;
                wanted = wanted.min(1);
            }
            meta::mark_deleted(obj, meta::later(end, wanted.saturating_neg()), wanted);
            return Grace::Set(wanted);
        }
        meta::mark_deleted(obj, now, seconds);
        let generation = meta::generation(obj);
        if generation > 0 {
            meta::metadata_mut(obj).insert("generation".into(), Value::from(generation + 1));
        }
        Grace::Set(seconds)
    }

    /// The finalizers the garbage collector acts on.
    fn gc_finalizers(&self, now: &[String], options: &DeleteOptions) -> Vec<String> {
        // The first of the two on the object overrides the kind's default.
        let on_it = now
            .iter()
            .map(String::as_str)
            .find(|f| matches!(*f, ORPHAN | FOREGROUND));
        let has = |f: &str| on_it == Some(f);
        let policy = options.propagation_policy.as_deref();
        // Kinds that outlived their first controllers keep orphaning as the default.
        let orphans_by_default = matches!(
            (self.row.group, self.row.plural),
            ("", "replicationcontrollers") | ("batch", "jobs")
        );
        let orphan = match (options.orphan_dependents, policy) {
            (Some(explicit), _) => explicit,
            (None, Some(p)) => p == "Orphan",
            (None, None) => has(ORPHAN) || (orphans_by_default && !has(FOREGROUND)),
        };
        let foreground = match (options.orphan_dependents, policy) {
            (Some(_), _) => false,
            (None, Some(p)) => p == "Foreground",
            (None, None) => has(FOREGROUND),
        };
        let mut all: Vec<String> = now
            .iter()
            .filter(|f| *f != ORPHAN && *f != FOREGROUND)
            .cloned()
            .collect();
        // Events support no garbage collection at all.
        if self.row.plural == "events" && self.row.group.is_empty() {
            return all;
        }
        if !self.settings.garbage_collector {
            return now.to_vec();
        }
        if orphan {
            all.push(ORPHAN.to_owned());
        }
        if foreground {
            all.push(FOREGROUND.to_owned());
        }
        all
    }

    /// Deletes everything a list selects; answers what was listed.
    pub(crate) async fn delete_collection(
        &self,
        ctx: &RequestContext,
        ns: &str,
        list: &ListOptions,
        options: &DeleteOptions,
        hooks: &dyn Hooks,
    ) -> Result<List> {
        let found = self.list(ns, list).await?;
        let deletions = found.items.iter().map(|entry| {
            let (ns, name) = (entry.index.namespace.as_str(), entry.index.name.as_str());
            let deleted = self.delete(ctx, ns, name, options, hooks);
            let gone_before = |e: ApiError| if e.is_not_found() { Ok(()) } else { Err(e) };
            deleted.map(move |done| done.map(drop).or_else(gone_before)).boxed()
        });
        let deletions: Vec<BoxFuture<'_, Result<()>>> = deletions.collect();
        // The first error stops those that have not begun.
        let workers = futures::stream::iter(deletions).buffer_unordered(self.settings.delete_workers.max(1));
        workers.try_collect::<()>().await?;
        Ok(found)
    }
}

enum Grace {
    /// The kind has none, or the period is over.
    None,
    /// A period is running and goes on.
    Pending,
    /// A period of this many seconds begins.
    Set(i64),
}
