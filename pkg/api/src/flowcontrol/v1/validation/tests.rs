use serde_json::{Value, json};

use super::*;
use crate::cases::{creates, updates};
use crate::flowcontrol::v1::defaults;

fn schema() -> Value {
    json!({"metadata": {"name": "f", "resourceVersion": "1"}, "spec": {"priorityLevelConfiguration": {"name": "l"}, "rules": [{
        "subjects": [{"kind": "User", "user": {"name": "u"}}],
        "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["n"]}],
    }]}})
}

#[test]
fn flow_schemas_are_checked() {
    let subject = "/spec/rules/0/subjects/0";
    let rule = |field: &str| format!("/spec/rules/0/resourceRules/0/{field}");
    let urls = |urls: Value| json!({"/spec/rules/0/nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": urls}]});
    creates(
        &schema(),
        defaults::flow_schema,
        flow_schema_create,
        &[
            ("a good schema", json!({}), &[]),
            (
                "a negative precedence",
                json!({"/spec/matchingPrecedence": -1}),
                &["spec.matchingPrecedence: Invalid value: -1: must be a positive value"],
            ),
            (
                "a high precedence",
                json!({"/spec/matchingPrecedence": 10001}),
                &["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"],
            ),
            (
                "the first precedence",
                json!({"/spec/matchingPrecedence": 1}),
                &[
                    "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                ],
            ),
            (
                "an unknown method",
                json!({"/spec/distinguisherMethod": {"type": "ByMood"}}),
                &[
                    "spec.distinguisherMethod.type: Unsupported value: {\"Type\":\"ByMood\"}: supported values: \"ByNamespace\", \"ByUser\"",
                ],
            ),
            (
                "no level",
                json!({"/spec/priorityLevelConfiguration/name": ""}),
                &["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"],
            ),
            (
                "rules of nobody about nothing",
                json!({"/spec/rules": [{"subjects": []}]}),
                &[
                    "spec.rules[0].subjects: Required value: subjects must contain at least one value",
                    "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
                ],
            ),
            (
                "an unknown kind",
                json!({subject: {"kind": "Robot"}}),
                &[
                    "spec.rules[0].subjects[0].kind: Unsupported value: \"Robot\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
                ],
            ),
            (
                "a user that is a group",
                json!({subject: {"kind": "User", "group": {"name": "g"}}}),
                &[
                    "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
                    "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                ],
            ),
            (
                "a service account of nowhere",
                json!({subject: {"kind": "ServiceAccount", "serviceAccount": {"name": "", "namespace": ""}}}),
                &[
                    "spec.rules[0].subjects[0].serviceAccount.name: Required value",
                    "spec.rules[0].subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account",
                ],
            ),
            (
                "a rule about nothing",
                json!({"/spec/rules/0/resourceRules/0": {"verbs": [], "apiGroups": [], "resources": []}}),
                &[
                    "spec.rules[0].resourceRules[0].verbs: Required value: verbs must contain at least one value",
                    "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group",
                    "spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one resource",
                    "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
                ],
            ),
            (
                "wildcards beside others",
                json!({rule("verbs"): ["*", "get"], rule("apiGroups"): ["*", ""], rule("resources"): ["*", "x"], rule("namespaces"): ["*", "n"]}),
                &[
                    "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
                    "spec.rules[0].resourceRules[0].apiGroups: Invalid value: [\"*\",\"\"]: if '*' is present, must not specify other api groups",
                    "spec.rules[0].resourceRules[0].resources: Invalid value: [\"*\",\"x\"]: if '*' is present, must not specify other resources",
                    "spec.rules[0].resourceRules[0].namespaces: Invalid value: [\"*\",\"n\"]: if '*' is present, must not specify other namespaces",
                ],
            ),
            (
                "an unknown verb",
                json!({rule("verbs"): ["read"]}),
                &[
                    "spec.rules[0].resourceRules[0].verbs: Unsupported value: [\"read\"]: supported values: \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"",
                ],
            ),
            (
                "paths",
                urls(json!(["", "x", "/a b", "/a//b", "/*/a"])),
                &[
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"\": must not be empty",
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: \"x\": must start with slash",
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: \"/a b\": must not contain white-space",
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[3]: Invalid value: \"/a//b\": must not contain double slash",
                    "spec.rules[0].nonResourceRules[0].nonResourceURLs[4]: Invalid value: \"/*/a\": wildcard can only do suffix matching",
                ],
            ),
        ],
    );
    updates(
        &schema(),
        defaults::flow_schema,
        flow_schema_status_update,
        &[(
            "conditions",
            json!({"/status/conditions": [{"type": ""}, {"type": ""}]}),
            &[
                "status.conditions[0].type: Required value",
                "status.conditions[1].type: Duplicate value: \"\"",
                "status.conditions[1].type: Required value",
            ],
        )],
    );
}

#[test]
fn mandatory_objects_stay_as_they_are() {
    for name in ["exempt", "catch-all"] {
        let schema = json!({"metadata": {"name": name}, "spec": mandatory::flow_schema(name)});
        let level = json!({"metadata": {"name": name}, "spec": mandatory::priority_level(name)});
        creates(
            &schema,
            defaults::flow_schema,
            flow_schema_create,
            &[("as it is", json!({}), &[])],
        );
        let default = defaults::priority_level_configuration;
        creates(
            &level,
            default,
            priority_level_configuration_create,
            &[("as it is", json!({}), &[])],
        );
        let changed = json!({"/spec/rules": []});
        creates(
            &schema,
            defaults::flow_schema,
            |obj| without_values(flow_schema_create(obj)),
            &[(
                "changed",
                changed,
                &[&format!(
                    "spec: Invalid value: spec of '{name}' must equal the fixed value"
                )],
            )],
        );
    }
    creates(
        &json!({"metadata": {"name": "catch-all"}, "spec": mandatory::priority_level("catch-all")}),
        defaults::priority_level_configuration,
        |obj| without_values(priority_level_configuration_create(obj)),
        &[(
            "more shares",
            json!({"/spec/limited/nominalConcurrencyShares": 6}),
            &["spec: Invalid value: spec of 'catch-all' must equal the fixed value"],
        )],
    );
}

/// The values shown are whole specs.
fn without_values(mut errs: apimachinery::field::ErrorList) -> apimachinery::field::ErrorList {
    errs.iter_mut()
        .for_each(|e| e.bad_value = apimachinery::field::BadValue::Omitted);
    errs
}

#[test]
fn priority_levels_are_checked() {
    let base = json!({"metadata": {"name": "l", "resourceVersion": "1"}, "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}});
    let queuing = |field: &str| format!("/spec/limited/limitResponse/queuing/{field}");
    creates(
        &base,
        defaults::priority_level_configuration,
        priority_level_configuration_create,
        &[
            ("a good level", json!({}), &[]),
            (
                "exempt by another name",
                json!({"/spec": {"type": "Exempt", "limited": {"limitResponse": {"type": "Reject"}}}}),
                &[
                    "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
                    "spec.limited: Forbidden: must be nil if the type is not Limited",
                ],
            ),
            (
                "an unknown type",
                json!({"/spec/type": "Free"}),
                &["spec.type: Unsupported value: \"Free\": supported values: \"Exempt\", \"Limited\""],
            ),
            (
                "limits of nothing",
                json!({"/spec": {"type": "Limited", "exempt": {}}}),
                &[
                    "spec.exempt: Forbidden: must be nil if the type is Limited",
                    "spec.limited: Required value: must not be empty when type is Limited",
                ],
            ),
            (
                "numbers out of bounds",
                json!({"/spec/limited/nominalConcurrencyShares": -1, "/spec/limited/lendablePercent": 101, "/spec/limited/borrowingLimitPercent": -1}),
                &[
                    "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                    "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                    "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
                ],
            ),
            (
                "queues where none are",
                json!({"/spec/limited/limitResponse/type": "Reject"}),
                &[
                    "spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited",
                ],
            ),
            (
                "no queues where some are",
                json!({"/spec/limited/limitResponse/queuing": null}),
                &[
                    "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited",
                ],
            ),
            (
                "an unknown response",
                json!({"/spec/limited/limitResponse/type": ""}),
                &["spec.limited.limitResponse.type: Unsupported value: \"\": supported values: \"Queue\", \"Reject\""],
            ),
            (
                "queues out of bounds",
                json!({queuing("queues"): -1, queuing("handSize"): -1, queuing("queueLengthLimit"): -1}),
                &[
                    "spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive",
                    "spec.limited.limitResponse.queuing.queues: Invalid value: -1: must be positive",
                    "spec.limited.limitResponse.queuing.handSize: Invalid value: -1: must be positive",
                ],
            ),
            (
                "too many queues",
                json!({queuing("queues"): 10_000_001, queuing("handSize"): 1}),
                &[
                    "spec.limited.limitResponse.queuing.queues: Invalid value: 10000001: must not be greater than 10000000",
                ],
            ),
            (
                "a hand larger than the deck",
                json!({queuing("queues"): 4}),
                &[
                    "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: should not be greater than queues (4)",
                ],
            ),
            (
                "a hand that takes too many bits",
                json!({queuing("queues"): 512}),
                &[
                    "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60",
                ],
            ),
            (
                "an annotation of a retired version",
                json!({"/metadata/annotations": {"flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares": ""}}),
                &[
                    "metadata.annotations: Forbidden: annotation 'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares' is forbidden",
                ],
            ),
        ],
    );
}
