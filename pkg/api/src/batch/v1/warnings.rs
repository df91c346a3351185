//! Texts for `Warning` headers (pkg/api/job/warnings.go, the strategies of jobs and cron jobs).

use apimachinery::field::Path;
use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec};

use crate::check::text;
use crate::core::v1::warnings::{changed, name_in_hostnames, pod_template};

/// More indexes than this, with more at once than that, are not kept track of.
const COMPLETIONS: i32 = 100_000;
const PARALLELISM: i32 = 10_000;

/// Of a Job (`jobStrategy`).
pub fn job(new: &Job, old: Option<&Job>) -> Vec<String> {
    let mut out = vec![];
    if old.is_none() {
        out = name_in_hostnames(&new.metadata);
    }
    if changed(&new.metadata, old.map(|old| &old.metadata)) {
        spec(&mut out, &Path::new("spec"), new.spec.as_ref());
    }
    out
}

/// Of a CronJob (`cronJobStrategy`).
pub fn cron_job(new: &CronJob, old: Option<&CronJob>) -> Vec<String> {
    let mut out = vec![];
    if old.is_none() {
        out = name_in_hostnames(&new.metadata);
    }
    let cron = &new.spec;
    if changed(&new.metadata, old.map(|old| &old.metadata)) {
        let path = Path::new("spec").child("jobTemplate").child("spec");
        spec(&mut out, &path, cron.job_template.spec.as_ref());
    }
    if old.is_some() && cron.schedule.contains("TZ") {
        out.push("cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details".to_string());
    }
    out
}

/// Of the spec at `path` (`WarningsForJobSpec`).
fn spec(out: &mut Vec<String>, path: &Path, spec: Option<&JobSpec>) {
    let Some(spec) = spec else { return };
    let many = spec.completions.unwrap_or(0) > COMPLETIONS && spec.parallelism.unwrap_or(0) > PARALLELISM;
    if text(&spec.completion_mode) == "Indexed" && many {
        out.push(format!("{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"));
    }
    out.extend(pod_template(&path.child("template"), &spec.template));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::warned;
    use serde_json::json;

    const ALIASES: &str = "/spec/template/spec/hostAliases";

    #[test]
    fn names_indexes_and_templates() {
        let base =
            json!({"metadata": {"name": "a", "generation": 1}, "spec": {"template": {"spec": {"containers": []}}}});
        let twice = json!([{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]);
        let text = "spec.template.spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"";
        warned(
            &base,
            |new| job(new, None),
            &[
                ("plain", json!({}), &[]),
                (
                    "dots",
                    json!({"/metadata/name": "a.b"}),
                    &[
                        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
                    ],
                ),
                (
                    "many",
                    json!({"/spec/completionMode": "Indexed", "/spec/completions": 100_001, "/spec/parallelism": 10_001, ALIASES: twice}),
                    &[
                        "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
                        text,
                    ],
                ),
            ],
        );
        let old: Job = serde_json::from_value(base.clone()).expect("a job");
        warned(
            &base,
            |new| job(new, Some(&old)),
            &[
                ("nothing new", json!({"/metadata/name": "a.b", ALIASES: twice}), &[]),
                (
                    "a new spec",
                    json!({"/metadata/generation": 2, ALIASES: twice}),
                    &[text],
                ),
            ],
        );
    }

    #[test]
    fn time_zones_belong_in_their_field() {
        let base = json!({"metadata": {"name": "a", "generation": 1}, "spec": {"schedule": "TZ=UTC * * * * *",
            "jobTemplate": {"spec": {"template": {"spec": {"containers": [], "hostAliases": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}]}}}}}});
        let text = "spec.jobTemplate.spec.template.spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"";
        warned(&base, |new| cron_job(new, None), &[("new", json!({}), &[text])]);
        let old: CronJob = serde_json::from_value(base.clone()).expect("a cron job");
        let zone = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
        warned(
            &base,
            |new| cron_job(new, Some(&old)),
            &[
                ("same", json!({}), &[zone]),
                ("changed", json!({"/metadata/generation": 2}), &[text, zone]),
            ],
        );
    }
}
