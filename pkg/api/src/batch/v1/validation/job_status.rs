//! What a controller may say of a job. Rules about one part of the status hold where that part changes, so
//! that a stored status that breaks them does not block everything (job strategy
//! `getStatusValidationOptions`).

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};

use super::indexes;
use super::job::is_indexed;
use crate::check::{equal, list, non_negative, shown, text};
use crate::meta;

fn is(status: &JobStatus, condition: &str) -> bool {
    has(status, condition, "True")
}

fn has(status: &JobStatus, condition: &str, value: &str) -> bool {
    let mut all = list(&status.conditions).iter();
    all.any(|c| c.type_ == condition && c.status == value)
}

fn is_finished(status: &JobStatus) -> bool {
    is(status, "Complete") || is(status, "Failed")
}

/// A changed Job status (`ValidateJobUpdateStatus`).
pub fn job_status_update(new: &Job, old: &Job) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let (empty, none) = (JobSpec::default(), JobStatus::default());
    let spec = new.spec.as_ref().unwrap_or(&empty);
    let status = new.status.as_ref().unwrap_or(&none);
    let before = old.status.as_ref().unwrap_or(&none);
    let change = Change {
        spec,
        status,
        before,
        path: Path::new("status"),
    };
    change.counts(&mut errs);
    change.uncounted(&mut errs);
    change.ends(&mut errs);
    change.indexes(&mut errs);
    change.rest(&mut errs);
    change.kept(&mut errs);
    errs
}

struct Change<'a> {
    spec: &'a JobSpec,
    status: &'a JobStatus,
    before: &'a JobStatus,
    path: Path,
}

impl Change<'_> {
    /// Whether a condition's truth changes.
    fn turns(&self, condition: &str) -> bool {
        is(self.status, condition) != is(self.before, condition)
    }

    fn finishes(&self) -> bool {
        is_finished(self.status) != is_finished(self.before)
    }

    fn condition(&self, errs: &mut ErrorList, rule: &str) {
        errs.push(Error::invalid(&self.path.child("conditions"), BadValue::Omitted, rule));
    }

    fn counts(&self, errs: &mut ErrorList) {
        let s = self.status;
        for (field, value) in [
            ("active", s.active),
            ("succeeded", s.succeeded),
            ("failed", s.failed),
            ("ready", s.ready),
            ("terminating", s.terminating),
        ] {
            non_negative(errs, &self.path.child(field), value.map(i64::from));
        }
    }

    fn uncounted(&self, errs: &mut ErrorList) {
        let Some(pods) = &self.status.uncounted_terminated_pods else {
            return;
        };
        let path = self.path.child("uncountedTerminatedPods");
        let mut seen = BTreeSet::new();
        for (field, uids) in [("succeeded", &pods.succeeded), ("failed", &pods.failed)] {
            for (index, uid) in list(uids).iter().enumerate() {
                let path = path.child(field).index(index);
                if uid.is_empty() {
                    errs.push(Error::invalid(&path, uid, "must not be empty"));
                } else if !seen.insert(uid) {
                    errs.push(Error::duplicate(&path, uid));
                }
            }
        }
    }

    /// Conditions that exclude or need each other, and the times of a job that ended.
    fn ends(&self, errs: &mut ErrorList) {
        let (s, old) = (self.status, self.before);
        let (complete, failed) = (is(s, "Complete"), is(s, "Failed"));
        let ended = self.turns("Complete");
        if (ended || self.turns("Failed")) && complete && failed {
            self.condition(errs, "cannot set Complete=True and Failed=true conditions");
        }
        if (ended || self.turns("FailureTarget")) && complete && is(s, "FailureTarget") {
            self.condition(errs, "cannot set Complete=True and FailureTarget=true conditions");
        }
        let at = self.path.child("completionTime");
        let times = ended || s.completion_time != old.completion_time;
        if times && s.completion_time.is_some() && !complete {
            let rule = "cannot set completionTime when there is no Complete=True condition";
            errs.push(Error::invalid(&at, shown(&s.completion_time), rule));
        }
        if times && s.completion_time.is_none() && complete {
            errs.push(Error::required(&at, "completionTime is required for Complete jobs"));
        }
        let moved = s.start_time != old.start_time || s.completion_time != old.completion_time;
        if let (true, Some(start), Some(end)) = (moved, &s.start_time, &s.completion_time)
            && end.0 < start.0
        {
            let rule = "must be equal to or after `startTime`";
            errs.push(Error::invalid(&at, shown(end), rule));
        }
        if (self.turns("Failed") || s.failed_indexes != old.failed_indexes) && failed && !is(s, "FailureTarget") {
            let rule = "cannot set Failed=True condition without the FailureTarget=true condition";
            self.condition(errs, rule);
        }
        if (ended || self.turns("SuccessCriteriaMet")) && complete && !is(s, "SuccessCriteriaMet") {
            let rule = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            self.condition(errs, rule);
        }
        let finished = is_finished(s);
        if (self.finishes() || s.active != old.active) && finished && s.active.unwrap_or(0) > 0 {
            let rule = "active>0 is invalid for finished job";
            errs.push(Error::invalid(&self.path.child("active"), s.active, rule));
        }
        let never_ran = self.spec.suspend == Some(true) && self.spec.completions == Some(0);
        let started = self.finishes() || s.start_time != old.start_time;
        if started && !never_ran && finished && s.start_time.is_none() {
            let rule = "startTime is required for finished job";
            errs.push(Error::required(&self.path.child("startTime"), rule));
        }
        let pods = &s.uncounted_terminated_pods;
        let counted = pods
            .as_ref()
            .is_none_or(|p| list(&p.succeeded).is_empty() && list(&p.failed).is_empty());
        if (self.finishes() || !equal(pods, &old.uncounted_terminated_pods)) && finished && !counted {
            let rule = "must be empty for finished job";
            let path = self.path.child("uncountedTerminatedPods");
            let value = crate::internal::shown("*batch.UncountedTerminatedPods", pods);
            errs.push(Error::invalid(&path, value, rule));
        }
    }

    fn indexes(&self, errs: &mut ErrorList) {
        let (s, old) = (self.status, self.before);
        let (completed, failed) = (text(&s.completed_indexes), s.failed_indexes.as_deref());
        let completed_changed = completed != text(&old.completed_indexes);
        let failed_changed = s.failed_indexes != old.failed_indexes;
        let (completed_path, failed_path) = (self.path.child("completedIndexes"), self.path.child("failedIndexes"));
        let limit = self.spec.backoff_limit_per_index;
        if let Some(completions) = self.spec.completions {
            if completed_changed && let Err(e) = indexes::count(completed, completions) {
                let rule = format!("error parsing completedIndexes: {e}");
                errs.push(Error::invalid(&completed_path, completed, rule));
            }
            if let Some(failed) = failed.filter(|_| failed_changed && limit.is_some())
                && let Err(e) = indexes::count(failed, completions)
            {
                let rule = format!("error parsing failedIndexes: {e}");
                errs.push(Error::invalid(&failed_path, BadValue::named(failed), rule));
            }
        }
        if completed_changed && !completed.is_empty() && !is_indexed(self.spec) {
            let rule = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errs.push(Error::invalid(&completed_path, completed, rule));
        }
        let Some(failed) = failed else { return };
        if failed_changed && limit.is_none() {
            let rule = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errs.push(Error::invalid(&failed_path, BadValue::named(failed), rule));
        }
        if let Some(completions) = self.spec.completions.filter(|_| failed_changed || completed_changed)
            && let Some(index) = indexes::overlap(completed, failed, completions)
        {
            let rule = format!("failedIndexes and completedIndexes overlap at index: {index}");
            errs.push(Error::invalid(&failed_path, BadValue::named(failed), rule));
        }
    }

    fn rest(&self, errs: &mut ErrorList) {
        let (s, old) = (self.status, self.before);
        let terminating = s.terminating.unwrap_or(0);
        if (self.finishes() || s.terminating != old.terminating) && terminating > 0 && is_finished(s) {
            let rule = "terminating>0 is invalid for finished job";
            errs.push(Error::invalid(&self.path.child("terminating"), terminating, rule));
        }
        if let Some(ready) = s.ready.filter(|r| *r > s.active.unwrap_or(0))
            && (s.ready != old.ready || s.active != old.active)
        {
            let rule = "cannot set more ready pods than active";
            errs.push(Error::invalid(&self.path.child("ready"), ready, rule));
        }
        let met = is(s, "SuccessCriteriaMet");
        if met && is(s, "Failed") {
            self.condition(errs, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
        }
        if met && is(s, "FailureTarget") {
            self.condition(
                errs,
                "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
            );
        }
        if self.spec.success_policy.is_some() && !met && is(s, "Complete") {
            let rule = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            self.condition(errs, rule);
        }
    }

    /// What only grows or stays (`ValidateJobStatusUpdate`).
    fn kept(&self, errs: &mut ErrorList) {
        let (s, old) = (self.status, self.before);
        for condition in ["Failed", "Complete", "FailureTarget"] {
            if is(old, condition) && !is(s, condition) {
                let rule = format!("cannot disable the terminal {condition}=True condition");
                self.condition(errs, &rule);
            }
        }
        let failed = s.failed.unwrap_or(0);
        if failed < old.failed.unwrap_or(0) {
            let rule = "cannot decrease the failed counter";
            errs.push(Error::invalid(&self.path.child("failed"), failed, rule));
        }
        let scales = is_indexed(self.spec) && self.spec.completions == self.spec.parallelism;
        let succeeded = s.succeeded.unwrap_or(0);
        if !scales && succeeded < old.succeeded.unwrap_or(0) {
            let rule = "cannot decrease the succeeded counter";
            errs.push(Error::invalid(&self.path.child("succeeded"), succeeded, rule));
        }
        if s.completion_time.is_some() && old.completion_time.is_some() && s.completion_time != old.completion_time {
            let path = self.path.child("completionTime");
            errs.push(Error::invalid(
                &path,
                shown(&s.completion_time),
                crate::check::IMMUTABLE,
            ));
        }
        let resumes = is(old, "Suspended") && has(s, "Suspended", "False");
        let restarted = old.start_time.is_some() && old.start_time != s.start_time;
        if restarted && !resumes && self.spec.suspend != Some(true) {
            let rule = "field is immutable for unsuspended job once set";
            errs.push(Error::invalid(
                &self.path.child("startTime"),
                shown(&s.start_time),
                rule,
            ));
        }
        let met = is(s, "SuccessCriteriaMet");
        if is(old, "SuccessCriteriaMet") && !met {
            self.condition(errs, "cannot disable the SuccessCriteriaMet=True condition");
        }
        if is(old, "Complete") && !is(old, "SuccessCriteriaMet") && met {
            let rule = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            self.condition(errs, rule);
        }
    }
}
