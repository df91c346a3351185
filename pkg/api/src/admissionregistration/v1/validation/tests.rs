use serde_json::{Value, json};

use super::*;
use crate::admissionregistration::v1::defaults;
use crate::cases::{creates, updates};

fn webhooks() -> Value {
    json!({"metadata": {"name": "w", "resourceVersion": "1"}, "webhooks": [{
        "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/p"}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
    }]})
}

#[test]
fn webhooks_are_checked() {
    let hook = "/webhooks/0";
    let at = |field: &str| format!("{hook}/{field}");
    let rule = |field: &str| format!("{hook}/rules/0/{field}");
    creates(
        &webhooks(),
        defaults::mutating_webhook_configuration,
        mutating_webhook_configuration_create,
        &[
            ("a good webhook", json!({}), &[]),
            (
                "a name of two words",
                json!({at("name"): "example.com"}),
                &[
                    "webhooks[0].name: Invalid value: \"example.com\": should be a domain with at least three segments separated by dots",
                ],
            ),
            (
                "no name",
                json!({at("name"): ""}),
                &["webhooks[0].name: Required value"],
            ),
            (
                "no side effects said",
                json!({at("sideEffects"): ""}),
                &["webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"],
            ),
            (
                "side effects",
                json!({at("sideEffects"): "Some"}),
                &["webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\""],
            ),
            (
                "no reviews",
                json!({at("admissionReviewVersions"): []}),
                &["webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"],
            ),
            (
                "reviews nobody speaks",
                json!({at("admissionReviewVersions"): ["v9", "v9"]}),
                &[
                    "webhooks[0].admissionReviewVersions[1]: Invalid value: \"v9\": duplicate version",
                    "webhooks[0].admissionReviewVersions: Invalid value: [\"v9\",\"v9\"]: must include at least one of v1, v1beta1",
                ],
            ),
            (
                "a long wait",
                json!({at("timeoutSeconds"): 31}),
                &["webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"],
            ),
            (
                "unknown policies",
                json!({at("failurePolicy"): "Other", at("matchPolicy"): "Other", at("reinvocationPolicy"): "Other"}),
                &[
                    "webhooks[0].failurePolicy: Unsupported value: \"Other\": supported values: \"Fail\", \"Ignore\"",
                    "webhooks[0].matchPolicy: Unsupported value: \"Other\": supported values: \"Equivalent\", \"Exact\"",
                    "webhooks[0].reinvocationPolicy: Unsupported value: \"Other\": supported values: \"IfNeeded\", \"Never\"",
                ],
            ),
            (
                "no address",
                json!({at("clientConfig"): {}}),
                &["webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
            ),
            (
                "a service without a path of names",
                json!({at("clientConfig/service/path"): "x_y"}),
                &[
                    "webhooks[0].clientConfig.service.path: Invalid value: \"x_y\": must start with a '/'",
                    "webhooks[0].clientConfig.service.path: Invalid value: \"x_y\": segment[0]: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ],
            ),
            (
                "a rule about nothing",
                json!({at("rules"): [{}]}),
                &[
                    "webhooks[0].rules[0].operations: Required value",
                    "webhooks[0].rules[0].apiGroups: Required value",
                    "webhooks[0].rules[0].apiVersions: Required value",
                    "webhooks[0].rules[0].resources: Required value",
                ],
            ),
            (
                "wildcards beside others",
                json!({rule("operations"): ["*", "READ"], rule("apiGroups"): ["*", ""], rule("apiVersions"): ["*", ""], rule("scope"): "Here"}),
                &[
                    "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"READ\"]: if '*' is present, must not specify other operations",
                    "webhooks[0].rules[0].operations[1]: Unsupported value: \"READ\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"",
                    "webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"\"]: if '*' is present, must not specify other API groups",
                    "webhooks[0].rules[0].apiVersions: Invalid value: [\"*\",\"\"]: if '*' is present, must not specify other API versions",
                    "webhooks[0].rules[0].apiVersions[1]: Required value",
                    "webhooks[0].rules[0].scope: Unsupported value: \"Here\": supported values: \"*\", \"Cluster\", \"Namespaced\"",
                ],
            ),
            (
                "resources within others",
                json!({rule("resources"): ["pods/*", "pods/log", "*/scale", "x/scale", ""]}),
                &[
                    "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log",
                    "webhooks[0].rules[0].resources[3]: Invalid value: \"x/scale\": if '*/scale' is present, must not specify x/scale",
                    "webhooks[0].rules[0].resources[4]: Required value",
                ],
            ),
            (
                "all resources and more",
                json!({rule("resources"): ["*/*", "*", "pods"]}),
                &[
                    "webhooks[0].rules[0].resources: Invalid value: [\"*/*\",\"*\",\"pods\"]: if '*/*' is present, must not specify other resources",
                    "webhooks[0].rules[0].resources: Invalid value: [\"*/*\",\"*\",\"pods\"]: if '*' is present, must not specify other resources without subresources",
                ],
            ),
            (
                "conditions of nothing, twice",
                json!({at("matchConditions"): [{"name": "", "expression": " "}, {"name": "a", "expression": "true"}, {"name": "a", "expression": "true"}]}),
                &[
                    "webhooks[0].matchConditions[0].expression: Required value",
                    "webhooks[0].matchConditions[0].name: Required value",
                    "webhooks[0].matchConditions[2].name: Duplicate value: \"a\"",
                ],
            ),
            (
                "the same webhook twice",
                json!({"/webhooks/-": webhooks()["webhooks"][0]}),
                &["webhooks[1].name: Duplicate value: \"a.example.com\""],
            ),
        ],
    );
    let mut old = webhooks();
    old["webhooks"][0]["sideEffects"] = json!("Some");
    old["webhooks"][0]["matchConditions"] = json!([{"name": "", "expression": "true"}]);
    updates(
        &old,
        defaults::validating_webhook_configuration,
        validating_webhook_configuration_update,
        &[
            ("old mistakes may stay", json!({at("timeoutSeconds"): 3}), &[]),
            (
                "changed conditions are checked",
                json!({at("matchConditions/0/expression"): "false"}),
                &["webhooks[0].matchConditions[0].name: Required value"],
            ),
        ],
    );
}

fn policy() -> Value {
    json!({"metadata": {"name": "p.example.com", "resourceVersion": "1"}, "spec": {
        "matchConstraints": {"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
        "validations": [{"expression": "true"}],
    }})
}

#[test]
fn validating_policies_are_checked() {
    let annotation = |key: &str| json!({"key": key, "valueExpression": "'x'"});
    creates(
        &policy(),
        defaults::validating_admission_policy,
        validating_admission_policy_create,
        &[
            ("a good policy", json!({}), &[]),
            (
                "a policy about nothing",
                json!({"/spec/matchConstraints": null, "/spec/validations": null, "/spec/failurePolicy": "Other"}),
                &[
                    "spec.failurePolicy: Unsupported value: \"Other\": supported values: \"Fail\", \"Ignore\"",
                    "spec.matchConstraints: Required value",
                    "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
                    "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
                ],
            ),
            (
                "no rules",
                json!({"/spec/matchConstraints/resourceRules": []}),
                &["spec.matchConstraints.resourceRules: Required value"],
            ),
            (
                "names of resources",
                json!({"/spec/matchConstraints/resourceRules/0/resourceNames": ["a/b", "c", "c"]}),
                &[
                    "spec.matchConstraints.resourceRules[0].resourceNames[0]: Invalid value: \"a/b\": may not contain '/'",
                    "spec.matchConstraints.resourceRules[0].resourceNames[2]: Duplicate value: \"c\"",
                ],
            ),
            (
                "parameters of no kind",
                json!({"/spec/paramKind": {}}),
                &[
                    "spec.paramKind.apiVersion: Required value",
                    "spec.paramKind.kind: Required value",
                ],
            ),
            (
                "parameters of a version of three parts",
                json!({"/spec/paramKind": {"apiVersion": "a/b/c", "kind": "K"}}),
                &["spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"],
            ),
            (
                "parameters without a version",
                json!({"/spec/paramKind": {"apiVersion": "a/", "kind": "K"}}),
                &["spec.paramKind.apiVersion: Invalid value: \"a/\": version must be specified"],
            ),
            (
                "variables",
                json!({"/spec/variables": [{"name": "in", "expression": "1"}, {"name": " ", "expression": ""}]}),
                &[
                    "spec.variables[0].name: Invalid value: \"in\": must be a valid CEL identifier",
                    "spec.variables[1].name: Required value: name is not specified",
                    "spec.variables[1].expression: Required value: expression is not specified",
                ],
            ),
            (
                "a validation of nothing",
                json!({"/spec/validations/0": {"expression": " ", "message": " ", "messageExpression": " ", "reason": "Other"}}),
                &[
                    "spec.validations[0].expression: Required value: expression is not specified",
                    "spec.validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
                    "spec.validations[0].message: Invalid value: \" \": must be non-empty if specified",
                    "spec.validations[0].reason: Unsupported value: \"Other\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"",
                ],
            ),
            (
                "a message of two lines",
                json!({"/spec/validations/0/message": "a\nb"}),
                &["spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks"],
            ),
            (
                "annotations",
                json!({"/spec/auditAnnotations": [annotation("a"), annotation("a"), {"key": "b", "valueExpression": " "}, {"key": "c", "valueExpression": "x".repeat(5121)}]}),
                &[
                    "spec.auditAnnotations[1].key: Duplicate value: \"a\"",
                    "spec.auditAnnotations[2].valueExpression: Required value: valueExpression is not specified",
                    "spec.auditAnnotations[3].valueExpression: Required value: must not exceed 5120 bytes in length",
                ],
            ),
        ],
    );
    updates(
        &policy(),
        defaults::validating_admission_policy,
        validating_admission_policy_status_update,
        &[(
            "warnings about nothing",
            json!({"/status/typeChecking": {"expressionWarnings": [{"fieldRef": " ", "warning": ""}]}}),
            &[
                "status.typeChecking.expressionWarnings[0].warning: Required value",
                "status.typeChecking.expressionWarnings[0].fieldRef: Required value",
            ],
        )],
    );
}

#[test]
fn mutating_policies_are_checked() {
    let mut base = policy();
    base["spec"] = json!({"matchConstraints": base["spec"]["matchConstraints"], "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}]});
    creates(
        &base,
        defaults::mutating_admission_policy,
        mutating_admission_policy_create,
        &[
            ("a good policy", json!({}), &[]),
            (
                "deletions",
                json!({"/spec/matchConstraints/resourceRules/0/operations": ["DELETE"]}),
                &[
                    "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
                ],
            ),
            (
                "no mutations",
                json!({"/spec/mutations": [], "/spec/reinvocationPolicy": null}),
                &[
                    "spec.mutations: Required value: mutations must contain at least one item",
                    "spec.reinvocationPolicy: Required value",
                ],
            ),
            (
                "mutations of the other type",
                json!({"/spec/mutations/0/patchType": "ApplyConfiguration"}),
                &[
                    "spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration",
                    "spec.mutations[0].jsonPatch: Invalid value: \"{jsonPatch}\": must not be specified when patchType is ApplyConfiguration",
                ],
            ),
            (
                "mutations of nothing",
                json!({"/spec/mutations/0/jsonPatch/expression": " ", "/spec/mutations/-": {"patchType": ""}}),
                &[
                    "spec.mutations[0].jsonPatch.expression: Required value",
                    "spec.mutations[1].patchType: Required value",
                ],
            ),
        ],
    );
}

#[test]
fn bindings_are_checked() {
    let base = json!({"metadata": {"name": "b", "resourceVersion": "1"}, "spec": {"policyName": "p.example.com", "validationActions": ["Deny"]}});
    creates(
        &base,
        defaults::validating_admission_policy_binding,
        validating_admission_policy_binding_create,
        &[
            ("a good binding", json!({}), &[]),
            (
                "no policy, no action",
                json!({"/spec/policyName": "", "/spec/validationActions": []}),
                &[
                    "spec.policyName: Required value",
                    "spec.validationActions: Required value: at least one validation action is required",
                ],
            ),
            (
                "actions that exclude each other",
                json!({"/spec/validationActions": ["Deny", "Warn", "Deny", "Log"]}),
                &[
                    "spec.validationActions[2]: Duplicate value: \"Deny\"",
                    "spec.validationActions[3]: Unsupported value: \"Log\": supported values: \"Audit\", \"Deny\", \"Warn\"",
                    "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\",\"Log\"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
                ],
            ),
            (
                "parameters of no name",
                json!({"/spec/paramRef": {}}),
                &[
                    "spec.paramRef: Required value: one of name or selector must be specified",
                    "spec.paramRef.parameterNotFoundAction: Required value",
                ],
            ),
            (
                "parameters of a name and a selector",
                json!({"/spec/paramRef": {"name": "a/b", "selector": {}, "parameterNotFoundAction": "Cry"}}),
                &[
                    "spec.paramRef.name: Invalid value: \"a/b\": may not contain '/'",
                    "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
                    "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
                    "spec.paramRef.parameterNotFoundAction: Unsupported value: \"Cry\": supported values: \"Deny\", \"Allow\"",
                ],
            ),
        ],
    );
    creates(
        &json!({"metadata": {"name": "b"}, "spec": {"policyName": "P"}}),
        defaults::mutating_admission_policy_binding,
        mutating_admission_policy_binding_create,
        &[(
            "a policy of capital letters",
            json!({}),
            &[
                "spec.policyName: Invalid value: \"P\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ],
        )],
    );
}
