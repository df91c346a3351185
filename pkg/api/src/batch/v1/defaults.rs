//! Defaults of batch/v1 (pkg/apis/batch/v1/defaults.go).

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec};

use crate::core::v1::defaults::{or, pod_template_spec};

/// One pod to completion, six retries (`SetDefaults_Job`).
pub fn job(obj: &mut Job) {
    let spec = obj.spec.get_or_insert_default();
    job_spec(spec);
    if obj.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty) {
        let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.clone());
        obj.metadata.labels = labels.filter(|l| !l.is_empty());
    }
    obj.status.get_or_insert_default();
}

fn job_spec(spec: &mut JobSpec) {
    pod_template_spec(&mut spec.template);
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let per_index = spec.backoff_limit_per_index.is_some();
    spec.backoff_limit.get_or_insert(if per_index { i32::MAX } else { 6 });
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_string());
    spec.suspend.get_or_insert(false);
    spec.manual_selector.get_or_insert(false);
    let replacement = if spec.pod_failure_policy.is_some() {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    spec.pod_replacement_policy
        .get_or_insert_with(|| replacement.to_string());
    for rule in spec.pod_failure_policy.iter_mut().flat_map(|p| &mut p.rules) {
        for pattern in rule.on_pod_conditions.iter_mut().flatten() {
            or(&mut pattern.status, "True");
        }
    }
}

/// Concurrent runs allowed, three good and one failed job kept (`SetDefaults_CronJob`). The job
/// template gets the pod defaults only.
pub fn cron_job(obj: &mut CronJob) {
    let spec = &mut obj.spec;
    or(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
    spec.job_template.metadata.get_or_insert_default();
    pod_template_spec(&mut spec.job_template.spec.get_or_insert_default().template);
    obj.status.get_or_insert_default();
}
