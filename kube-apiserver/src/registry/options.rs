//! The options of list, watch and delete, as the store reads them.
//!
//! Rules: upstream `apimachinery/pkg/apis/meta/v1/validation` and
//! `meta/internalversion/validation` (`ValidateListOptions`).

use std::time::Duration;

use apimachinery::field::{BadValue, Error, ErrorList, Path, quote};
use apimachinery::gvk::GroupKind;
use apimachinery::status::{ApiError, Result};
use apimachinery::{fields, labels};
use serde_json::Value;

use super::field_labels;
use crate::request::Query;
use crate::resources::Resource;

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
    /// Field selector in the hub's labels, everything when absent.
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
    /// Watch: when it will be ended; a last bookmark comes just before.
    pub(crate) life: Option<Duration>,
}

impl ListOptions {
    /// Parses and validates a query. `watch`: for a watch.
    pub(crate) fn parse(q: &Query, watch: bool) -> Result<Self> {
        let bad = |e: String| ApiError::bad_request(e);
        let mut o = ListOptions {
            resource_version: q.get("resourceVersion").unwrap_or_default().to_owned(),
            continue_token: q.get("continue").unwrap_or_default().to_owned(),
            bookmarks: q.flag("allowWatchBookmarks"),
            timeout_seconds: integer(q, "timeoutSeconds")?.map(|n| n.clamp(0, LONGEST_WATCH) as u64),
            limit: integer(q, "limit")?.unwrap_or(0).max(0) as usize,
            ..Default::default()
        };
        if q.get("sendInitialEvents").is_some() {
            o.send_initial_events = Some(q.flag("sendInitialEvents"));
        }
        if let Some(text) = q.get("labelSelector").filter(|t| !t.is_empty()) {
            o.labels = Some(labels::Selector::parse(text).map_err(|e| bad(e.to_string()))?);
        }
        if let Some(text) = q.get("fieldSelector").filter(|t| !t.is_empty()) {
            o.fields = Some(fields::Selector::parse(text).map_err(|e| bad(e.to_string()))?);
        }
        let mut binding = q.get("resourceVersionMatch").unwrap_or_default();
        // A plain watch "from now" is a watch with initial events (upstream `SetListOptionsDefaults`).
        if watch
            && o.send_initial_events.is_none()
            && binding.is_empty()
            && matches!(o.resource_version.as_str(), "" | "0")
        {
            o.send_initial_events = Some(true);
            binding = NOT_OLDER_THAN;
        }
        let errors = if watch {
            o.watch_errors(binding)
        } else {
            o.list_errors(binding)
        };
        if !errors.is_empty() {
            let kind = GroupKind::new("meta.k8s.io", "ListOptions");
            return Err(ApiError::invalid(&kind, "", errors));
        }
        o.version_match = match binding {
            EXACT => Some(Match::Exact),
            NOT_OLDER_THAN => Some(Match::NotOlderThan),
            _ => None,
        };
        Ok(o)
    }

    /// Upstream `ValidateListOptions`.
    fn list_errors(&self, binding: &str) -> ErrorList {
        let path = Path::new("resourceVersionMatch");
        let mut errors = ErrorList::new();
        if !binding.is_empty() {
            if self.resource_version.is_empty() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                errors.push(Error::forbidden(&path, why));
            }
            if !self.continue_token.is_empty() {
                errors.push(Error::forbidden(&path, MATCH_AND_CONTINUE));
            }
            if !matches!(binding, EXACT | NOT_OLDER_THAN) {
                errors.push(Error::not_supported(&path, binding, &[EXACT, NOT_OLDER_THAN, ""]));
            }
            if binding == EXACT && self.resource_version == "0" {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(Error::forbidden(&path, why));
            }
        }
        if self.send_initial_events.is_some() {
            let path = Path::new("sendInitialEvents");
            errors.push(Error::forbidden(&path, "sendInitialEvents is forbidden for list"));
        }
        errors
    }

    /// Upstream `validateWatchOptions`.
    fn watch_errors(&self, binding: &str) -> ErrorList {
        let path = Path::new("resourceVersionMatch");
        let mut errors = ErrorList::new();
        if self.send_initial_events.is_some() && binding != NOT_OLDER_THAN {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(Error::forbidden(&path, why));
        }
        if !binding.is_empty() {
            if self.send_initial_events.is_none() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(Error::forbidden(&path, why));
            }
            if binding != NOT_OLDER_THAN {
                errors.push(Error::not_supported(&path, binding, &[NOT_OLDER_THAN]));
            }
            if !self.continue_token.is_empty() {
                errors.push(Error::forbidden(&path, MATCH_AND_CONTINUE));
            }
        }
        errors
    }

    /// Translates the field selector from the labels of `row` and binds it to the one `name` of the
    /// request, when it has one (upstream handlers `listOpts`).
    pub(crate) fn bind(&mut self, row: &Resource, name: &str) -> Result<()> {
        if let Some(selector) = &self.fields {
            self.fields = Some(field_labels::translate(row, selector)?);
        }
        if name.is_empty() {
            return Ok(());
        }
        match self.fields.as_ref().filter(|s| !s.is_everything()) {
            None => self.fields = Some(fields::Selector::one("metadata.name", name)),
            Some(s) if s.requires_exact_match("metadata.name") == Some(name) => {}
            Some(_) => {
                return Err(ApiError::bad_request(
                    "fieldSelector metadata.name doesn't match requested name",
                ));
            }
        }
        Ok(())
    }

    /// The numeric resourceVersion; `None`: not given.
    pub(crate) fn version(&self) -> std::result::Result<Option<i64>, Error> {
        parse_version(&self.resource_version)
    }
}

/// Seconds that are as good as for ever, and can still be added to now.
const LONGEST_WATCH: i64 = 1 << 32;
const EXACT: &str = "Exact";
const NOT_OLDER_THAN: &str = "NotOlderThan";
const MATCH_AND_CONTINUE: &str = "resourceVersionMatch is forbidden when continue is provided";

/// A whole number of the query, with the text of Go's `strconv.ParseInt` when it is none.
fn integer(q: &Query, key: &str) -> Result<Option<i64>> {
    let Some(text) = q.get(key) else { return Ok(None) };
    text.parse::<i64>().map(Some).map_err(|e| {
        let why = number_error(&e);
        ApiError::bad_request(format!("strconv.ParseInt: parsing {}: {why}", quote(text)))
    })
}

fn number_error(e: &std::num::ParseIntError) -> &'static str {
    match e.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

/// A resourceVersion of a read (upstream `APIObjectVersioner.ParseResourceVersion`).
pub(crate) fn parse_version(text: &str) -> std::result::Result<Option<i64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    // No store counts beyond i64.
    let parsed = text.parse::<u64>().map(|n| Some(i64::try_from(n).unwrap_or(i64::MAX)));
    parsed.map_err(|e| {
        let why = format!("strconv.ParseUint: parsing {}: {}", quote(text), number_error(&e));
        Error::invalid(&Path::new("resourceVersion"), text, why)
    })
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
    /// The values of `dryRun` as sent, for validation.
    pub(crate) dry_run_values: Vec<String>,
}

impl DeleteOptions {
    /// Reads a decoded `DeleteOptions` body.
    pub(crate) fn from_body(v: &Value) -> Self {
        let text = |p: &str| v.pointer(p).and_then(Value::as_str).map(str::to_owned);
        let values = v.get("dryRun").and_then(Value::as_array).map(Vec::as_slice);
        let values = values.unwrap_or_default().iter().filter_map(Value::as_str);
        DeleteOptions {
            grace_period_seconds: v.get("gracePeriodSeconds").and_then(Value::as_i64),
            propagation_policy: text("/propagationPolicy"),
            orphan_dependents: v.get("orphanDependents").and_then(Value::as_bool),
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            ..Default::default()
        }
        .dry(values)
    }

    /// Reads the query form.
    pub(crate) fn from_query(q: &Query) -> Result<Self> {
        let o = DeleteOptions {
            grace_period_seconds: integer(q, "gracePeriodSeconds")?,
            propagation_policy: q.get("propagationPolicy").map(str::to_owned),
            orphan_dependents: q.get("orphanDependents").map(|_| q.flag("orphanDependents")),
            // Upstream `Convert_url_Values_To_v1_DeleteOptions`.
            uid: q.get("uid").map(str::to_owned),
            ..Default::default()
        };
        Ok(o.dry(q.all("dryRun")))
    }

    fn dry<'a>(mut self, values: impl Iterator<Item = &'a str>) -> Self {
        self.dry_run_values = values.map(str::to_owned).collect();
        self.dry_run = !self.dry_run_values.is_empty();
        self
    }

    /// Upstream `ValidateDeleteOptions`.
    pub(crate) fn validate(&self) -> Result<()> {
        let mut errors = ErrorList::new();
        let path = Path::new("propagationPolicy");
        if let Some(policy) = &self.propagation_policy {
            if self.orphan_dependents.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                errors.push(Error::invalid(&path, policy.as_str(), why));
            }
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(Error::not_supported(&path, policy.as_str(), &known));
            }
        }
        if self.dry_run_values.iter().any(|v| v != "All") {
            let values = BadValue::raw(Value::from(self.dry_run_values.clone()));
            errors.push(Error::not_supported(&Path::new("dryRun"), values, &["All"]));
        }
        if errors.is_empty() {
            return Ok(());
        }
        let kind = GroupKind::new("meta.k8s.io", "DeleteOptions");
        Err(ApiError::invalid(&kind, "", errors))
    }
}

#[cfg(test)]
mod tests;
