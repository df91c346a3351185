use serde_json::{Value, json};

use super::*;
use crate::cases::{creates, updates};

const PEM: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KeA==";

fn base64(text: &str) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).expect("base64")
}

fn block(type_: &str) -> Value {
    base64(&format!("-----BEGIN {type_}-----\nMA==\n-----END {type_}-----\n"))
}

fn request() -> Value {
    json!({"metadata": {"name": "r", "resourceVersion": "1"}, "spec": {
        "request": block("CERTIFICATE REQUEST"), "signerName": "example.com/signer", "usages": ["client auth"]}})
}

#[test]
fn requests_are_checked() {
    creates(
        &request(),
        |_| {},
        certificate_signing_request_create,
        &[
            ("a good request", json!({}), &[]),
            (
                "a request that does not end",
                json!({"/spec/request": PEM}),
                &[&format!(
                    "spec.request: Invalid value: \"{PEM}\": PEM block type must be CERTIFICATE REQUEST"
                )],
            ),
            (
                "no usages",
                json!({"/spec/usages": []}),
                &["spec.usages: Required value"],
            ),
            (
                "a usage twice",
                json!({"/spec/usages": ["any", "any"]}),
                &["spec.usages[1]: Duplicate value: \"any\""],
            ),
            (
                "no signer",
                json!({"/spec/signerName": ""}),
                &["spec.signerName: Required value"],
            ),
            (
                "a signer of one word",
                json!({"/spec/signerName": "signer"}),
                &[
                    "spec.signerName: Invalid value: \"signer\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
                ],
            ),
            (
                "a domain of one word",
                json!({"/spec/signerName": "example/signer"}),
                &[
                    "spec.signerName: Invalid value: \"example\": should be a domain with at least two segments separated by dots",
                ],
            ),
            (
                "labels of capital letters",
                json!({"/spec/signerName": "A.B/C"}),
                &[
                    "spec.signerName: Invalid value: \"A.B\": validating label \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                    "spec.signerName: Invalid value: \"C\": validating label \"C\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ],
            ),
            (
                "the legacy signer",
                json!({"/spec/signerName": LEGACY_SIGNER}),
                &[
                    "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API version",
                ],
            ),
            (
                "a short life",
                json!({"/spec/expirationSeconds": 599}),
                &[
                    "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
                ],
            ),
        ],
    );
}

#[test]
fn verdicts_have_their_own_door() {
    let approved = json!({"type": "Approved", "status": "True"});
    let denied = json!({"type": "Denied", "status": "True"});
    updates(
        &request(),
        |_| {},
        certificate_signing_request_approval_update,
        &[
            ("an approval", json!({"/status/conditions": [approved]}), &[]),
            (
                "both",
                json!({"/status/conditions": [approved, denied]}),
                &[
                    "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive",
                ],
            ),
            (
                "no type, no status",
                json!({"/status/conditions": [{"type": "", "status": ""}]}),
                &[
                    "status.conditions[0].type: Required value",
                    "status.conditions[0].status: Required value",
                ],
            ),
            (
                "an approval that is not",
                json!({"/status/conditions": [{"type": "Approved", "status": "False"}]}),
                &["status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""],
            ),
            (
                "an approval twice",
                json!({"/status/conditions": [approved, approved]}),
                &["status.conditions[1].type: Duplicate value: \"Approved\""],
            ),
            (
                "a certificate",
                json!({"/status/certificate": block("CERTIFICATE")}),
                &["status.certificate: Forbidden: updates may not set certificate content"],
            ),
        ],
    );
    let mut old = request();
    old["status"] = json!({"conditions": [approved], "certificate": block("CERTIFICATE")});
    updates(
        &old,
        |_| {},
        certificate_signing_request_approval_update,
        &[(
            "taken back",
            json!({"/status/conditions": []}),
            &["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""],
        )],
    );
    updates(
        &old,
        |_| {},
        certificate_signing_request_status_update,
        &[
            (
                "another certificate",
                json!({"/status/certificate": base64("-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----\n")}),
                &["status.certificate: Forbidden: updates may not modify existing certificate content"],
            ),
            (
                "a denial",
                json!({"/status/conditions": [approved, {"type": "Other", "status": "True"}, {"type": "Failed", "status": "True"}]}),
                &[],
            ),
        ],
    );
    updates(
        &request(),
        |_| {},
        certificate_signing_request_status_update,
        &[
            (
                "an approval",
                json!({"/status/conditions": [approved]}),
                &["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""],
            ),
            (
                "a key as certificate",
                json!({"/status/certificate": block("PRIVATE KEY")}),
                &[
                    "status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks are allowed, found \"PRIVATE KEY\"",
                ],
            ),
            (
                "no certificate",
                json!({"/status/certificate": base64("x")}),
                &[
                    "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
                ],
            ),
        ],
    );
}
