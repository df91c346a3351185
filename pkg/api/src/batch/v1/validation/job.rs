//! Jobs and what may change in them.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::labels::Selector;
use apimachinery::validation::{is_dns1123_label, is_dns1123_subdomain, regex_error};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Affinity, Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::job_policy;
use crate::check::{
    IMMUTABLE, equal, immutable, immutable_named, immutable_part, invalid_each, list, non_negative, one_of, shown,
    text, to_value,
};
use crate::core::v1::validation::pod_template_spec;
use crate::gates::{Gate, on};
use crate::internal;
use crate::meta;

const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
const OLD_UID: &str = "controller-uid";
const OLD_NAME: &str = "job-name";

/// A new Job (`ValidateJob`).
pub fn job_create(obj: &Job) -> ErrorList {
    whole(obj, None)
}

/// A changed Job: the whole of it is checked as if it were new, then what changed (job strategy
/// `ValidateUpdate`: `ValidateJob`, `ValidateJobUpdate`). Equal errors are said twice, as upstream does.
pub fn job_update(new: &Job, old: &Job) -> ErrorList {
    let empty = JobSpec::default();
    let (after, before) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let mut errs = whole(new, Some(old));
    errs.extend(meta::update(&new.metadata, &old.metadata));
    let path = Path::new("spec");
    selected_spec(&mut errs, after, Some(before), &path);
    completions(&mut errs, after, before, &path.child("completions"));
    let selector = path.child("selector");
    immutable_part(
        &mut errs,
        &selector,
        "*meta.LabelSelector",
        &after.selector,
        &before.selector,
    );
    template_change(&mut errs, after, before, &Changes::of(old), &path);
    let (mode, old_mode) = (&after.completion_mode, &before.completion_mode);
    immutable_named(&mut errs, &path.child("completionMode"), mode, old_mode);
    let (policy, old_policy) = (&after.pod_failure_policy, &before.pod_failure_policy);
    immutable_part(
        &mut errs,
        &path.child("podFailurePolicy"),
        "*batch.PodFailurePolicy",
        policy,
        old_policy,
    );
    let (limit, old_limit) = (&after.backoff_limit_per_index, &before.backoff_limit_per_index);
    immutable(&mut errs, &path.child("backoffLimitPerIndex"), limit, old_limit);
    immutable_named(
        &mut errs,
        &path.child("managedBy"),
        &after.managed_by,
        &before.managed_by,
    );
    let (success, old_success) = (&after.success_policy, &before.success_policy);
    immutable_part(
        &mut errs,
        &path.child("successPolicy"),
        "*batch.SuccessPolicy",
        success,
        old_success,
    );
    errs
}

fn whole(obj: &Job, old: Option<&Job>) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    let empty = JobSpec::default();
    let spec = obj.spec.as_ref().unwrap_or(&empty);
    generated_selector(&mut errs, obj, spec, old);
    let stored = old.and_then(|o| o.spec.as_ref());
    selected_spec(&mut errs, spec, stored, &Path::new("spec"));
    if let Some(completions) = spec.completions.filter(|c| *c > 0 && is_indexed(spec)) {
        let name = text(&obj.metadata.name);
        let host = format!("{name}-{}", completions - 1);
        if !is_dns1123_label(&host).is_empty() {
            let rule = format!("will not able to create pod with invalid DNS label: {host}");
            errs.push(Error::invalid(&Path::new("metadata").child("name"), name, rule));
        }
    }
    errs
}

pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// The labels that make the job's pods its own (`validateGeneratedSelector`).
fn generated_selector(errs: &mut ErrorList, obj: &Job, spec: &JobSpec, old: Option<&Job>) {
    let Some(selector) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true)) else {
        return;
    };
    let (uid, name) = (text(&obj.metadata.uid), text(&obj.metadata.name));
    if uid.is_empty() {
        errs.push(Error::required(&Path::new("metadata").child("uid"), ""));
    }
    let labels = |job: &Job| {
        let metadata = job.spec.as_ref().and_then(|s| s.template.metadata.as_ref());
        metadata.and_then(|m| m.labels.clone()).unwrap_or_default()
    };
    let own = labels(obj);
    // Jobs from before the prefixed labels do not get them.
    let prefixed = old
        .map(labels)
        .is_none_or(|l| l.contains_key(UID) && l.contains_key(NAME));
    let mut wanted = vec![(OLD_UID, uid), (OLD_NAME, name)];
    if prefixed {
        wanted.extend([(UID, uid), (NAME, name)]);
    }
    let path = Path::new("spec").child("template").child("metadata").child("labels");
    for (key, value) in &wanted {
        let rule = format!("must be '{value}'");
        match own.get(*key) {
            None => errs.push(Error::required(&path.key(key), rule)),
            Some(other) if other != value => {
                errs.push(Error::invalid(&path.key(key), shown(&own), rule));
            }
            Some(_) => {}
        }
    }
    let expected = wanted
        .iter()
        .map(|(k, v)| ((*k).to_string(), (*v).to_string()))
        .collect();
    if Selector::from_label_selector(selector).is_ok_and(|s| !s.matches(&expected)) {
        let rule = "`selector` not auto-generated";
        errs.push(Error::invalid(
            &Path::new("spec").child("selector"),
            internal::shown("meta.LabelSelector", selector),
            rule,
        ));
    }
}

/// `ValidateJobSpec`.
fn selected_spec(errs: &mut ErrorList, spec: &JobSpec, old: Option<&JobSpec>, path: &Path) {
    job_spec(errs, spec, old.map(|o| &o.template), path);
    let none = LabelSelector::default();
    match &spec.selector {
        None => errs.push(Error::required(&path.child("selector"), "")),
        Some(selector) => {
            let stored = old.and_then(|o| o.selector.as_ref());
            let mut known = ErrorList::new();
            meta::label_selector(&mut known, stored, &Path::root());
            meta::stored_label_selector(errs, Some(selector), &path.child("selector"), !known.is_empty());
        }
    }
    let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.clone());
    let selector = spec.selector.as_ref().unwrap_or(&none);
    let selects = |s: Selector| spec.selector.is_some() && s.matches(&labels.clone().unwrap_or_default());
    if Selector::from_label_selector(selector).is_ok_and(|s| !selects(s)) {
        let path = path.child("template").child("metadata").child("labels");
        let rule = "`selector` does not match template `labels`";
        errs.push(Error::invalid(&path, &to_value(&labels), rule));
    }
}

/// Most parallel pods and failed indexes of an Indexed job, and the lower limits of one with very many
/// completions and a limit per index.
const MAX_INDEXED: i32 = 100_000;
const MANY_COMPLETIONS: i32 = 100_000;
const MAX_OF_MANY: i32 = 10_000;
/// Longest name of a controller, in bytes.
const MAX_MANAGED_BY: usize = 63;

/// `validateJobSpec`, which templates of CronJobs share.
pub(super) fn job_spec(errs: &mut ErrorList, spec: &JobSpec, old: Option<&PodTemplateSpec>, path: &Path) {
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
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        let rule = "when maxFailedIndexes is specified";
        errs.push(Error::required(&path.child("backoffLimitPerIndex"), rule));
    }
    if let Some(name) = &spec.managed_by {
        managed_by(errs, name, &path.child("managedBy"));
    }
    if let Some(mode) = &spec.completion_mode {
        one_of(errs, &path.child("completionMode"), mode, &["NonIndexed", "Indexed"]);
    }
    if is_indexed(spec) {
        indexed(errs, spec, path);
    }
    if matches!(spec.completion_mode.as_deref(), None | Some("NonIndexed")) {
        for (field, value) in [
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
        ] {
            if let Some(value) = value {
                errs.push(Error::invalid(&path.child(field), value, NEEDS_INDEXES));
            }
        }
    }
    job_policy::failure(errs, spec, &path.child("podFailurePolicy"));
    if let Some(policy) = &spec.success_policy {
        let path = path.child("successPolicy");
        if is_indexed(spec) {
            job_policy::success(errs, spec, &path);
        } else {
            let value = internal::shown("batch.SuccessPolicy", policy);
            errs.push(Error::invalid(&path, value, NEEDS_INDEXES));
        }
    }
    if let Some(replacement) = &spec.pod_replacement_policy {
        let known: &[&str] = match spec.pod_failure_policy {
            Some(_) => &["Failed"],
            None => &["Failed", "TerminatingOrFailed"],
        };
        one_of(errs, &path.child("podReplacementPolicy"), replacement, known);
    }
    pod_template_spec(errs, &spec.template, old, &path.child("template"));
    restart_policy(errs, spec, path);
}

const NEEDS_INDEXES: &str = "requires indexed completion mode";

/// `IsDomainPrefixedPath`, and not too long.
fn managed_by(errs: &mut ErrorList, name: &str, path: &Path) {
    match name.split_once('/') {
        _ if name.is_empty() => errs.push(Error::required(path, "")),
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            invalid_each(errs, path, host, is_dns1123_subdomain(host));
            let good = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
            if !rest.chars().all(good) {
                let rule = regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[]);
                errs.push(Error::invalid(path, rest, rule));
            }
        }
        _ => {
            let rule = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errs.push(Error::invalid(path, name, rule));
        }
    }
    if name.len() > MAX_MANAGED_BY {
        errs.push(Error::too_long(path, MAX_MANAGED_BY));
    }
}

fn indexed(errs: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let (parallel, failed) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    if spec.completions.is_none() {
        let rule = "when completion mode is Indexed";
        errs.push(Error::required(&path.child("completions"), rule));
    }
    let mut at_most = |path: &Path, value: Option<i32>, max: i32, rule: String| {
        if let Some(value) = value.filter(|v| *v > max) {
            errs.push(Error::invalid(path, value, rule));
        }
    };
    let rule = format!("must be less than or equal to {MAX_INDEXED} when completion mode is Indexed");
    at_most(&parallel, spec.parallelism, MAX_INDEXED, rule);
    if let Some(completions) = spec.completions {
        let rule = "must be less than or equal to completions".to_string();
        at_most(&failed, spec.max_failed_indexes, completions, rule);
    }
    let rule = format!("must be less than or equal to {MAX_INDEXED}");
    at_most(&failed, spec.max_failed_indexes, MAX_INDEXED, rule);
    let many = spec.completions.is_some_and(|c| c > MANY_COMPLETIONS);
    if many && spec.backoff_limit_per_index.is_some() {
        if spec.max_failed_indexes.is_none() {
            let rule = format!("must be specified when completions is above {MANY_COMPLETIONS}");
            errs.push(Error::required(&failed, rule));
        }
        for (path, value) in [(&parallel, spec.parallelism), (&failed, spec.max_failed_indexes)] {
            if let Some(value) = value.filter(|v| *v > MAX_OF_MANY) {
                let rule = format!(
                    "must be less than or equal to {MAX_OF_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
                );
                errs.push(Error::invalid(path, value, rule));
            }
        }
    }
}

/// Pods of a job end.
fn restart_policy(errs: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let policy = spec.template.spec.as_ref().map_or("", |s| text(&s.restart_policy));
    let path = path.child("template").child("spec").child("restartPolicy");
    match policy {
        "" | "Always" => {
            let rule = "valid values: \"OnFailure\", \"Never\"";
            errs.push(Error::required(&path, rule));
        }
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            let rule = "only \"Never\" is supported when podFailurePolicy is specified";
            errs.push(Error::invalid(&path, policy, rule));
        }
        other => one_of(errs, &path, other, &["OnFailure", "Never"]),
    }
}

/// `validateCompletions`: an Indexed job is scaled with its parallelism.
fn completions(errs: &mut ErrorList, new: &JobSpec, old: &JobSpec, path: &Path) {
    if !is_indexed(new) {
        immutable(errs, path, &new.completions, &old.completions);
    } else if let Some(completions) = new.completions.filter(|c| Some(*c) != old.completions)
        && Some(completions) != new.parallelism
    {
        let rule = "can only be modified in tandem with spec.parallelism";
        errs.push(Error::invalid(path, completions, rule));
    }
}

/// Whether scheduling directives and resources of the template may change
/// (`shouldAllowMutablePodTemplate`): the job is suspended and has no pods.
fn may_change_template(old: &Job) -> bool {
    let suspended = old.spec.as_ref().is_some_and(|s| s.suspend == Some(true));
    let Some(status) = &old.status else { return suspended };
    let said = list(&status.conditions)
        .iter()
        .any(|c| c.type_ == "Suspended" && c.status == "True");
    let started = status.start_time.is_some();
    suspended && status.active.unwrap_or(0) == 0 && (!started || said)
}

/// What of its template a job lets change (the strategy's `validationOptionsForJob`).
struct Changes {
    directives: bool,
    resources: bool,
}

impl Changes {
    fn of(old: &Job) -> Self {
        let mutable = may_change_template(old);
        let suspended = old.spec.as_ref().is_some_and(|s| s.suspend == Some(true));
        let started = old.status.as_ref().is_some_and(|s| s.start_time.is_some());
        Changes {
            directives: if on(Gate::DirectivesOfSuspendedJobs) {
                mutable
            } else {
                suspended && !started
            },
            resources: mutable && on(Gate::ResourcesOfSuspendedJobs),
        }
    }
}

/// `validatePodTemplateUpdate`.
fn template_change(errs: &mut ErrorList, new: &JobSpec, old: &JobSpec, may: &Changes, path: &Path) {
    let mut allowed = old.template.clone();
    if may.directives {
        directives(&mut allowed, &new.template);
    }
    if !may.resources {
        let path = path.child("template");
        immutable_part(errs, &path, "core.PodTemplateSpec", &new.template, &allowed);
        return;
    }
    let after = new.template.spec.clone().unwrap_or_default();
    let Some(before) = &mut allowed.spec else { return };
    resources(&mut before.containers, &after.containers);
    let init = before.init_containers.as_deref_mut().unwrap_or_default();
    resources(init, list(&after.init_containers));
    if !equal(&after, before) {
        let path = path.child("template.spec");
        errs.push(Error::invalid(
            &path,
            internal::shown("core.PodSpec", &after),
            IMMUTABLE,
        ));
    }
}

/// Takes over where pods may run, and what is said of them.
fn directives(allowed: &mut PodTemplateSpec, new: &PodTemplateSpec) {
    let after = new.spec.clone().unwrap_or_default();
    let (metadata, given) = (allowed.metadata.get_or_insert_default(), new.metadata.as_ref());
    metadata.annotations = given.and_then(|m| m.annotations.clone());
    metadata.labels = given.and_then(|m| m.labels.clone());
    let Some(before) = &mut allowed.spec else { return };
    let node = after.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let affinity = before.affinity.get_or_insert_default();
    affinity.node_affinity = node;
    if *affinity == Affinity::default() && after.affinity.is_none() {
        before.affinity = None;
    }
    before.node_selector.clone_from(&after.node_selector);
    before.tolerations.clone_from(&after.tolerations);
    before.scheduling_gates.clone_from(&after.scheduling_gates);
}

/// Takes over the resources of containers that are still the same.
fn resources(allowed: &mut [Container], after: &[Container]) {
    if allowed.len() == after.len() {
        for (allowed, after) in allowed.iter_mut().zip(after).filter(|(a, b)| a.name == b.name) {
            allowed.resources.clone_from(&after.resources);
        }
    }
}
