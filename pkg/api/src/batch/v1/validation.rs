//! Validation of batch/v1 (pkg/apis/batch/validation/validation.go).

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec, JobStatus};

use crate::check::{immutable, list, non_negative, one_of, required, text, to_value};
use crate::core::v1::validation::pod_template_spec;
use crate::meta;

/// Longest name of a CronJob, in bytes: its jobs append eleven.
const MAX_CRON_NAME: usize = 52;

/// A new Job (`ValidateJob`).
pub fn job_create(obj: &Job) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = JobSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    match &spec.selector {
        None => errs.push(Error::required(&path.child("selector"), "")),
        Some(selector) => {
            meta::label_selector(&mut errs, Some(selector), &path.child("selector"));
        }
    }
    job_spec(&mut errs, spec, &path);
    errs
}

/// `validateJobSpec`.
fn job_spec(errs: &mut ErrorList, spec: &JobSpec, path: &Path) {
    for (field, value) in [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        (
            "ttlSecondsAfterFinished",
            spec.ttl_seconds_after_finished.map(i64::from),
        ),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ] {
        non_negative(errs, &path.child(field), value);
    }
    let mode = text(&spec.completion_mode);
    if !mode.is_empty() {
        one_of(errs, &path.child("completionMode"), mode, &["Indexed", "NonIndexed"]);
    }
    let indexed = mode == "Indexed";
    if indexed && spec.completions.is_none() {
        let rule = "when completion mode is Indexed";
        errs.push(Error::required(&path.child("completions"), rule));
    }
    if !indexed && let Some(limit) = spec.backoff_limit_per_index {
        let rule = "requires indexed completion mode";
        errs.push(Error::invalid(&path.child("backoffLimitPerIndex"), limit, rule));
    }
    let template = path.child("template");
    pod_template_spec(errs, &spec.template, None, &template);
    let policy = spec.template.spec.as_ref().map_or("", |s| text(&s.restart_policy));
    let policy_path = template.child("spec").child("restartPolicy");
    if policy.is_empty() || policy == "Always" {
        let rule = "valid values: \"OnFailure\", \"Never\"";
        errs.push(Error::required(&policy_path, rule));
    } else {
        one_of(errs, &policy_path, policy, &["OnFailure", "Never"]);
    }
    if let Some(failure) = &spec.pod_failure_policy {
        if policy != "Never" {
            let rule = "only \"Never\" is supported when podFailurePolicy is specified";
            errs.push(Error::invalid(&policy_path, policy, rule));
        }
        let rules_path = path.child("podFailurePolicy").child("rules");
        for (index, rule) in failure.rules.iter().enumerate() {
            let path = rules_path.index(index);
            let known = ["Count", "FailIndex", "FailJob", "Ignore"];
            one_of(errs, &path.child("action"), &rule.action, &known);
            let conditions = !list(&rule.on_pod_conditions).is_empty();
            match (rule.on_exit_codes.is_some(), conditions) {
                (true, true) => {
                    let text = "specifying both OnExitCodes and OnPodConditions is not supported";
                    errs.push(Error::invalid(&path, "", text));
                }
                (false, false) => {
                    let text = "specifying one of OnExitCodes and OnPodConditions is required";
                    errs.push(Error::invalid(&path, "", text));
                }
                _ => {}
            }
        }
    }
    if let Some(replacement) = &spec.pod_replacement_policy {
        let known: &[&str] = if spec.pod_failure_policy.is_some() {
            &["Failed"]
        } else {
            &["Failed", "TerminatingOrFailed"]
        };
        one_of(errs, &path.child("podReplacementPolicy"), replacement, known);
    }
}

/// A changed Job (`ValidateJobUpdate`, `ValidateJobSpecUpdate`). The template of a suspended job
/// that never started may change its scheduling directives.
pub fn job_update(new: &Job, old: &Job) -> ErrorList {
    let empty = JobSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let path = Path::new("spec");
    job_spec(&mut errs, after, &path);
    let elastic = after.completion_mode.as_deref() == Some("Indexed")
        && after.completions == after.parallelism
        && before.completions == before.parallelism;
    if !elastic {
        immutable(
            &mut errs,
            &path.child("completions"),
            &after.completions,
            &before.completions,
        );
    }
    immutable(&mut errs, &path.child("selector"), &after.selector, &before.selector);
    let mut template = after.template.clone();
    let never_started = old.status.as_ref().is_none_or(|s| s.start_time.is_none());
    if before.suspend == Some(true) && never_started {
        scheduling_directives(&mut template, &before.template);
    }
    immutable(&mut errs, &path.child("template"), &template, &before.template);
    let (mode, old_mode) = (&after.completion_mode, &before.completion_mode);
    immutable(&mut errs, &path.child("completionMode"), mode, old_mode);
    let (policy, old_policy) = (&after.pod_failure_policy, &before.pod_failure_policy);
    immutable(&mut errs, &path.child("podFailurePolicy"), policy, old_policy);
    let (limit, old_limit) = (&after.backoff_limit_per_index, &before.backoff_limit_per_index);
    immutable(&mut errs, &path.child("backoffLimitPerIndex"), limit, old_limit);
    immutable(
        &mut errs,
        &path.child("managedBy"),
        &after.managed_by,
        &before.managed_by,
    );
    errs
}

fn scheduling_directives(
    new: &mut k8s_openapi::api::core::v1::PodTemplateSpec,
    old: &k8s_openapi::api::core::v1::PodTemplateSpec,
) {
    if let (Some(new), Some(old)) = (&mut new.metadata, &old.metadata) {
        new.labels.clone_from(&old.labels);
        new.annotations.clone_from(&old.annotations);
    }
    if let (Some(new), Some(old)) = (&mut new.spec, &old.spec) {
        new.node_selector.clone_from(&old.node_selector);
        new.tolerations.clone_from(&old.tolerations);
        new.scheduling_gates.clone_from(&old.scheduling_gates);
        match (&mut new.affinity, &old.affinity) {
            (Some(new), Some(old)) => new.node_affinity.clone_from(&old.node_affinity),
            (affinity, old) => affinity.clone_from(old),
        }
    }
}

/// A changed Job status (`ValidateJobUpdateStatus`).
pub fn job_status_update(new: &Job, old: &Job) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    let empty = JobStatus::default();
    let status = new.status.as_ref().unwrap_or(&empty);
    let path = Path::new("status");
    for (field, value) in [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ] {
        non_negative(&mut errs, &path.child(field), value.map(i64::from));
    }
    errs
}

/// A new CronJob (`ValidateCronJobCreate`).
pub fn cron_job_create(obj: &CronJob) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    cron_spec(&mut errs, &obj.spec);
    let name = text(&obj.metadata.name);
    if name.len() > MAX_CRON_NAME {
        let rule = format!("must be no more than {MAX_CRON_NAME} characters");
        errs.push(Error::invalid(&Path::new("metadata").child("name"), name, rule));
    }
    errs
}

/// A changed CronJob (`ValidateCronJobUpdate`).
pub fn cron_job_update(new: &CronJob, old: &CronJob) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    cron_spec(&mut errs, &new.spec);
    errs
}

/// `validateCronJobSpec`.
fn cron_spec(errs: &mut ErrorList, spec: &CronJobSpec) {
    let path = Path::new("spec");
    if spec.schedule.is_empty() {
        required(errs, &path.child("schedule"), "");
    } else {
        schedule(errs, &spec.schedule, &path.child("schedule"));
    }
    non_negative(
        errs,
        &path.child("startingDeadlineSeconds"),
        spec.starting_deadline_seconds,
    );
    let concurrency = text(&spec.concurrency_policy);
    let known = ["Allow", "Forbid", "Replace"];
    crate::check::required_one_of(errs, &path.child("concurrencyPolicy"), concurrency, &known);
    for (field, value) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        non_negative(errs, &path.child(field), value.map(i64::from));
    }
    if let Some(zone) = &spec.time_zone {
        let path = path.child("timeZone");
        if zone.is_empty() {
            errs.push(Error::invalid(&path, "", "timeZone must be nil or non-empty string"));
        } else if zone.eq_ignore_ascii_case("local") {
            let rule = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            errs.push(Error::invalid(&path, zone, rule));
        } else if k8s_openapi::jiff::tz::TimeZone::get(zone).is_err() {
            errs.push(Error::invalid(&path, zone, format!("unknown time zone {zone}")));
        }
    }
    let template = path.child("jobTemplate").child("spec");
    let empty = JobSpec::default();
    let job = spec.job_template.spec.as_ref().unwrap_or(&empty);
    if job.manual_selector == Some(true) {
        let known = ["nil", "false"];
        errs.push(Error::not_supported(
            &template.child("manualSelector"),
            &to_value(&true),
            &known,
        ));
    }
    if job.selector.is_some() {
        let rule = "`selector` will be auto-generated";
        errs.push(Error::invalid(
            &template.child("selector"),
            &to_value(&job.selector),
            rule,
        ));
    }
    job_spec(errs, job, &template);
}

/// Five fields of the right alphabet, or one of the names (robfig/cron `ParseStandard`).
fn schedule(errs: &mut ErrorList, schedule: &str, path: &Path) {
    if schedule.contains("TZ") {
        let rule = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errs.push(Error::invalid(path, schedule, rule));
        return;
    }
    const NAMES: [&str; 7] = [
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
    ];
    if schedule.starts_with('@') {
        let every = schedule.strip_prefix("@every ").is_some_and(|d| !d.trim().is_empty());
        if !NAMES.contains(&schedule) && !every {
            let rule = format!("unrecognized descriptor: {schedule}");
            errs.push(Error::invalid(path, schedule, rule));
        }
        return;
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        let rule = format!("expected exactly 5 fields, found {}: {fields:?}", fields.len());
        errs.push(Error::invalid(path, schedule, rule));
        return;
    }
    for field in fields {
        let known = |c: char| c.is_ascii_alphanumeric() || "*/,-?".contains(c);
        if !field.chars().all(known) {
            let rule = format!("failed to parse int from {field}");
            errs.push(Error::invalid(path, schedule, rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job(changes: Value) -> Job {
        let mut spec = json!({
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let meta = json!({"name": "x", "namespace": "n", "resourceVersion": "1"});
        let mut obj = serde_json::from_value(json!({"metadata": meta, "spec": spec})).expect("a job");
        super::super::defaults::job(&mut obj);
        obj
    }

    #[test]
    fn a_job_needs_a_policy_that_ends() {
        assert!(job_create(&job(json!({}))).is_empty());
        let template =
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let errs = job_create(&job(json!({"template": template})));
        assert_eq!(
            errs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""]
        );
    }

    #[test]
    fn a_jobs_completions_are_fixed_and_its_parallelism_is_not() {
        let old = job(json!({"completions": 2}));
        assert!(job_update(&job(json!({"completions": 2, "parallelism": 5})), &old).is_empty());
        let errs = job_update(&job(json!({"completions": 3})), &old);
        assert_eq!(errs.len(), 1);
        assert_eq!(
            errs[0].to_string(),
            "spec.completions: Invalid value: 3: field is immutable"
        );
    }

    #[test]
    fn schedules_have_five_fields_or_a_name() {
        for (text, ok) in [
            ("*/5 * * * *", true),
            ("@daily", true),
            ("* * *", false),
            ("@often", false),
            ("TZ=UTC * * * * *", false),
        ] {
            let mut errs = ErrorList::new();
            schedule(&mut errs, text, &Path::new("spec"));
            assert_eq!(errs.is_empty(), ok, "{text}");
        }
    }
}
