use serde_json::{Value, json};

use super::super::*;
use crate::cases::updates;
use crate::resource::v1::defaults;

const UID: &str = "0f2e7a2a-8b4f-4a39-9d3c-6b1a6f0c1d2e";

fn claim() -> Value {
    json!({"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"},
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}, "status": {}})
}

fn allocated() -> Value {
    let mut claim = claim();
    claim["status"] = json!({"allocation": {"devices": {"results": [
        {"request": "r", "driver": "d.example.com", "pool": "p", "device": "gpu-0"}]}},
        "reservedFor": [{"resource": "pods", "name": "a", "uid": "1"}]});
    claim
}

fn check(base: &Value, cases: &[crate::cases::Case<'_>]) {
    updates(base, defaults::resource_claim, resource_claim_status_update, cases);
}

#[test]
fn an_allocation_is_checked_once() {
    let results = "/status/allocation/devices/results";
    let result = json!({"request": "r", "driver": "d.example.com", "pool": "p/q", "device": "gpu-0"});
    let wrong = json!({"request": "x", "driver": "", "pool": "", "device": "gpu-0", "shareID": UID.to_uppercase()});
    check(
        &claim(),
        &[
            ("a good one", json!({results: [result]}), &[]),
            (
                "one for nobody",
                json!({results: [wrong]}),
                &[
                    "status.allocation.devices.results[0].request: Invalid value: \"x\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                    "status.allocation.devices.results[0].driver: Required value",
                    "status.allocation.devices.results[0].pool: Required value",
                    "status.allocation.devices.results[0].shareID: Invalid value: \"0F2E7A2A-8B4F-4A39-9D3C-6B1A6F0C1D2E\": uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters",
                ],
            ),
            (
                "a share without an identity",
                json!({results: [result], "/status/allocation/devices/results/0/shareID": "x"}),
                &[
                    "status.allocation.devices.results[0].shareID: Invalid value: \"x\": error validating uid: invalid UUID length: 1",
                ],
            ),
            (
                "configuration from nowhere",
                json!({"/status/allocation/devices/config": [{"source": "", "requests": ["r"]}]}),
                &[
                    "status.allocation.devices.config[0].source: Required value",
                    "status.allocation.devices.config[0].opaque: Required value",
                ],
            ),
            (
                "configuration from somewhere else",
                json!({"/status/allocation/devices/config": [{"source": "FromMe", "opaque": {"driver": "d", "parameters": {}}}]}),
                &[
                    "status.allocation.devices.config[0].source: Unsupported value: \"FromMe\": supported values: \"FromClaim\", \"FromClass\"",
                ],
            ),
            (
                "a node selector of nothing",
                json!({"/status/allocation/nodeSelector": {"nodeSelectorTerms": []}}),
                &[
                    "status.allocation.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term",
                ],
            ),
            (
                "reserved before it is allocated",
                json!({"/status/reservedFor": [{"resource": "pods", "name": "a", "uid": "1"}]}),
                &["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"],
            ),
        ],
    );
}

#[test]
fn users_and_devices_of_an_allocation_are_checked() {
    let pod = |uid: usize| json!({"resource": "pods", "name": "a", "uid": uid.to_string()});
    let device = json!({"driver": "d.example.com", "pool": "p", "device": "gpu-0"});
    let devices = "/status/devices";
    check(
        &allocated(),
        &[
            (
                "a good device",
                json!({devices: [device], "/status/devices/0/networkData": {"ips": ["10.0.0.1/8"]}}),
                &[],
            ),
            (
                "a user of nothing",
                json!({"/status/reservedFor": [{"resource": "", "name": "", "uid": ""}]}),
                &[
                    "status.reservedFor[0].resource: Required value",
                    "status.reservedFor[0].name: Required value",
                    "status.reservedFor[0].uid: Required value",
                ],
            ),
            (
                "the same user twice",
                json!({"/status/reservedFor/-": pod(1)}),
                &["status.reservedFor[1]: Duplicate value: \"1\""],
            ),
            (
                "too many users",
                json!({"/status/reservedFor": (0..257).map(pod).collect::<Vec<_>>()}),
                &["status.reservedFor: Too many: 257: must have at most 256 items"],
            ),
            (
                "a device that is not allocated",
                json!({devices: [device], "/status/devices/0/device": "gpu-1"}),
                &[
                    "status.devices[0]: Invalid value: {\"Driver\":\"d.example.com\",\"Pool\":\"p\",\"Device\":\"gpu-1\",\"ShareID\":\"\"}: must be an allocated device in the claim",
                ],
            ),
            (
                "the same device twice",
                json!({devices: [device, device]}),
                &[
                    "status.devices[1]: Duplicate value: {\"Driver\":\"d.example.com\",\"Pool\":\"p\",\"Device\":\"gpu-0\",\"ShareID\":\"\"}",
                ],
            ),
            (
                "a condition of no status",
                json!({devices: [device], "/status/devices/0/conditions": [{"type": "Ready", "status": "Yes", "reason": "", "lastTransitionTime": "0001-01-01T00:00:00Z", "observedGeneration": -1}]}),
                &[
                    "status.devices[0].conditions[0].status: Unsupported value: \"Yes\": supported values: \"False\", \"True\", \"Unknown\"",
                    "status.devices[0].conditions[0].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
                    "status.devices[0].conditions[0].lastTransitionTime: Required value",
                    "status.devices[0].conditions[0].reason: Required value",
                ],
            ),
            (
                "data that is no object",
                json!({devices: [device], "/status/devices/0/data": "x"}),
                &["status.devices[0].data: Invalid value: \"<value omitted>\": must be a valid JSON object"],
            ),
            (
                "addresses that are none",
                json!({devices: [device], "/status/devices/0/networkData": {
                    "interfaceName": "e".repeat(257), "hardwareAddress": "f".repeat(129), "ips": ["10.0.0.1", "010.0.0.1/8"]}}),
                &[
                    "status.devices[0].networkData.interfaceName: Too long: may not be more than 256 bytes",
                    "status.devices[0].networkData.hardwareAddress: Too long: may not be more than 128 bytes",
                    "status.devices[0].networkData.ips[0]: Invalid value: \"10.0.0.1\": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
                    "status.devices[0].networkData.ips[1]: Invalid value: \"010.0.0.1/8\": must be in canonical form (\"10.0.0.1/8\")",
                ],
            ),
        ],
    );
}

#[test]
fn a_dying_claim_gets_no_new_users() {
    let mut base = allocated();
    base["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    check(
        &base,
        &[
            ("fewer users", json!({"/status/reservedFor": []}), &[]),
            (
                "another user",
                json!({"/status/reservedFor/-": {"resource": "pods", "name": "b", "uid": "2"}}),
                &[
                    "status.reservedFor: Forbidden: new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set",
                ],
            ),
        ],
    );
}
