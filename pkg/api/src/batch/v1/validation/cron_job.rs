//! CronJobs.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, JobSpec};

use super::{job, schedule};
use crate::check::{non_negative, required, required_one_of, text};
use crate::meta;

/// Longest name of a CronJob, in bytes: its jobs append eleven.
const MAX_NAME: usize = 52;

/// A new CronJob (`ValidateCronJobCreate`).
pub fn cron_job_create(obj: &CronJob) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, &obj.spec, None);
    let name = text(&obj.metadata.name);
    if name.len() > MAX_NAME {
        let rule = format!("must be no more than {MAX_NAME} characters");
        errs.push(Error::invalid(&Path::new("metadata").child("name"), name, rule));
    }
    errs
}

/// A changed CronJob (`ValidateCronJobUpdate`).
pub fn cron_job_update(new: &CronJob, old: &CronJob) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, &new.spec, Some(&old.spec));
    errs
}

/// `validateCronJobSpec`.
fn spec(errs: &mut ErrorList, spec: &CronJobSpec, old: Option<&CronJobSpec>) {
    let path = Path::new("spec");
    if spec.schedule.is_empty() {
        required(errs, &path.child("schedule"), "");
    } else {
        format(errs, spec, old, &path.child("schedule"));
    }
    let deadline = path.child("startingDeadlineSeconds");
    non_negative(errs, &deadline, spec.starting_deadline_seconds);
    if old.is_none_or(|old| old.time_zone != spec.time_zone)
        && let Some(zone) = &spec.time_zone
    {
        time_zone(errs, zone, &path.child("timeZone"));
    }
    let known = ["Allow", "Forbid", "Replace"];
    let policy = text(&spec.concurrency_policy);
    required_one_of(errs, &path.child("concurrencyPolicy"), policy, &known);
    template(errs, spec, old, &path.child("jobTemplate").child("spec"));
    for (field, value) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        non_negative(errs, &path.child(field), value.map(i64::from));
    }
}

/// `validateScheduleFormat`: a zone in the schedule stays where the stored one has it.
fn format(errs: &mut ErrorList, spec: &CronJobSpec, old: Option<&CronJobSpec>, path: &Path) {
    let text = spec.schedule.as_str();
    if let Err(e) = schedule::check(text) {
        errs.push(Error::invalid(path, text, e));
    }
    if !text.contains("TZ") {
        return;
    }
    let rule = match old.is_some_and(|o| o.schedule.contains("TZ")) {
        true if spec.time_zone.is_some() => "cannot use both timeZone field and TZ or CRON_TZ in schedule",
        true => return,
        false => "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
    };
    errs.push(Error::invalid(path, text, rule));
}

/// `validateTimeZone`.
fn time_zone(errs: &mut ErrorList, zone: &str, path: &Path) {
    if zone.is_empty() {
        errs.push(Error::invalid(
            path,
            BadValue::named(zone),
            "timeZone must be nil or non-empty string",
        ));
        return;
    }
    let unknown = format!("unknown time zone {zone}");
    let good = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.chars().all(known)
    };
    if !zone.split('/').all(good) {
        errs.push(Error::invalid(path, BadValue::named(zone), unknown));
        return;
    }
    if zone.eq_ignore_ascii_case("local") {
        let rule = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errs.push(Error::invalid(path, BadValue::named(zone), rule));
        if zone == "Local" {
            return;
        }
    }
    if k8s_openapi::jiff::tz::TimeZone::get(zone).is_err() {
        errs.push(Error::invalid(path, BadValue::named(zone), unknown));
    }
}

/// `ValidateJobTemplateSpec`.
fn template(errs: &mut ErrorList, spec: &CronJobSpec, old: Option<&CronJobSpec>, path: &Path) {
    let empty = JobSpec::default();
    let new = spec.job_template.spec.as_ref().unwrap_or(&empty);
    let stored = old.and_then(|o| o.job_template.spec.as_ref());
    job::job_spec(errs, new, stored.map(|s| &s.template), path);
    if new.selector.is_some() {
        let rule = "`selector` will be auto-generated";
        errs.push(Error::invalid(
            &path.child("selector"),
            crate::internal::shown("*meta.LabelSelector", &new.selector),
            rule,
        ));
    }
    if new.manual_selector == Some(true) {
        let known = ["nil", "false"];
        errs.push(Error::not_supported(&path.child("manualSelector"), true, &known));
    }
}
