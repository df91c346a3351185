use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Value, json};

use super::*;
use crate::batch::v1::defaults;
use crate::cases::{table, texts};

fn job() -> Value {
    json!({
        "metadata": {"name": "x", "namespace": "n", "uid": "u", "resourceVersion": "1"},
        "spec": {"manualSelector": true, "completions": null, "parallelism": 1,
            "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
    })
}

#[test]
fn the_tables_of_jobs_hold() {
    let jobs = table::creates::<Job>(include_str!("jobs.txt"), &job(), defaults::job, job_create);
    let text = include_str!("job_updates.txt");
    let statuses = table::updates::<Job>(text, &job(), defaults::job, job_status_update);
    let cron = json!({
        "metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}
    });
    let text = include_str!("cron_jobs.txt");
    let crons = table::creates::<CronJob>(text, &cron, defaults::cron_job, cron_job_create);
    assert_eq!((jobs, statuses, crons), (26, 11, 14));
}

#[test]
fn a_suspended_jobs_resources_and_directives_change_and_its_image_does_not() {
    let with = |image: &str, cpu: &str, selector: &str| -> Job {
        let mut obj = job();
        obj["spec"]["suspend"] = json!(true);
        obj["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": selector});
        obj["spec"]["template"]["spec"]["containers"] =
            json!([{"name": "c", "image": image, "resources": {"requests": {"cpu": cpu}}}]);
        let mut obj = serde_json::from_value(obj).expect("a job");
        defaults::job(&mut obj);
        obj
    };
    let old = with("i", "1", "x");
    assert!(job_update(&with("i", "2", "y"), &old).is_empty());
    let got = texts(&job_update(&with("j", "2", "y"), &old));
    assert!(
        got.len() == 1 && got[0].starts_with("spec.template.spec: Invalid value:"),
        "{got:?}"
    );
}
