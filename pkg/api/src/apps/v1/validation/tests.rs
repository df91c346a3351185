use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::apps::v1::defaults;

/// A workload with the given changes merged into its spec, defaulted.
fn workload<T: DeserializeOwned>(default: fn(&mut T), changes: Value) -> T {
    let mut spec = json!({
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let meta = json!({"name": "x", "namespace": "n", "resourceVersion": "1"});
    let mut obj: T = serde_json::from_value(json!({"metadata": meta, "spec": spec})).expect("a test object");
    default(&mut obj);
    obj
}

fn messages(errs: &ErrorList) -> Vec<String> {
    errs.iter().map(ToString::to_string).collect()
}

#[test]
fn deployments_are_checked() {
    let cases = [
        (json!({}), None),
        (
            json!({"replicas": -1}),
            Some("spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ),
        (
            json!({"selector": {"matchLabels": {"a": "x"}}}),
            Some(
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
        ),
        (
            json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}),
            Some("spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"),
        ),
        (
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}),
            Some("spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"),
        ),
        (
            json!({"minReadySeconds": 700}),
            Some("spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"),
        ),
        (
            json!({"strategy": {"type": "Magic"}}),
            Some(
                "spec.strategy: Unsupported value: {\"Type\":\"Magic\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\"",
            ),
        ),
    ];
    for (changes, want) in cases {
        let obj: Deployment = workload(defaults::deployment, changes.clone());
        let got = messages(&deployment_create(&obj));
        assert_eq!(got, want.into_iter().collect::<Vec<_>>(), "{changes}");
    }
}

#[test]
fn a_deployments_selector_is_fixed() {
    let old: Deployment = workload(defaults::deployment, json!({}));
    let new: Deployment = workload(
        defaults::deployment,
        json!({"selector": {"matchLabels": {"c": "d"}},
            "template": {"metadata": {"labels": {"c": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}),
    );
    let got = messages(&deployment_update(&new, &old));
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(got[0].starts_with("spec.selector: Invalid value:") && got[0].ends_with("field is immutable"));
}

#[test]
fn daemon_set_rolls_either_by_surge_or_by_unavailability() {
    let rolling = |unavailable: i32, surge: i32| -> DaemonSet {
        let limits = json!({"maxUnavailable": unavailable, "maxSurge": surge});
        workload(
            defaults::daemon_set,
            json!({"updateStrategy": {"rollingUpdate": limits}}),
        )
    };
    assert!(daemon_set_create(&rolling(1, 0)).is_empty());
    assert!(daemon_set_create(&rolling(0, 1)).is_empty());
    assert_eq!(
        messages(&daemon_set_create(&rolling(1, 1))),
        [
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"
        ]
    );
    assert_eq!(
        messages(&daemon_set_create(&rolling(0, 0))),
        ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]
    );
}

#[test]
fn a_stateful_sets_identity_is_fixed() {
    let old: StatefulSet = workload(defaults::stateful_set, json!({"serviceName": "s"}));
    let scaled: StatefulSet = workload(defaults::stateful_set, json!({"serviceName": "s", "replicas": 3}));
    assert!(stateful_set_update(&scaled, &old).is_empty());
    let renamed: StatefulSet = workload(defaults::stateful_set, json!({"serviceName": "t"}));
    let got = messages(&stateful_set_update(&renamed, &old));
    assert_eq!(got.len(), 1);
    assert!(
        got[0].starts_with("spec: Forbidden: updates to statefulset spec"),
        "{got:?}"
    );
}

#[test]
fn the_tables_of_workloads_hold() {
    use crate::cases::table::creates;
    let base = json!({
        "metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}}
    });
    let text = include_str!("deployments.txt");
    let deployments = creates::<Deployment>(text, &base, defaults::deployment, deployment_create);
    let text = include_str!("daemon_sets.txt");
    let daemons = creates::<DaemonSet>(text, &base, defaults::daemon_set, daemon_set_create);
    let text = include_str!("stateful_sets.txt");
    let stateful = creates::<StatefulSet>(text, &base, defaults::stateful_set, stateful_set_create);
    assert_eq!((deployments, daemons, stateful), (16, 7, 12));
}

#[test]
fn a_selector_that_is_empty_is_not_one_that_is_missing() {
    let said = |given: Option<Value>| {
        let mut raw = json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}});
        if let Some(selector) = given {
            raw["spec"]["selector"] = selector;
        }
        let mut selector = LabelSelector::deserialize(&raw["spec"]["selector"]).unwrap_or_default();
        defaults::given_selector(&raw, &mut selector);
        let template: PodTemplateSpec = serde_json::from_value(raw["spec"]["template"].clone()).expect("a template");
        let mut errs = ErrorList::new();
        required_selector(&mut errs, &selector, "deployment");
        selects_template(&mut errs, &selector, &template, None);
        messages(&errs)
    };
    assert_eq!(
        said(None),
        [
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ]
    );
    assert_eq!(
        said(Some(json!({}))),
        ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]
    );
    assert!(said(Some(json!({"matchLabels": {"a": "b"}}))).is_empty());
}
