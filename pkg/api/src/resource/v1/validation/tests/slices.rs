use serde_json::{Value, json};

use super::super::*;
use crate::cases::{creates, updates};
use crate::resource::v1::defaults;

fn slice() -> Value {
    json!({"metadata": {"name": "s", "resourceVersion": "1"}, "spec": {
        "driver": "d.example.com", "nodeName": "node-1",
        "pool": {"name": "pool-1", "resourceSliceCount": 1, "generation": 0},
        "devices": [{"name": "gpu-0", "attributes": {"model": {"string": "x"}}, "capacity": {"memory": {"value": "8"}}}],
    }})
}

#[test]
fn slices_are_checked() {
    let devices: Vec<Value> = (0..65)
        .map(|i| json!({"name": format!("d{i}"), "taints": [{"key": "k", "effect": "NoExecute"}]}))
        .collect();
    let rule = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    creates(
        &slice(),
        defaults::resource_slice,
        resource_slice_create,
        &[
            ("a good slice", json!({}), &[]),
            (
                "no driver",
                json!({"/spec/driver": ""}),
                &["spec.driver: Required value"],
            ),
            (
                "a long driver",
                json!({"/spec/driver": "a".repeat(64)}),
                &["spec.driver: Too long: may not be more than 63 bytes"],
            ),
            (
                "a pool of nothing",
                json!({"/spec/pool": {"name": "", "resourceSliceCount": 0, "generation": -1}}),
                &[
                    "spec.pool.name: Required value",
                    "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
                    "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
                ],
            ),
            (
                "no nodes",
                json!({"/spec/nodeName": null}),
                &[&format!("spec: Required value: {rule}")],
            ),
            (
                "an empty node name",
                json!({"/spec/nodeName": ""}),
                &[
                    "spec.nodeName: Invalid value: \"\": must be either unset or set to a non-empty string",
                    &format!("spec: Required value: {rule}"),
                ],
            ),
            (
                "two kinds of nodes",
                json!({"/spec/allNodes": true}),
                &[&format!(
                    "spec: Invalid value: \"{{`nodeName`, `allNodes`}}\": {rule}, but multiple fields are set"
                )],
            ),
            (
                "all nodes, not",
                json!({"/spec/allNodes": false}),
                &["spec.allNodes: Invalid value: false: must be either unset or set to true"],
            ),
            (
                "a selector without terms",
                json!({"/spec/nodeName": null, "/spec/nodeSelector": {}}),
                &[
                    "spec.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term",
                    "spec.nodeSelector.nodeSelectorTerms: Invalid value: null: must have exactly one node selector term",
                ],
            ),
            (
                "devices and counters",
                json!({"/spec/sharedCounters": [{"name": "c", "counters": {"mem": {"value": "1"}}}]}),
                &["spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed"],
            ),
            (
                "a counter set of nothing",
                json!({"/spec/devices": null, "/spec/sharedCounters": [{"name": "", "counters": {}}]}),
                &[
                    "spec.sharedCounters[0].name: Required value",
                    "spec.sharedCounters[0].counters: Required value",
                ],
            ),
            (
                "the same device twice",
                json!({"/spec/devices/-": {"name": "gpu-0"}}),
                &["spec.devices[1]: Duplicate value: \"gpu-0\""],
            ),
            (
                "many devices with taints",
                json!({"/spec/devices": devices}),
                &["spec.devices: Too many: 65: must have at most 64 items"],
            ),
        ],
    );
}

#[test]
fn devices_are_checked() {
    let counts: serde_json::Map<String, Value> = (0..32).map(|i| (format!("a{i}"), json!({"int": 1}))).collect();
    let nodes = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    let one_of = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    creates(
        &slice(),
        defaults::resource_slice,
        resource_slice_create,
        &[
            (
                "an attribute without a value",
                json!({"/spec/devices/0/attributes/model": {}}),
                &["spec.devices[0].attributes[model]: Invalid value: \"\": exactly one value must be specified"],
            ),
            (
                "a name of a dash",
                json!({"/spec/devices/0/attributes": {"a-b": {"int": 1}}}),
                &[
                    "spec.devices[0].attributes: Invalid value: \"a-b\": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
                ],
            ),
            (
                "a long name",
                json!({"/spec/devices/0/attributes": {"a".repeat(33): {"int": 1}}}),
                &["spec.devices[0].attributes: Too long: may not be more than 32 bytes"],
            ),
            (
                "a long text",
                json!({"/spec/devices/0/attributes/model/string": "x".repeat(65)}),
                &["spec.devices[0].attributes[model].string: Too long: may not be more than 64 bytes"],
            ),
            (
                "a version that is none",
                json!({"/spec/devices/0/attributes/model": {"version": "1.2"}}),
                &[
                    "spec.devices[0].attributes[model].version: Invalid value: \"1.2\": must be a string compatible with semver.org spec 2.0.0",
                ],
            ),
            (
                "an empty list",
                json!({"/spec/devices/0/attributes/model": {"ints": []}}),
                &["spec.devices[0].attributes[model].ints: Invalid value: []: must not be empty if specified"],
            ),
            (
                "too many attributes and capacities",
                json!({"/spec/devices/0/attributes": counts}),
                &[
                    "spec.devices[0]: Invalid value: 33: the total number of attributes and capacities must not exceed 32",
                ],
            ),
            (
                "a policy on an unshared device",
                json!({"/spec/devices/0/capacity/memory/requestPolicy": {}}),
                &["spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true"],
            ),
            (
                "a taint without key and effect",
                json!({"/spec/devices/0/taints": [{"key": "", "effect": ""}]}),
                &[
                    "spec.devices[0].taints[0].key: Invalid value: \"\": name part must be non-empty",
                    "spec.devices[0].taints[0].key: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                    "spec.devices[0].taints[0].effect: Required value",
                ],
            ),
            (
                "a taint of an unknown effect",
                json!({"/spec/devices/0/taints": [{"key": "k", "effect": "PreferNoSchedule"}]}),
                &[
                    "spec.devices[0].taints[0].effect: Unsupported value: \"PreferNoSchedule\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
                ],
            ),
            (
                "counters of nowhere",
                json!({"/spec/devices/0/consumesCounters": [{"counterSet": "", "counters": {}}]}),
                &[
                    "spec.devices[0].consumesCounters[0].counterSet: Required value",
                    "spec.devices[0].consumesCounters[0].counters: Required value",
                ],
            ),
            (
                "nodes of a device where the slice has them",
                json!({"/spec/devices/0/allNodes": true}),
                &[&format!("spec.devices[0]: Invalid value: null: {nodes}")],
            ),
            (
                "no nodes of a device where it should have them",
                json!({"/spec/nodeName": null, "/spec/perDeviceNodeSelection": true}),
                &[&format!("spec.devices[0]: Required value: {one_of}")],
            ),
            (
                "two kinds of nodes of a device",
                json!({"/spec/nodeName": null, "/spec/perDeviceNodeSelection": true, "/spec/devices/0/allNodes": true, "/spec/devices/0/nodeName": "n"}),
                &[&format!(
                    "spec.devices[0]: Invalid value: \"{{`nodeName`, `allNodes`}}\": {one_of}"
                )],
            ),
            (
                "conditions to bind without those of failure",
                json!({"/spec/devices/0/bindingConditions": ["a", "a"]}),
                &[
                    "spec.devices[0].bindingConditions[1]: Duplicate value: \"a\"",
                    "spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions",
                ],
            ),
            (
                "overlapping conditions",
                json!({"/spec/devices/0/bindingConditions": ["a"], "/spec/devices/0/bindingFailureConditions": ["a"]}),
                &[
                    "spec.devices[0].bindingFailureConditions[0]: Invalid value: \"a\": bindingFailureConditions must not overlap with bindingConditions",
                ],
            ),
            (
                "a mapping to what nodes do not allocate",
                json!({"/spec/devices/0/nodeAllocatableResourceMappings": {"example.com/x": {"allocationMultiplier": "0", "capacityKey": "none"}}}),
                &[
                    "spec.devices[0].nodeAllocatableResourceMappings[example.com/x]: Invalid value: \"example.com/x\": must be a node allocatable resource name",
                    "spec.devices[0].nodeAllocatableResourceMappings[example.com/x].allocationMultiplier: Invalid value: \"0\": must be positive",
                    "spec.devices[0].nodeAllocatableResourceMappings[example.com/x].capacityKey: Not found: \"none\"",
                ],
            ),
        ],
    );
}

#[test]
fn capacity_is_asked_for_in_valid_amounts() {
    let mut base = slice();
    base["spec"]["devices"][0]["allowMultipleAllocations"] = json!(true);
    let policy = "/spec/devices/0/capacity/memory/requestPolicy";
    let at = "spec.devices[0].capacity[memory].requestPolicy";
    creates(
        &base,
        defaults::resource_slice,
        resource_slice_create,
        &[
            (
                "steps from one",
                json!({policy: {"default": "3", "validRange": {"min": "1", "max": "7", "step": "2"}}}),
                &[],
            ),
            (
                "values and a range",
                json!({policy: {"default": "1", "validValues": ["1"], "validRange": {"min": "1"}}}),
                &[&format!(
                    "{at}: Forbidden: exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time"
                )],
            ),
            (
                "values without a default",
                json!({policy: {"validValues": ["1"]}}),
                &[&format!(
                    "{at}.default: Required value: required when validValues is defined"
                )],
            ),
            (
                "a range without a default",
                json!({policy: {"validRange": {"min": "1"}}}),
                &[&format!(
                    "{at}.default: Required value: required when validRange is defined"
                )],
            ),
            (
                "values out of order, out of bounds, twice, without the default",
                json!({policy: {"default": "3", "validValues": ["2", "1", "1", "9"]}}),
                &[
                    &format!("{at}.validValues[1]: Invalid value: \"1\": values must be sorted in ascending order"),
                    &format!("{at}.validValues[3]: Invalid value: \"9\": option is larger than capacity value: 8"),
                    &format!("{at}.validValues[2]: Duplicate value: \"1\""),
                    &format!(
                        "{at}.validValues: Invalid value: \"3\": default value is not valid according to the requestPolicy"
                    ),
                ],
            ),
            (
                "a range without its least",
                json!({policy: {"default": "3", "validRange": {"max": "7"}}}),
                &[&format!(
                    "{at}.validRange.min: Required value: required when validRange is defined"
                )],
            ),
            (
                "a range beyond the capacity",
                json!({policy: {"default": "3", "validRange": {"min": "10", "max": "9"}}}),
                &[
                    &format!("{at}.validRange.min: Invalid value: \"10\": min is larger than capacity value: 8"),
                    &format!("{at}.validRange.min: Invalid value: \"3\": default is less than min: 10"),
                    &format!("{at}.validRange.max: Invalid value: \"10\": min is larger than max: 9"),
                    &format!("{at}.validRange.max: Invalid value: \"9\": max is larger than capacity value: 8"),
                ],
            ),
            (
                "steps that miss the default and the end",
                json!({policy: {"default": "2", "validRange": {"min": "1", "max": "6", "step": "2"}}}),
                &[
                    &format!(
                        "{at}.validRange.step: Invalid value: \"2\": value is not a multiple of a given step (2) from (1)"
                    ),
                    &format!(
                        "{at}.validRange.step: Invalid value: \"6\": value is not a multiple of a given step (2) from (1)"
                    ),
                ],
            ),
            (
                "a step beyond the capacity",
                json!({policy: {"default": "1", "validRange": {"min": "1", "step": "8"}}}),
                &[&format!(
                    "{at}.validRange.step: Invalid value: \"8\": one step 9 is larger than capacity value: 8"
                )],
            ),
        ],
    );
}

#[test]
fn a_slice_stays_with_its_driver_pool_and_node() {
    let mut base = slice();
    base["spec"]["devices"][0]["taints"] = json!([{"key": "k", "effect": "Old"}]);
    updates(
        &base,
        defaults::resource_slice,
        resource_slice_update,
        &[
            ("old taints stay", json!({"/spec/pool/generation": 2}), &[]),
            (
                "all at once",
                json!({"/spec/pool/name": "p", "/spec/driver": "e.example.com", "/spec/nodeName": "n"}),
                &[
                    "spec.pool.name: Invalid value: \"p\": field is immutable",
                    "spec.driver: Invalid value: \"e.example.com\": field is immutable",
                    "spec.nodeName: Invalid value: \"n\": field is immutable",
                ],
            ),
            (
                "changed taints are checked",
                json!({"/spec/devices/0/taints/0/key": "l"}),
                &[
                    "spec.devices[0].taints[0].effect: Unsupported value: \"Old\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
                ],
            ),
        ],
    );
}
