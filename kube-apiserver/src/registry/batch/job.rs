//! Jobs (pkg/registry/batch/job/strategy.go).

use api::batch::v1::{defaults, validation, warnings};
use k8s_openapi::api::batch::v1::Job;

use crate::registry::strategies::rules::{
    Rules, Warnings, differ, first_generation, next_generation, number_at, text_at,
};
use crate::registry::strategy::Typed;

/// Jobs.
pub(crate) static STRATEGY: Typed<Rules<Job>> = Typed(Rules {
    default: defaults::job,
    prepare_create: |_, obj| {
        generate_selector(obj);
        first_generation(obj);
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    fields: |obj| {
        vec![
            ("metadata.uid", text_at(obj, "/metadata/uid")),
            ("status.successful", number_at(obj, "/status/succeeded")),
        ]
    },
    warnings: Warnings::Change(warnings::job),
    status: Some(&STATUS),
    ..Rules::new(validation::job_create, validation::job_update)
});

/// `jobs/status`.
static STATUS: Typed<Rules<Job>> = Typed(Rules::updating(
    defaults::job,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::job_status_update,
));

/// Unless the user brings a selector, the job's own UID selects its pods (`generateSelector`).
fn generate_selector(obj: &mut Job) {
    let name = obj.metadata.name.clone().unwrap_or_default();
    let uid = obj.metadata.uid.clone().unwrap_or_default();
    let spec = obj.spec.get_or_insert_default();
    if spec.manual_selector == Some(true) {
        return;
    }
    let labels = spec
        .template
        .metadata
        .get_or_insert_default()
        .labels
        .get_or_insert_default();
    for (key, value) in [
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
    ] {
        labels.entry(key.to_string()).or_insert_with(|| value.clone());
    }
    let selector = spec
        .selector
        .get_or_insert_default()
        .match_labels
        .get_or_insert_default();
    selector
        .entry("batch.kubernetes.io/controller-uid".to_string())
        .or_insert(uid);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::strategy::Strategy;
    use crate::request::RequestContext;
    use serde_json::json;

    #[test]
    fn a_jobs_pods_are_selected_by_its_uid() {
        let ctx = RequestContext::internal();
        let mut job = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "x", "namespace": "n", "uid": "u"},
            "spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "i"}]}}}});
        STRATEGY.default(&mut job);
        STRATEGY.prepare_for_create(&ctx, &mut job);
        assert_eq!(
            job["spec"]["selector"],
            json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})
        );
        assert_eq!(
            job["spec"]["template"]["metadata"]["labels"],
            json!({"job-name": "x", "batch.kubernetes.io/job-name": "x",
                "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u"})
        );
        assert_eq!(STRATEGY.validate_create(&ctx, &job), vec![]);
    }
}
