use serde_json::json;

use super::*;
use crate::cases::{creates, updates};
use crate::storage::v1::defaults;

const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

#[test]
fn storage_classes_are_checked() {
    let base = json!({"metadata": {"name": "fast", "resourceVersion": "1"}, "provisioner": "example.com/disk", "parameters": {"a": "b"}});
    let term = json!({"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]});
    let many: serde_json::Map<String, serde_json::Value> = (0..513).map(|i| (i.to_string(), json!(""))).collect();
    creates(
        &base,
        defaults::storage_class,
        storage_class_create,
        &[
            ("a good class", json!({"/allowedTopologies": [term]}), &[]),
            (
                "no provisioner",
                json!({"/provisioner": ""}),
                &["provisioner: Required value"],
            ),
            (
                "a provisioner of spaces",
                json!({"/provisioner": "a b"}),
                &[&format!("provisioner: Invalid value: \"a b\": {KEY}")],
            ),
            (
                "a parameter without a name",
                json!({"/parameters": {"": "x"}}),
                &["parameters: Invalid value: \"\": field can not be empty."],
            ),
            (
                "many parameters",
                json!({"/parameters": many}),
                &["parameters: Too long: may not be more than 512 bytes"],
            ),
            (
                "long parameters",
                json!({"/parameters": {"a": "x".repeat(262_144)}}),
                &["parameters: Too long: may not be more than 262144 bytes"],
            ),
            (
                "unknown modes",
                json!({"/reclaimPolicy": "Recycle", "/volumeBindingMode": "Later"}),
                &[
                    "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
                    "volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
                ],
            ),
            (
                "a topology twice",
                json!({"/allowedTopologies": [term, term]}),
                &["allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""],
            ),
            (
                "a topology of nothing",
                json!({"/allowedTopologies": [{}]}),
                &["allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\""],
            ),
            (
                "values twice, none at all, a key twice",
                json!({"/allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a", "a"]}, {"key": "zone", "values": []}]}]}),
                &[
                    "allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"a\"",
                    "allowedTopologies[0].matchLabelExpressions[1].values: Required value",
                    "allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: \"zone\"",
                ],
            ),
        ],
    );
    updates(
        &base,
        defaults::storage_class,
        storage_class_update,
        &[
            ("expansion", json!({"/allowVolumeExpansion": true}), &[]),
            (
                "all else",
                json!({"/parameters": {"a": "c"}, "/provisioner": "other", "/reclaimPolicy": "Retain", "/volumeBindingMode": "WaitForFirstConsumer"}),
                &[
                    "parameters: Invalid value: {\"a\":\"c\"}: field is immutable",
                    "provisioner: Invalid value: \"other\": field is immutable",
                    "reclaimPolicy: Invalid value: \"Retain\": field is immutable",
                    "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
                ],
            ),
        ],
    );
}

#[test]
fn volume_attributes_classes_are_checked() {
    let base = json!({"metadata": {"name": "fast", "resourceVersion": "1"}, "driverName": "d.example.com", "parameters": {"iops": "1"}});
    creates(
        &base,
        |_| {},
        volume_attributes_class_create,
        &[(
            "no driver, no parameters",
            json!({"/driverName": "", "/parameters": {}}),
            &[
                "driverName: Required value",
                "parameters: Required value: must contain at least one key/value pair",
            ],
        )],
    );
    updates(
        &base,
        |_| {},
        volume_attributes_class_update,
        &[(
            "both",
            json!({"/driverName": "e.example.com", "/parameters": {"iops": "2"}}),
            &[
                "driverName: Forbidden: updates to driverName are forbidden.",
                "parameters: Forbidden: updates to parameters are forbidden.",
            ],
        )],
    );
}

#[test]
fn attachments_are_checked() {
    let base = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "pv"}}});
    creates(
        &base,
        defaults::volume_attachment,
        volume_attachment_create,
        &[
            ("a good attachment", json!({}), &[]),
            (
                "no attacher",
                json!({"/spec/attacher": ""}),
                &["spec.attacher: Required value"],
            ),
            (
                "no source",
                json!({"/spec/source": {}}),
                &["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
            ),
            (
                "both sources",
                json!({"/spec/source/inlineVolumeSpec": {}}),
                &["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
            ),
            (
                "a long message and a negative code",
                json!({"/status/attachError": {"message": "x".repeat(1025), "errorCode": -1}, "/status/attached": false}),
                &[
                    "status.attachError.message: Too long: may not be more than 262144 bytes",
                    "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                ],
            ),
        ],
    );
    updates(
        &base,
        defaults::volume_attachment,
        volume_attachment_update,
        &[(
            "another node",
            json!({"/spec/nodeName": "m"}),
            &[
                "spec: Invalid value: {\"Attacher\":\"d.example.com\",\"Source\":{\"PersistentVolumeName\":\"pv\",\"InlineVolumeSpec\":null},\"NodeName\":\"m\"}: field is immutable",
            ],
        )],
    );
}

#[test]
fn drivers_are_checked() {
    let base = json!({"metadata": {"name": "d.example.com", "resourceVersion": "1"}, "spec": {}});
    creates(
        &base,
        defaults::csi_driver,
        csi_driver_create,
        &[
            ("a good driver", json!({}), &[]),
            (
                "unknown policies and modes",
                json!({"/spec/fsGroupPolicy": "Other", "/spec/volumeLifecycleModes": ["Sometimes"]}),
                &[
                    "spec.fsGroupPolicy: Unsupported value: \"Other\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"",
                    "spec.volumeLifecycleModes: Unsupported value: \"Sometimes\": supported values: \"Persistent\", \"Ephemeral\"",
                ],
            ),
            (
                "tokens",
                json!({"/spec/tokenRequests": [{"audience": "a", "expirationSeconds": 1}, {"audience": "a"}, {"audience": "b", "expirationSeconds": 4_294_967_297_i64}]}),
                &[
                    "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
                    "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
                    "spec.tokenRequests[2].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
                ],
            ),
            (
                "a short period, secrets of no tokens",
                json!({"/spec/nodeAllocatableUpdatePeriodSeconds": 9, "/spec/serviceAccountTokenInSecrets": true}),
                &[
                    "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
                    "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified",
                ],
            ),
        ],
    );
    updates(
        &base,
        defaults::csi_driver,
        csi_driver_update,
        &[(
            "what is fixed",
            json!({"/spec/attachRequired": false, "/spec/volumeLifecycleModes": ["Ephemeral"], "/spec/storageCapacity": true}),
            &[
                "spec.attachedRequired: Invalid value: false: field is immutable",
                "spec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: field is immutable",
            ],
        )],
    );
}

#[test]
fn nodes_of_drivers_are_checked() {
    let base = json!({"metadata": {"name": "n", "resourceVersion": "1"}, "spec": {"drivers": [{"name": "d.example.com", "nodeID": "i", "topologyKeys": ["zone"]}]}});
    creates(
        &base,
        |_| {},
        csi_node_create,
        &[
            ("a good node", json!({}), &[]),
            (
                "no id, a negative count",
                json!({"/spec/drivers/0/nodeID": "", "/spec/drivers/0/allocatable": {"count": -1}}),
                &[
                    "spec.drivers[0].nodeID: Required value",
                    "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                ],
            ),
            (
                "a driver and a key twice",
                json!({"/spec/drivers/-": {"name": "d.example.com", "nodeID": "j", "topologyKeys": ["a", "a"]}}),
                &[
                    "spec.drivers[1].name: Duplicate value: \"d.example.com\"",
                    "spec.drivers[1]: Duplicate value: \"a\"",
                ],
            ),
        ],
    );
    updates(
        &base,
        |_| {},
        csi_node_update,
        &[
            (
                "what it can hold",
                json!({"/spec/drivers/0/allocatable": {"count": 3}}),
                &[],
            ),
            (
                "another id",
                json!({"/spec/drivers/0/nodeID": "j"}),
                &[
                    "spec.drivers: Invalid value: {\"Name\":\"d.example.com\",\"NodeID\":\"j\",\"TopologyKeys\":[\"zone\"],\"Allocatable\":null}: field is immutable",
                ],
            ),
        ],
    );
}

#[test]
fn capacities_are_checked() {
    let base = json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"}, "storageClassName": "fast"});
    creates(
        &base,
        defaults::csi_storage_capacity,
        csi_storage_capacity_create,
        &[(
            "a negative capacity",
            json!({"/capacity": "-1Gi"}),
            &["capacity: Invalid value: \"-1Gi\": must be greater than or equal to 0"],
        )],
    );
    updates(
        &base,
        defaults::csi_storage_capacity,
        csi_storage_capacity_update,
        &[
            ("another capacity", json!({"/capacity": "2Gi"}), &[]),
            (
                "other nodes, another class",
                json!({"/nodeTopology": {"matchLabels": {"a": "b"}}, "/storageClassName": "slow"}),
                &[
                    "nodeTopology: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable",
                    "storageClassName: Invalid value: \"slow\": field is immutable",
                ],
            ),
        ],
    );
}
