//! The smallest valid object of every kind that can be created.

use serde_json::{Value, json};

/// The `n`th object of a resource, with apiVersion, kind and name; `None` for a resource this table
/// does not know.
pub(crate) fn object(group: &str, version: &str, resource: &str, kind: &str, n: usize) -> Option<Value> {
    let mut object = content(group, version, resource, n)?;
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"]["name"] = name(resource, n).into();
    object["metadata"]["labels"]["lifecycle"] = "yes".into();
    Some(object)
}

/// Some kinds say something by their name.
fn name(resource: &str, n: usize) -> String {
    match resource {
        "ipaddresses" => format!("10.96.77.{}", n + 1),
        "apiservices" => format!("v1.life{n}.example.com"),
        "customresourcedefinitions" => format!("lives{n}.example.com"),
        _ => format!("life-{n}"),
    }
}

fn pod_template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn selecting_workload() -> Value {
    json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod_template()}})
}

fn job() -> Value {
    let mut template = pod_template();
    template["spec"]["restartPolicy"] = "Never".into();
    json!({"template": template})
}

fn webhooks() -> Value {
    json!({"webhooks": [{"name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "clientConfig": {"url": "https://example.com/hook"}}]})
}

fn policy_rules() -> Value {
    json!({"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
        "resources": ["configmaps"]}]})
}

/// A certificate request, in base64 around PEM.
fn certificate_request() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "life.example.com");
    let pem = params
        .serialize_request(&key)
        .and_then(|r| r.pem())
        .expect("a certificate request");
    base64(pem.as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |chunk: &[u8]| {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        (0..4)
            .map(move |i| (bits >> (18 - 6 * i)) as usize & 63)
            .map(|d| char::from(DIGITS[d]))
            .collect::<String>()
    };
    let padded = |chunk: &[u8]| format!("{:=<4}", &four(chunk)[..=chunk.len()]);
    bytes.chunks(3).map(padded).collect()
}

/// What makes an object of the resource valid, besides its name.
fn content(group: &str, version: &str, resource: &str, n: usize) -> Option<Value> {
    Some(match (group, resource) {
        ("", "configmaps") => json!({"data": {"k": "v"}}),
        ("", "endpoints") => json!({"subsets": [{"addresses": [{"ip": "10.1.1.1"}], "ports": [{"port": 80}]}]}),
        ("", "events") => json!({"metadata": {"namespace": "default"}, "reason": "Testing", "message": "m",
            "type": "Normal", "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}}),
        ("events.k8s.io", "events") => json!({"metadata": {"namespace": "default"}, "reason": "Testing",
            "eventTime": "2026-11-21T10:00:00.000000Z", "action": "Test", "type": "Normal",
            "reportingController": "example.com/c", "reportingInstance": "c-1",
            "regarding": {"kind": "Pod", "namespace": "default", "name": "p"}}),
        ("", "limitranges") => {
            json!({"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}})
        }
        ("", "namespaces") => json!({}),
        ("", "nodes") => json!({"spec": {"podCIDR": format!("10.200.{n}.0/24")}}),
        ("", "persistentvolumeclaims") => json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}),
        ("", "persistentvolumes") => json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/tmp/x"}}}),
        ("", "pods") => json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}),
        ("", "podtemplates") => json!({"template": pod_template()}),
        ("", "replicationcontrollers") => json!({"spec": {"selector": {"a": "b"}, "template": pod_template()}}),
        ("", "resourcequotas") => json!({"spec": {"hard": {"services": "100"}}}),
        ("", "secrets") => json!({"data": {"k": "dg=="}}),
        ("", "serviceaccounts") => json!({}),
        ("", "services") => json!({"spec": {"ports": [{"port": 80}]}}),
        ("apiregistration.k8s.io", "apiservices") => json!({"spec": {"group": format!("life{n}.example.com"),
            "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, "insecureSkipTLSVerify": true,
            "service": {"name": "s", "namespace": "default"}}}),
        ("apps", "controllerrevisions") => json!({"revision": 1, "data": {"a": 1}}),
        ("apps", "statefulsets") => {
            let mut set = selecting_workload();
            set["spec"]["serviceName"] = "s".into();
            set
        }
        ("apps", _) => selecting_workload(),
        ("autoscaling", "horizontalpodautoscalers") => {
            let mut spec = json!({"maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}});
            if version == "v1" {
                spec["targetCPUUtilizationPercentage"] = 50.into();
            }
            json!({"spec": spec})
        }
        ("batch", "cronjobs") => json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job()}}}),
        ("batch", "jobs") => json!({"spec": job()}),
        ("certificates.k8s.io", _) => json!({"spec": {"request": certificate_request(),
            "signerName": "example.com/signer", "usages": ["client auth"]}}),
        ("networking.k8s.io", "ingressclasses") => json!({"spec": {"controller": "example.com/c"}}),
        ("networking.k8s.io", "ingresses") => json!({"spec": {"defaultBackend": {
            "service": {"name": "s", "port": {"number": 80}}}}}),
        ("networking.k8s.io", "ipaddresses") => json!({"spec": {"parentRef": {"resource": "services",
            "namespace": "default", "name": "s"}}}),
        ("networking.k8s.io", "networkpolicies") => json!({"spec": {"podSelector": {}}}),
        ("networking.k8s.io", "servicecidrs") => json!({"spec": {"cidrs": [format!("10.{}.0.0/24", 201 + n)]}}),
        ("policy", "poddisruptionbudgets") => json!({"spec": {"minAvailable": 1,
            "selector": {"matchLabels": {"a": "b"}}}}),
        ("rbac.authorization.k8s.io", "clusterroles" | "roles") => json!({"rules": [{"apiGroups": [""],
            "resources": ["pods"], "verbs": ["get"]}]}),
        ("rbac.authorization.k8s.io", "clusterrolebindings" | "rolebindings") => json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "u"}]}),
        ("storage.k8s.io", "csidrivers") => json!({"spec": {}}),
        ("storage.k8s.io", "csinodes") => json!({"spec": {"drivers": [{"name": "d.example.com", "nodeID": "n"}]}}),
        ("storage.k8s.io", "csistoragecapacities") => json!({"storageClassName": "sc"}),
        ("storage.k8s.io", "storageclasses") => json!({"provisioner": "p.example.com"}),
        ("storage.k8s.io", "volumeattachments") => json!({"spec": {"attacher": "a.example.com", "nodeName": "n",
            "source": {"persistentVolumeName": "pv"}}}),
        ("storage.k8s.io", "volumeattributesclasses") => json!({"driverName": "d.example.com",
            "parameters": {"a": "b"}}),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            webhooks()
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => json!({"spec": {
            "matchConstraints": policy_rules(), "validations": [{"expression": "true"}]}}),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => json!({"spec": {
            "matchConstraints": policy_rules(), "reinvocationPolicy": "Never", "mutations": [{"patchType": "JSONPatch",
                "jsonPatch": {"expression": "[JSONPatch{op: \"add\", path: \"/metadata/labels/x\", value: \"y\"}]"}}]}}),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings") => json!({"spec": {
            "policyName": "none.example.com", "validationActions": ["Deny"]}}),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings") => json!({"spec": {
            "policyName": "none.example.com"}}),
        ("apiextensions.k8s.io", "customresourcedefinitions") => json!({"spec": {"group": "example.com",
            "scope": "Namespaced", "names": {"plural": format!("lives{n}"), "singular": format!("life{n}"),
                "kind": format!("Life{n}"), "listKind": format!("Life{n}List")},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}}}]}}),
        ("scheduling.k8s.io", "priorityclasses") => json!({"value": 7}),
        ("coordination.k8s.io", "leases") => json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15}}),
        ("node.k8s.io", "runtimeclasses") => json!({"handler": "runc"}),
        ("discovery.k8s.io", "endpointslices") => json!({"addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.1.1"]}], "ports": [{"name": "", "port": 80}]}),
        ("resource.k8s.io", "deviceclasses") => json!({"spec": {"selectors": [{"cel": {
            "expression": "device.driver == \"d.example.com\""}}]}}),
        ("resource.k8s.io", "resourceclaims") => json!({"spec": {"devices": {"requests": [{"name": "r",
            "exactly": {"deviceClassName": "c.example.com"}}]}}}),
        ("resource.k8s.io", "resourceclaimtemplates") => json!({"spec": {"spec": {"devices": {"requests": [
            {"name": "r", "exactly": {"deviceClassName": "c.example.com"}}]}}}}),
        ("resource.k8s.io", "resourceslices") => json!({"spec": {"driver": "d.example.com", "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "gpu"}]}}),
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => json!({"spec": {"matchingPrecedence": 5000,
            "priorityLevelConfiguration": {"name": "catch-all"}}}),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => json!({"spec": {"type": "Limited",
            "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}}),
        _ => return None,
    })
}
