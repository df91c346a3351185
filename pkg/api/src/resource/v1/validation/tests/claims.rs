use serde_json::{Value, json};

use super::super::*;
use crate::cases::{creates, updates};
use crate::resource::v1::defaults;

fn claim() -> Value {
    json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"}, "spec": {"devices": {
        "requests": [
            {"name": "r", "exactly": {"deviceClassName": "gpu.example.com"}},
            {"name": "f", "firstAvailable": [{"name": "s", "deviceClassName": "gpu.example.com"}]},
        ],
        "constraints": [{"requests": ["r"], "matchAttribute": "example.com/numa"}],
        "config": [{"requests": ["f/s"], "opaque": {"driver": "d.example.com", "parameters": {"a": 1}}}],
    }}})
}

const NAME: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

#[test]
fn claims_are_checked() {
    let many: Vec<Value> = (0..33)
        .map(|i| json!({"name": format!("r{i}"), "exactly": {"deviceClassName": "c"}}))
        .collect();
    creates(
        &claim(),
        defaults::resource_claim,
        resource_claim_create,
        &[
            ("a good claim", json!({}), &[]),
            (
                "a request without a name",
                json!({"/spec/devices/requests/1/name": "", "/spec/devices/config": null}),
                &[&format!("spec.devices.requests[1].name: Invalid value: \"\": {NAME}")],
            ),
            (
                "neither way of asking",
                json!({"/spec/devices/requests/0/exactly": null}),
                &["spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"],
            ),
            (
                "both ways of asking",
                json!({"/spec/devices/requests/0/firstAvailable": [{"name": "s", "deviceClassName": "c"}]}),
                &[
                    "spec.devices.requests[0]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
                ],
            ),
            (
                "no class",
                json!({"/spec/devices/requests/0/exactly/deviceClassName": ""}),
                &["spec.devices.requests[0].exactly.deviceClassName: Required value"],
            ),
            (
                "a count without counting",
                json!({"/spec/devices/requests/0/exactly/allocationMode": "All", "/spec/devices/requests/0/exactly/count": 2}),
                &[
                    "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
                ],
            ),
            (
                "a negative count",
                json!({"/spec/devices/requests/0/exactly/count": -1}),
                &["spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero"],
            ),
            (
                "an unknown mode",
                json!({"/spec/devices/requests/0/exactly/allocationMode": "Some"}),
                &[
                    "spec.devices.requests[0].exactly.allocationMode: Unsupported value: \"Some\": supported values: \"All\", \"ExactCount\"",
                ],
            ),
            (
                "two requests of one name",
                json!({"/spec/devices/requests/-": {"name": "r", "exactly": {"deviceClassName": "c"}}}),
                &["spec.devices.requests[2]: Duplicate value: \"r\""],
            ),
            (
                "too many requests",
                json!({"/spec/devices/requests": many, "/spec/devices/config": null, "/spec/devices/constraints": null}),
                &["spec.devices.requests: Too many: 33: must have at most 32 items"],
            ),
            (
                "a selector of nothing",
                json!({"/spec/devices/requests/0/exactly/selectors": [{}]}),
                &["spec.devices.requests[0].exactly.selectors[0].cel: Required value"],
            ),
            (
                "a long expression",
                json!({"/spec/devices/requests/0/exactly/selectors": [{"cel": {"expression": "x".repeat(10241)}}]}),
                &[
                    "spec.devices.requests[0].exactly.selectors[0].cel.expression: Too long: may not be more than 10240 bytes",
                ],
            ),
            (
                "a toleration of any value with a value",
                json!({"/spec/devices/requests/0/exactly/tolerations": [{"operator": "Exists", "value": "v"}]}),
                &[
                    "spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`",
                ],
            ),
            (
                "a toleration without an operator is one of equality",
                json!({"/spec/devices/requests/0/exactly/tolerations": [{"key": "k", "operator": ""}]}),
                &[],
            ),
            (
                "a toleration of an unknown effect",
                json!({"/spec/devices/requests/1/firstAvailable/0/tolerations": [{"operator": "Like", "effect": "Maybe"}]}),
                &[
                    "spec.devices.requests[1].firstAvailable[0].tolerations[0].operator: Unsupported value: \"Like\": supported values: \"Equal\", \"Exists\"",
                    "spec.devices.requests[1].firstAvailable[0].tolerations[0].effect: Unsupported value: \"Maybe\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
                ],
            ),
            (
                "a constraint on an unknown request",
                json!({"/spec/devices/constraints/0/requests": ["x"]}),
                &[
                    "spec.devices.constraints[0].requests[0]: Invalid value: \"x\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                ],
            ),
            (
                "a constraint on a part of a part",
                json!({"/spec/devices/constraints/0/requests": ["f/s/t"]}),
                &[
                    "spec.devices.constraints[0].requests[0]: Invalid value: \"f/s/t\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                ],
            ),
            (
                "a request named twice",
                json!({"/spec/devices/constraints/0/requests": ["r", "r"]}),
                &["spec.devices.constraints[0].requests[1]: Duplicate value: \"r\""],
            ),
            (
                "an attribute without a domain",
                json!({"/spec/devices/constraints/0/matchAttribute": "numa"}),
                &[
                    "spec.devices.constraints[0].matchAttribute: Invalid value: \"numa\": a fully qualified name must be a domain and a name separated by a slash",
                ],
            ),
            (
                "an attribute without a name",
                json!({"/spec/devices/constraints/0/matchAttribute": "example.com/"}),
                &["spec.devices.constraints[0].matchAttribute: Invalid value: \"\": the name must not be empty"],
            ),
            (
                "an attribute with an empty domain",
                json!({"/spec/devices/constraints/0/matchAttribute": "/numa"}),
                &["spec.devices.constraints[0].matchAttribute: Invalid value: \"\": the domain must not be empty"],
            ),
            (
                "a constraint on no attribute",
                json!({"/spec/devices/constraints/0/matchAttribute": null}),
                &[
                    "spec.devices.constraints[0]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
                ],
            ),
            (
                "configuration of nothing",
                json!({"/spec/devices/config/0/opaque": null}),
                &["spec.devices.config[0].opaque: Required value"],
            ),
            (
                "parameters that are no object",
                json!({"/spec/devices/config/0/opaque/parameters": [1], "/spec/devices/config/0/opaque/driver": ""}),
                &[
                    "spec.devices.config[0].opaque.driver: Required value",
                    "spec.devices.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object",
                ],
            ),
            (
                "long parameters",
                json!({"/spec/devices/config/0/opaque/parameters": {"a": "x".repeat(10240)}}),
                &["spec.devices.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"],
            ),
        ],
    );
}

#[test]
fn a_templates_metadata_and_claim_are_checked() {
    let spec = claim()["spec"].clone();
    let base = json!({"metadata": {"name": "t", "namespace": "n", "resourceVersion": "1"},
        "spec": {"metadata": {"labels": {"a": "b"}}, "spec": spec}});
    creates(
        &base,
        defaults::resource_claim_template,
        resource_claim_template_create,
        &[
            ("a good template", json!({}), &[]),
            (
                "a bad label",
                json!({"/spec/metadata/labels": {"a": "-"}, "/spec/spec/devices/requests/0/exactly/deviceClassName": ""}),
                &[
                    "spec.metadata.labels: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
                    "spec.spec.devices.requests[0].exactly.deviceClassName: Required value",
                ],
            ),
        ],
    );
}

#[test]
fn the_spec_of_a_claim_is_fixed() {
    updates(
        &json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"}, "spec": {}}),
        defaults::resource_claim,
        |new, old| {
            let mut errs = resource_claim_update(new, old);
            // The value shown is the whole spec.
            errs.iter_mut()
                .for_each(|e| e.bad_value = apimachinery::field::BadValue::Omitted);
            errs
        },
        &[
            ("a label", json!({"/metadata/labels": {"a": "b"}}), &[]),
            (
                "a request more",
                json!({"/spec/devices/requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}),
                &["spec: Invalid value: field is immutable"],
            ),
        ],
    );
}

#[test]
fn classes_are_checked() {
    let base = json!({"metadata": {"name": "gpu.example.com", "resourceVersion": "1"}, "spec": {
        "selectors": [{"cel": {"expression": "true"}}],
        "config": [{"opaque": {"driver": "d.example.com", "parameters": {"a": "x".repeat(10300)}}}],
    }});
    creates(
        &base,
        |_| {},
        device_class_create,
        &[
            (
                "long parameters",
                json!({}),
                &["spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"],
            ),
            (
                "no parameters",
                json!({"/spec/config/0/opaque/parameters": null}),
                &["spec.config[0].opaque.parameters: Required value"],
            ),
            (
                "a native resource name",
                json!({"/spec/config": null, "/spec/extendedResourceName": "cpu"}),
                &["spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name"],
            ),
            (
                "a driver of capital letters is fine, one of spaces is not",
                json!({"/spec/config/0/opaque/parameters": {}, "/spec/config/0/opaque/driver": "a b"}),
                &[
                    "spec.config[0].opaque.driver: Invalid value: \"a b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ],
            ),
        ],
    );
    updates(
        &base,
        |_| {},
        device_class_update,
        &[
            (
                "long parameters may stay",
                json!({"/spec/extendedResourceName": "example.com/gpu"}),
                &[],
            ),
            (
                "but not with a changed configuration",
                json!({"/spec/config/0/opaque/driver": "e.example.com"}),
                &["spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"],
            ),
        ],
    );
}
