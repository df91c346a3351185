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
    failure_conditions(spec);
}

/// `SetDefaults_PodFailurePolicyOnPodConditionsPattern`.
fn failure_conditions(spec: &mut JobSpec) {
    for rule in spec.pod_failure_policy.iter_mut().flat_map(|p| &mut p.rules) {
        for pattern in rule.on_pod_conditions.iter_mut().flatten() {
            or(&mut pattern.status, "True");
        }
    }
}

/// Concurrent runs allowed, three good and one failed job kept (`SetDefaults_CronJob`). The job template gets the
/// defaults of what is below it, not those of a job (generated `SetObjectDefaults_CronJob`).
pub fn cron_job(obj: &mut CronJob) {
    let spec = &mut obj.spec;
    or(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
    spec.job_template.metadata.get_or_insert_default();
    let job = spec.job_template.spec.get_or_insert_default();
    pod_template_spec(&mut job.template);
    failure_conditions(job);
    obj.status.get_or_insert_default();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_of_a_failure_policy_are_true_in_jobs_and_their_templates() {
        let spec = json!({"template": {}, "podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "A"}, {"type": "B", "status": "False"}]}]}});
        let statuses = |spec: &JobSpec| -> Vec<Option<String>> {
            let rules = spec.pod_failure_policy.iter().flat_map(|p| &p.rules);
            let patterns = rules.flat_map(|r| r.on_pod_conditions.iter().flatten());
            patterns.map(|p| p.status.clone()).collect()
        };
        let want = [Some("True".to_owned()), Some("False".to_owned())];
        let mut one: Job = serde_json::from_value(json!({ "spec": spec })).unwrap();
        job(&mut one);
        assert_eq!(statuses(&one.spec.unwrap()), want);
        let template = json!({"schedule": "* * * * *", "jobTemplate": {"spec": spec}});
        let mut cron: CronJob = serde_json::from_value(json!({ "spec": template })).unwrap();
        cron_job(&mut cron);
        let spec = cron.spec.job_template.spec.unwrap();
        assert_eq!(statuses(&spec), want);
        // A job's own defaults come when it is made.
        assert_eq!((spec.backoff_limit, spec.suspend), (None, None));
    }
}
