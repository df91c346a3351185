use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{messages, metadata, object, with};
use crate::core::v1::defaults;
use crate::core::v1::validation::{pod_create, pod_status_update, pod_update};

fn base() -> Value {
    json!({
        "metadata": metadata(),
        "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {}}],
            "volumes": [{"name": "v", "emptyDir": {}}]
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"}
    })
}

fn pod(changes: &[(&str, Value)]) -> Pod {
    object(with(&base(), changes), defaults::pod)
}

#[test]
fn new_pods_are_checked() {
    let c = "/spec/containers/0";
    type Case = (Vec<(String, Value)>, &'static [&'static str]);
    let cases: Vec<Case> = vec![
        (vec![], &[]),
        (
            vec![("/spec/containers".into(), json!([]))],
            &["spec.containers: Required value"],
        ),
        (
            vec![(format!("{c}/name"), json!("Bad_Name"))],
            &[
                "spec.containers[0].name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ],
        ),
        (
            vec![(format!("{c}/image"), json!(""))],
            &["spec.containers[0].image: Required value"],
        ),
        (
            vec![(format!("{c}/image"), json!(" i"))],
            &["spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace"],
        ),
        (
            vec![(
                "/spec/containers".into(),
                json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]),
            )],
            &["spec.containers[1].name: Duplicate value: \"c\""],
        ),
        (
            vec![(format!("{c}/imagePullPolicy"), json!("Sometimes"))],
            &[
                "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ],
        ),
        (
            vec![(format!("{c}/ports"), json!([{"containerPort": 70000}]))],
            &[
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            vec![(
                format!("{c}/ports"),
                json!([{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
            )],
            &["spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//9\""],
        ),
        (
            vec![(
                format!("{c}/env"),
                json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]),
            )],
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            ],
        ),
        (
            vec![(
                format!("{c}/env"),
                json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]),
            )],
            &[],
        ),
        (
            vec![(
                format!("{c}/env"),
                json!([{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            )],
            &[
                "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            ],
        ),
        (
            vec![(format!("{c}/volumeMounts"), json!([{"name": "w", "mountPath": "/w"}]))],
            &["spec.containers[0].volumeMounts[0].name: Not found: \"w\""],
        ),
        (
            vec![(
                format!("{c}/volumeMounts"),
                json!([{"name": "v", "mountPath": "/w", "subPath": "../x"}]),
            )],
            &["spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'"],
        ),
        (
            vec![(
                format!("{c}/resources"),
                json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            )],
            &[
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            vec![(format!("{c}/resources"), json!({"requests": {"pods": "1"}}))],
            &[
                "spec.containers[0].resources.requests[pods]: Invalid value: \"pods\": must be a standard resource for containers",
            ],
        ),
        (
            vec![(format!("{c}/resources"), json!({"limits": {"memory": "-1"}}))],
            &[
                "spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
                "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        ),
        (
            vec![(
                format!("{c}/livenessProbe"),
                json!({"httpGet": {"port": 80}, "exec": {"command": ["a"]}}),
            )],
            &["spec.containers[0].livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"],
        ),
        (
            vec![(
                format!("{c}/livenessProbe"),
                json!({"httpGet": {"port": 80}, "successThreshold": 2}),
            )],
            &["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            vec![(format!("{c}/readinessProbe"), json!({}))],
            &["spec.containers[0].readinessProbe: Required value: must specify a handler type"],
        ),
        (
            vec![(
                "/spec/initContainers".into(),
                json!([{"name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}}]),
            )],
            &[
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            ],
        ),
        (
            vec![(
                "/spec/initContainers".into(),
                json!([{"name": "i", "image": "i", "restartPolicy": "Always", "livenessProbe": {"exec": {"command": ["a"]}}}]),
            )],
            &[],
        ),
        (
            vec![("/spec/ephemeralContainers".into(), json!([{"name": "e", "image": "i"}]))],
            &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
        (
            vec![(
                "/spec/volumes/0".into(),
                json!({"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}),
            )],
            &["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            vec![(
                "/spec/volumes/0".into(),
                json!({"name": "v", "hostPath": {"path": "/x/../y", "type": "Odd"}}),
            )],
            &[
                "spec.volumes[0].hostPath.path: Invalid value: \"/x/../y\": must not contain '..'",
                "spec.volumes[0].hostPath.type: Unsupported value: \"Odd\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            ],
        ),
        (
            vec![(
                "/spec/volumes/0".into(),
                json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}}),
            )],
            &[
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
                "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
            ],
        ),
        (
            vec![("/spec/restartPolicy".into(), json!("Perhaps"))],
            &[
                "spec.restartPolicy: Unsupported value: \"Perhaps\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (
            vec![
                ("/spec/hostNetwork".into(), json!(true)),
                (format!("{c}/ports"), json!([{"containerPort": 80, "hostPort": 81}])),
            ],
            &[
                "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
            ],
        ),
        (
            vec![("/spec/dnsPolicy".into(), json!("None"))],
            &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            vec![(
                "/spec/tolerations".into(),
                json!([{"key": "a", "operator": "Exists", "value": "b"}, {"operator": "Equal"}]),
            )],
            &[
                "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
                "spec.tolerations[1].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ],
        ),
        (
            vec![(
                "/spec/topologySpreadConstraints".into(),
                json!([{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "Maybe"}]),
            )],
            &[
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Maybe\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
            ],
        ),
        (
            vec![(
                "/spec/affinity".into(),
                json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}}),
            )],
            &[
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        ),
        (
            vec![
                ("/spec/schedulingGates".into(), json!([{"name": "g"}])),
                ("/spec/nodeName".into(), json!("n1")),
            ],
            &["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
        ),
        (
            vec![(
                format!("{c}/securityContext"),
                json!({"privileged": true, "allowPrivilegeEscalation": false}),
            )],
            &[
                "spec.containers[0].securityContext: Invalid value: {\"Capabilities\":null,\"Privileged\":true,\"SELinuxOptions\":null,\"WindowsOptions\":null,\"RunAsUser\":null,\"RunAsGroup\":null,\"RunAsNonRoot\":null,\"ReadOnlyRootFilesystem\":null,\"AllowPrivilegeEscalation\":false,\"ProcMount\":null,\"SeccompProfile\":null,\"AppArmorProfile\":null}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ],
        ),
        (
            vec![(
                "/metadata/annotations".into(),
                json!({"kubernetes.io/config.mirror": "x"}),
            )],
            &[
                "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
            ],
        ),
    ];
    for (changes, want) in cases {
        let changes: Vec<(&str, Value)> = changes.iter().map(|(p, v)| (p.as_str(), v.clone())).collect();
        assert_eq!(messages(&pod_create(&pod(&changes))), want, "{changes:?}");
    }
}

#[test]
fn only_a_few_fields_of_a_pod_change() {
    let image = ("/spec/containers/0/image", json!("j"));
    let toleration = json!([{"key": "a", "operator": "Exists"}]);
    type Changes = Vec<(&'static str, Value)>;
    let cases: Vec<(Changes, Changes, Option<&str>)> = vec![
        (vec![], vec![image], None),
        (vec![], vec![("/spec/tolerations", toleration.clone())], None),
        (
            vec![("/spec/tolerations", toleration)],
            vec![],
            Some("spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"),
        ),
        (vec![], vec![("/spec/activeDeadlineSeconds", json!(5))], None),
        (
            vec![("/spec/activeDeadlineSeconds", json!(5))],
            vec![("/spec/activeDeadlineSeconds", json!(6))],
            Some("spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"),
        ),
        (
            vec![],
            vec![("/spec/nodeName", json!("other"))],
            Some(
                "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n",
            ),
        ),
        (
            vec![],
            vec![(
                "/spec/containers",
                json!([{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]),
            )],
            Some("spec.containers: Forbidden: pod updates may not add or remove containers"),
        ),
        (vec![("/spec/schedulingGates", json!([{"name": "a"}]))], vec![], None),
        (
            vec![],
            vec![("/spec/schedulingGates", json!([{"name": "a"}]))],
            Some(
                "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a'",
            ),
        ),
        (
            vec![("/spec/schedulingGates", json!([{"name": "a"}]))],
            vec![
                ("/spec/schedulingGates", json!([{"name": "a"}])),
                ("/spec/nodeSelector", json!({"a": "b"})),
            ],
            None,
        ),
    ];
    for (old, new, want) in cases {
        let errs = pod_update(&pod(&new), &pod(&old));
        match want {
            None => assert!(errs.is_empty(), "{new:?}: {:?}", messages(&errs)),
            Some(want) => {
                assert_eq!(errs.len(), 1, "{new:?}: {:?}", messages(&errs));
                assert!(errs[0].to_string().starts_with(want), "{}", errs[0]);
            }
        }
    }
}

#[test]
fn empty_and_missing_lists_are_the_same_spec() {
    let old = pod(&[]);
    let new = pod(&[("/spec/tolerations", json!([])), ("/spec/nodeSelector", json!({}))]);
    assert_eq!(messages(&pod_update(&new, &old)), Vec::<String>::new());
}

#[test]
fn a_finished_container_of_a_finite_pod_stays_finished() {
    let state = |state: Value| json!([{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
    let ended = |code: i32| state(json!({"terminated": {"exitCode": code}}));
    let running = || state(json!({"running": {}}));
    let cases = [
        ("Never", 0, true),
        ("Never", 1, true),
        ("OnFailure", 0, true),
        ("OnFailure", 1, false),
        ("Always", 0, false),
    ];
    for (policy, code, refused) in cases {
        let spec = ("/spec/restartPolicy", json!(policy));
        let old = pod(&[spec.clone(), ("/status/containerStatuses", ended(code))]);
        let new = pod(&[spec, ("/status/containerStatuses", running())]);
        let got = messages(&pod_status_update(&new, &old));
        let want = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
        assert_eq!(
            got,
            if refused { vec![want.to_string()] } else { vec![] },
            "{policy} {code}"
        );
    }
}

#[test]
fn pod_addresses_are_one_per_family() {
    let ips = |list: Value| pod(&[("/status/podIPs", list)]);
    let old = ips(json!([]));
    assert!(pod_status_update(&ips(json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}])), &old).is_empty());
    let got = messages(&pod_status_update(
        &ips(json!([{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}])),
        &old,
    ));
    assert_eq!(got.len(), 1);
    assert!(
        got[0].ends_with("may specify no more than one IP for each IP family"),
        "{got:?}"
    );
}
