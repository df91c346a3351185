use serde_json::{Value, json};

use super::super::*;
use crate::apiextensions::v1::defaults::custom_resource_definition as default;
use crate::cases::{Case, creates, updates};

fn definition() -> Value {
    json!({"metadata": {"name": "things.example.com", "resourceVersion": "1"}, "spec": {
        "group": "example.com", "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "names": {"type": "array", "items": {"type": "string"}}}},
            }}}}],
    }})
}

const LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

fn check(cases: &[Case<'_>]) {
    creates(&definition(), default, custom_resource_definition_create, cases);
}

#[test]
fn names_and_groups_are_checked() {
    check(&[
        ("a good definition", json!({}), &[]),
        (
            "another name",
            json!({"/metadata/name": "other.example.com"}),
            &["metadata.name: Invalid value: \"other.example.com\": must be spec.names.plural+\".\"+spec.group"],
        ),
        (
            "a group of one word",
            json!({"/metadata/name": "things.example", "/spec/group": "example"}),
            &["spec.group: Invalid value: \"example\": should be a domain with at least one dot"],
        ),
        ("no scope", json!({"/spec/scope": ""}), &["spec.scope: Required value"]),
        (
            "an unknown scope",
            json!({"/spec/scope": "Galaxy"}),
            &["spec.scope: Unsupported value: \"Galaxy\": supported values: \"Cluster\", \"Namespaced\""],
        ),
        (
            "no kind",
            json!({"/spec/names/kind": ""}),
            &[
                "spec.names.singular: Required value",
                "spec.names.kind: Required value",
                "spec.names.listKind: Required value",
            ],
        ),
        (
            "a kind that is its list",
            json!({"/spec/names/listKind": "Thing"}),
            &["spec.names.listKind: Invalid value: \"Thing\": kind and listKind may not be the same"],
        ),
        (
            "names of the wrong letters",
            json!({"/spec/names/kind": "T_hing", "/spec/names/singular": "thing", "/spec/names/listKind": "ThingList", "/spec/names/shortNames": ["T"], "/spec/names/categories": ["1"]}),
            &[
                &format!(
                    "spec.names.kind: Invalid value: \"T_hing\": may have mixed case, but should otherwise match: {LABEL}"
                ),
                &format!("spec.names.shortNames[0]: Invalid value: \"T\": {LABEL}"),
                &format!("spec.names.categories[0]: Invalid value: \"1\": {LABEL}"),
            ],
        ),
        (
            "a group of the project",
            json!({"/metadata/name": "things.x.k8s.io", "/spec/group": "x.k8s.io"}),
            &[
                "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
            ],
        ),
        (
            "an approval that is none",
            json!({"/metadata/name": "things.x.k8s.io", "/spec/group": "x.k8s.io", "/metadata/annotations": {"api-approved.kubernetes.io": "yes"}}),
            &[
                "metadata.annotations[api-approved.kubernetes.io]: Invalid value: \"yes\": protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
            ],
        ),
        (
            "an approval",
            json!({"/metadata/name": "things.x.k8s.io", "/spec/group": "x.k8s.io", "/metadata/annotations": {"api-approved.kubernetes.io": "https://x.y/z"}}),
            &[],
        ),
        (
            "unknown fields kept",
            json!({"/spec/preserveUnknownFields": true}),
            &[
                "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
            ],
        ),
    ]);
}

#[test]
fn versions_are_checked() {
    let without_values = |cases: &[Case<'_>]| {
        creates(
            &definition(),
            default,
            |obj| {
                let mut errs = custom_resource_definition_create(obj);
                // The value shown is the whole list.
                for e in errs.iter_mut().filter(|e| e.field == "spec.versions") {
                    e.bad_value = apimachinery::field::BadValue::Omitted;
                }
                errs
            },
            cases,
        );
    };
    let second =
        json!({"name": "v2", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}});
    without_values(&[
        ("two versions", json!({"/spec/versions/-": second}), &[]),
        (
            "no schema",
            json!({"/spec/versions/0/schema": null}),
            &["spec.versions[0].schema.openAPIV3Schema: Required value"],
        ),
        (
            "no storage version",
            json!({"/spec/versions/0/storage": false, "/status/storedVersions": ["v1"]}),
            &["spec.versions: Invalid value: must have exactly one version marked as storage version"],
        ),
        (
            "the same version twice",
            json!({"/spec/versions/-": {"name": "v1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {"type": "object"}}}}),
            &["spec.versions: Invalid value: must contain unique version names"],
        ),
        (
            "a version of capital letters",
            json!({"/spec/versions/0/name": "V1"}),
            &[
                &format!("spec.versions[0].name: Invalid value: \"V1\": {LABEL}"),
                &format!("spec.version: Invalid value: \"V1\": {LABEL}"),
            ],
        ),
        (
            "a warning of a version that is not deprecated",
            json!({"/spec/versions/0/deprecationWarning": "w"}),
            &["spec.versions[0].deprecationWarning: Invalid value: \"w\": can only be set for deprecated versions"],
        ),
        (
            "an empty warning",
            json!({"/spec/versions/0/deprecationWarning": "", "/spec/versions/0/deprecated": true}),
            &["spec.versions[0].deprecationWarning: Invalid value: \"\": must not be an empty string"],
        ),
        (
            "a warning of two lines",
            json!({"/spec/versions/0/deprecationWarning": "a\nb", "/spec/versions/0/deprecated": true}),
            &[
                "spec.versions[0].deprecationWarning: Invalid value: \"a\\nb\": must only contain printable UTF-8 characters; non-printable character found at index 1",
            ],
        ),
        (
            "columns of nothing",
            json!({"/spec/versions/0/additionalPrinterColumns": [{"name": "", "type": "", "jsonPath": ""}]}),
            &[
                "spec.additionalPrinterColumns[0].name: Required value",
                "spec.additionalPrinterColumns[0].type: Required value: must be one of boolean,date,integer,number,string",
                "spec.additionalPrinterColumns[0].JSONPath: Required value",
            ],
        ),
        (
            "columns of unknown types",
            json!({"/spec/versions/0/additionalPrinterColumns": [{"name": "a", "type": "object", "format": "x", "jsonPath": "spec"}]}),
            &[
                "spec.additionalPrinterColumns[0].type: Invalid value: \"object\": must be one of boolean,date,integer,number,string",
                "spec.additionalPrinterColumns[0].format: Invalid value: \"x\": must be one of byte,date,date-time,double,float,int32,int64,password",
                "spec.additionalPrinterColumns[0].JSONPath: Invalid value: \"spec\": must be a simple json path starting with .",
            ],
        ),
        (
            "columns of one version of two",
            json!({"/spec/versions/-": second, "/spec/versions/0/additionalPrinterColumns": [{"name": "a", "type": "date", "jsonPath": "x"}]}),
            &[
                "spec.versions[0].additionalPrinterColumns[0].JSONPath: Invalid value: \"x\": must be a simple json path starting with .",
            ],
        ),
        (
            "a scale without paths",
            json!({"/spec/versions/0/subresources": {"scale": {"specReplicasPath": "", "statusReplicasPath": ".spec.x", "labelSelectorPath": ".x"}}}),
            &[
                "spec.subresources.scale.specReplicasPath: Required value",
                "spec.subresources.scale.statusReplicasPath: Invalid value: \".spec.x\": should be a json path under .status",
                "spec.subresources.scale.labelSelectorPath: Invalid value: \".x\": should be a json path under either .spec or .status",
            ],
        ),
        (
            "selectable fields",
            json!({"/spec/versions/0/selectableFields": [
                {"jsonPath": ".spec.size"}, {"jsonPath": ".spec.size"}, {"jsonPath": ".spec.nothing"}, {"jsonPath": ".spec"}, {"jsonPath": ""}, {"jsonPath": ".spec.names[0]"}]}),
            &[
                "spec.selectableFields[1].jsonPath: Duplicate value: \".spec.size\"",
                "spec.selectableFields[2].jsonPath: Invalid value: \".spec.nothing\": is an invalid path: does not refer to a valid field",
                "spec.selectableFields[3].jsonPath: Invalid value: \".spec\": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
                "spec.selectableFields[4].jsonPath: Required value",
                "spec.selectableFields[5].jsonPath: Invalid value: \".spec.names[0]\": is an invalid path: array notation is not allowed",
            ],
        ),
    ]);
}

#[test]
fn conversions_are_checked() {
    let webhook = |client: Value| json!({"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}});
    check(&[
        (
            "an unknown strategy",
            json!({"/spec/conversion": {"strategy": "Magic"}}),
            &["spec.conversion.strategy: Unsupported value: \"Magic\": supported values: \"None\", \"Webhook\""],
        ),
        (
            "a webhook without its address",
            json!({"/spec/conversion": {"strategy": "Webhook"}}),
            &[
                "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
                "spec.conversion.conversionReviewVersions: Required value",
            ],
        ),
        (
            "a webhook with neither address",
            json!({"/spec/conversion": webhook(json!({}))}),
            &["spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required"],
        ),
        (
            "a webhook that is not called",
            json!({"/spec/conversion": webhook(json!({"url": "https://x"})), "/spec/conversion/strategy": "None"}),
            &[
                "spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook",
                "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook",
            ],
        ),
        (
            "a plain URL",
            json!({"/spec/conversion": webhook(json!({"url": "http://x"}))}),
            &[
                "spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
            ],
        ),
        (
            "a service without a name, with a bad port and path",
            json!({"/spec/conversion": webhook(json!({"service": {"name": "", "namespace": "n", "port": 70000, "path": "/a//b/"}}))}),
            &[
                "spec.conversion.webhookClientConfig.service.namespace: Required value",
                "spec.conversion.webhookClientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive",
                "spec.conversion.webhookClientConfig.service.path: Invalid value: \"/a//b/\": segment[1] may not be empty",
            ],
        ),
        (
            "reviews nobody speaks, twice",
            json!({"/spec/conversion": webhook(json!({"url": "https://x"})), "/spec/conversion/webhook/conversionReviewVersions": ["v9", "v9"]}),
            &[
                "spec.conversion.conversionReviewVersions[1]: Invalid value: \"v9\": duplicate version",
                "spec.conversion.conversionReviewVersions: Invalid value: [\"v9\",\"v9\"]: must include at least one of v1, v1beta1",
            ],
        ),
    ]);
}

#[test]
fn what_is_stored_binds() {
    let mut base = definition();
    base["status"] = json!({"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": "True"}]});
    updates(
        &base,
        default,
        custom_resource_definition_update,
        &[
            ("a label", json!({"/metadata/labels": {"a": "b"}}), &[]),
            (
                "scope and kind of an established definition, group and resource of any",
                json!({"/spec/scope": "Cluster", "/spec/names/kind": "Other", "/spec/names/plural": "others", "/spec/group": "other.com"}),
                &[
                    "spec.scope: Invalid value: \"Cluster\": field is immutable",
                    "spec.names.kind: Invalid value: \"Other\": field is immutable",
                    "spec.group: Invalid value: \"other.com\": field is immutable",
                    "spec.names.plural: Invalid value: \"others\": field is immutable",
                ],
            ),
            (
                "a stored version that goes",
                json!({"/spec/versions/0/name": "v2"}),
                &[
                    "status.storedVersions: Invalid value: [\"v1\"]: must have the storage version v2",
                    "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions",
                ],
            ),
            (
                "a bundle that is none, once established",
                json!({"/spec/conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x", "caBundle": "AAAA"}, "conversionReviewVersions": ["v1"]}}}),
                &[
                    "spec.conversion.webhookClientConfig.caBundle: Invalid value: \"AAAA\": unable to load root certificates: unable to parse bytes as PEM block",
                ],
            ),
        ],
    );
    updates(
        &base,
        default,
        custom_resource_definition_status_update,
        &[(
            "accepted names",
            json!({"/status/acceptedNames": {"plural": "Things", "kind": "Thing"}}),
            &[&format!(
                "status.acceptedNames.plural: Invalid value: \"Things\": {LABEL}"
            )],
        )],
    );
}

#[test]
fn old_mistakes_may_stay() {
    let mut base = definition();
    base["status"] = json!({"storedVersions": ["v1"]});
    base["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["type"] = json!("struct");
    updates(
        &base,
        default,
        custom_resource_definition_update,
        &[(
            "a type that was unknown before",
            json!({"/metadata/labels": {"a": "b"}}),
            &[],
        )],
    );
}
