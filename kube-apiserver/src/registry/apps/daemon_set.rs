//! DaemonSets (pkg/registry/apps/daemonset/strategy.go).

use api::apps::v1::defaults::TEMPLATE_GENERATION;
use api::apps::v1::{defaults, validation, warnings};
use k8s_openapi::api::apps::v1::DaemonSet;

use crate::registry::strategies::rules::{Rules, Warnings, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// DaemonSets.
pub(crate) static STRATEGY: Typed<Rules<DaemonSet>> = Typed(Rules {
    recall: |raw, obj| {
        if let Some(spec) = &mut obj.spec {
            defaults::given_selector(raw, &mut spec.selector);
        }
    },
    default: defaults::daemon_set,
    prepare_create: |_, obj| {
        first_generation(obj);
        let given = template_generation(obj);
        set_template_generation(obj, given.max(1));
        obj.status = Some(Default::default());
    },
    prepare_update: |_, new, old| {
        new.status.clone_from(&old.status);
        let template = |set: &DaemonSet| set.spec.as_ref().map(|s| s.template.clone());
        let before = template_generation(old);
        let changed = differ(&template(new), &template(old));
        set_template_generation(new, if changed { before + 1 } else { before });
        let changed = changed || differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    warnings: Warnings::Change(warnings::daemon_set),
    status: Some(&STATUS),
    ..Rules::new(validation::daemon_set_create, validation::daemon_set_update)
});

/// `daemonsets/status`.
static STATUS: Typed<Rules<DaemonSet>> = Typed(Rules::updating(
    defaults::daemon_set,
    |_, new, old| new.spec.clone_from(&old.spec),
    validation::daemon_set_status_update,
));

fn template_generation(set: &DaemonSet) -> i64 {
    let annotation = set
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(TEMPLATE_GENERATION));
    annotation.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn set_template_generation(set: &mut DaemonSet, generation: i64) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(TEMPLATE_GENERATION.to_string(), generation.to_string());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry::strategy::Strategy as _;
    use crate::request::RequestContext;

    #[test]
    fn an_annotation_counts_the_templates() {
        let ctx = RequestContext::internal();
        let count = |set: &Value| {
            let annotation = &set["metadata"]["annotations"][TEMPLATE_GENERATION];
            (annotation.clone(), set["metadata"]["generation"].clone())
        };
        let mut set =
            json!({"metadata": {"name": "d"}, "spec": {"selector": {}, "template": {"spec": {"containers": []}}}});
        STRATEGY.prepare_for_create(&ctx, &mut set);
        assert_eq!(count(&set), (json!("1"), json!(1)));
        let mut same = set.clone();
        same["spec"]["minReadySeconds"] = json!(1);
        same["metadata"]["annotations"] = json!({TEMPLATE_GENERATION: "7"});
        STRATEGY.prepare_for_update(&ctx, &mut same, &set);
        assert_eq!(count(&same), (json!("1"), json!(2)));
        let mut other = same.clone();
        other["spec"]["template"]["spec"]["hostname"] = json!("h");
        STRATEGY.prepare_for_update(&ctx, &mut other, &same);
        assert_eq!(count(&other), (json!("2"), json!(3)));
    }
}
