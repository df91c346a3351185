//! The options of list, watch and delete, as the store reads them.
//!
//! Rules: upstream `apimachinery/pkg/apis/meta/v1/validation` and
//! `meta/internalversion/validation` (`ValidateListOptions`).

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::gvk::GroupKind;
use apimachinery::status::{ApiError, Result};
use apimachinery::{fields, labels};
use serde_json::Value;

use crate::request::Query;

/// How a list's `resourceVersion` binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// `resourceVersionMatch=Exact`.
    Exact,
    /// `resourceVersionMatch=NotOlderThan`.
    NotOlderThan,
}

/// `ListOptions` of list, watch and deletecollection.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    /// Label selector, everything when absent.
    pub(crate) labels: Option<labels::Selector>,
    /// Field selector, everything when absent.
    pub(crate) fields: Option<fields::Selector>,
    /// Page size; 0: all.
    pub(crate) limit: usize,
    /// Continue token of the page before.
    pub(crate) continue_token: String,
    /// As sent; empty: the most recent.
    pub(crate) resource_version: String,
    /// How `resource_version` binds.
    pub(crate) version_match: Option<Match>,
    /// Watch: send the current state first, then a marked bookmark.
    pub(crate) send_initial_events: Option<bool>,
    /// Watch: bookmarks are welcome.
    pub(crate) bookmarks: bool,
    /// End of a watch, seconds.
    pub(crate) timeout_seconds: Option<u64>,
}

impl ListOptions {
    /// Parses and validates a query. `watch`: for a watch.
    pub(crate) fn parse(q: &Query, watch: bool) -> Result<Self> {
        let bad = |e: String| ApiError::bad_request(e);
        let mut o = ListOptions {
            resource_version: q.get("resourceVersion").unwrap_or_default().to_owned(),
            continue_token: q.get("continue").unwrap_or_default().to_owned(),
            bookmarks: q.flag("allowWatchBookmarks"),
            ..Default::default()
        };
        if let Some(text) = q.get("labelSelector").filter(|t| !t.is_empty()) {
            o.labels = Some(labels::Selector::parse(text).map_err(|e| bad(e.to_string()))?);
        }
        if let Some(text) = q.get("fieldSelector").filter(|t| !t.is_empty()) {
            o.fields = Some(fields::Selector::parse(text).map_err(|e| bad(e.to_string()))?);
        }
        if let Some(text) = q.get("limit").filter(|t| !t.is_empty()) {
            o.limit = text.parse::<i64>().map_err(|_| bad(parse_int(text)))?.max(0) as usize;
        }
        if let Some(text) = q.get("timeoutSeconds").filter(|t| !t.is_empty()) {
            o.timeout_seconds = Some(text.parse::<i64>().map_err(|_| bad(parse_int(text)))?.max(0) as u64);
        }
        if q.get("sendInitialEvents").is_some() {
            o.send_initial_events = Some(q.flag("sendInitialEvents"));
        }
        let mut errors = ErrorList::new();
        let path = Path::new("resourceVersionMatch");
        let text = q.get("resourceVersionMatch").unwrap_or_default();
        if watch && o.send_initial_events.is_none() && !text.is_empty() {
            errors.push(Error::forbidden(
                &path,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        } else if !watch && o.send_initial_events.is_some() {
            errors.push(Error::forbidden(
                &Path::new("sendInitialEvents"),
                "sendInitialEvents is forbidden for list",
            ));
        } else {
            match text {
                "" => {
                    if o.send_initial_events.is_some() {
                        errors.push(Error::forbidden(
                            &path,
                            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                        ));
                    }
                }
                "Exact" => o.version_match = Some(Match::Exact),
                "NotOlderThan" => o.version_match = Some(Match::NotOlderThan),
                other => errors.push(Error::not_supported(&path, other, &["Exact", "NotOlderThan", ""])),
            }
            if o.version_match.is_some() && !watch {
                if o.resource_version.is_empty() {
                    errors.push(Error::forbidden(
                        &path,
                        "resourceVersionMatch is forbidden unless resourceVersion is provided",
                    ));
                }
                if !o.continue_token.is_empty() {
                    errors.push(Error::forbidden(
                        &path,
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
                if o.version_match == Some(Match::Exact) && o.resource_version == "0" {
                    errors.push(Error::forbidden(
                        &path,
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                    ));
                }
            }
            if watch && o.version_match == Some(Match::Exact) {
                errors.push(Error::forbidden(
                    &path,
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(ApiError::invalid(
                &GroupKind::new("meta.k8s.io", "ListOptions"),
                "",
                errors,
            ));
        }
        Ok(o)
    }

    /// The numeric resourceVersion; `None`: not given.
    pub(crate) fn version(&self) -> Result<Option<i64>> {
        parse_version(&self.resource_version)
    }
}

fn parse_int(text: &str) -> String {
    format!("strconv.ParseInt: parsing {text:?}: invalid syntax")
}

/// A resourceVersion of a list or watch.
pub(crate) fn parse_version(text: &str) -> Result<Option<i64>> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u64>() {
        Ok(n) => Ok(Some(n as i64)),
        Err(_) => {
            let e = Error::invalid(
                &Path::new("resourceVersion"),
                text,
                format!("strconv.ParseUint: parsing {text:?}: invalid syntax"),
            );
            Err(ApiError::invalid(&GroupKind::new("", ""), "", vec![e]))
        }
    }
}

/// `DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    /// Seconds until the object goes, for kinds with grace.
    pub(crate) grace_period_seconds: Option<i64>,
    /// `Orphan`, `Background`, `Foreground`.
    pub(crate) propagation_policy: Option<String>,
    /// Deprecated form of the policy.
    pub(crate) orphan_dependents: Option<bool>,
    /// Only this incarnation.
    pub(crate) uid: Option<String>,
    /// Only this version.
    pub(crate) resource_version: Option<String>,
    /// Persist nothing.
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// Reads a decoded `DeleteOptions` body.
    pub(crate) fn from_body(v: &Value) -> Self {
        let text = |p: &str| v.pointer(p).and_then(Value::as_str).map(str::to_owned);
        DeleteOptions {
            grace_period_seconds: v.get("gracePeriodSeconds").and_then(Value::as_i64),
            propagation_policy: text("/propagationPolicy"),
            orphan_dependents: v.get("orphanDependents").and_then(Value::as_bool),
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run: v.get("dryRun").and_then(Value::as_array).is_some_and(|a| !a.is_empty()),
        }
    }

    /// Reads the query form.
    pub(crate) fn from_query(q: &Query) -> Result<Self> {
        let mut o = DeleteOptions::default();
        if let Some(text) = q.get("gracePeriodSeconds").filter(|t| !t.is_empty()) {
            o.grace_period_seconds = Some(text.parse().map_err(|_| ApiError::bad_request(parse_int(text)))?);
        }
        o.propagation_policy = q.get("propagationPolicy").filter(|t| !t.is_empty()).map(str::to_owned);
        if q.get("orphanDependents").is_some() {
            o.orphan_dependents = Some(q.flag("orphanDependents"));
        }
        o.dry_run = q.all("dryRun").any(|d| !d.is_empty());
        Ok(o)
    }

    /// Upstream `ValidateDeleteOptions`.
    pub(crate) fn validate(&self) -> Result<()> {
        let mut errors = ErrorList::new();
        if self.propagation_policy.is_some() && self.orphan_dependents.is_some() {
            errors.push(Error::invalid(
                &Path::new("propagationPolicy"),
                self.propagation_policy.as_deref().unwrap_or_default(),
                "orphanDependents and deletionPropagation cannot be both set",
            ));
        }
        if let Some(p) = &self.propagation_policy
            && !matches!(p.as_str(), "Foreground" | "Background" | "Orphan")
        {
            errors.push(Error::not_supported(
                &Path::new("propagationPolicy"),
                p.as_str(),
                &["Foreground", "Background", "Orphan", "nil"],
            ));
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::invalid(
            &GroupKind::new("meta.k8s.io", "DeleteOptions"),
            "",
            errors,
        ))
    }
}
