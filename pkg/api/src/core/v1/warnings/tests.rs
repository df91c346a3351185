//! Tables: what is changed in an object, and what is said of it.

use serde_json::{Value, json};

use super::*;
use crate::cases::{Case, warned};

fn pods(cases: &[Case<'_>]) {
    let base = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}});
    warned(&base, pod_create, cases);
}

#[test]
fn labels_of_nodes_that_have_newer_names() {
    let term =
        |key: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]});
    pods(&[
        (
            "selector",
            json!({"/spec/nodeSelector": {"beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}}),
            &["spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead"],
        ),
        (
            "affinity",
            json!({"/spec/affinity/nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term("node-role.kubernetes.io/master", &["no label!"])]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term("a", &["ok", "-"])}]}}),
            &[
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: node-role.kubernetes.io/master is use \"node-role.kubernetes.io/control-plane\" instead",
                "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[1]: - is invalid, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ],
        ),
        (
            "spread",
            json!({"/spec/topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
                "topologyKey": "failure-domain.beta.kubernetes.io/zone"}]}),
            &[
                "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            "selectors of nothing",
            json!({"/spec/affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a"}]},
                "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "a", "labelSelector": {}}},
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "a"}}]}}}),
            &[
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null labelSelector results in matching no pod",
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[1].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
    ]);
}

#[test]
fn annotations_that_fields_replaced() {
    let critical = "/metadata/annotations/scheduler.alpha.kubernetes.io~1critical-pod";
    let pod = "/metadata/annotations/seccomp.security.alpha.kubernetes.io~1pod";
    let container = "/metadata/annotations/container.seccomp.security.alpha.kubernetes.io~1c";
    let armor = "/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1c";
    let critical_text = "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \"priorityClassName\" field instead";
    let pod_text = "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead";
    let container_text = "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]: non-functional in v1.27+; use the \"seccompProfile\" field instead";
    let profile = json!({"type": "RuntimeDefault"});
    pods(&[
        (
            "all",
            json!({critical: "", pod: "runtime/default", container: "runtime/default", armor: "unconfined"}),
            &[critical_text, pod_text, container_text],
        ),
        (
            "fields beside them",
            json!({pod: "runtime/default", container: "runtime/default",
                "/spec/securityContext/seccompProfile": profile, "/spec/containers/0/securityContext/seccompProfile": profile}),
            &[],
        ),
    ]);
    let base = json!({"metadata": {"annotations": {}}, "spec": {"containers": [{"name": "c"}]}});
    let text = "t.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the \"appArmorProfile\" field instead";
    warned(
        &base,
        |template| pod_template(&Path::new("t"), template),
        &[
            ("a template's", json!({armor: "runtime/default"}), &[text]),
            (
                "as the pod's field",
                json!({armor: "runtime/default", "/spec/securityContext/appArmorProfile": profile}),
                &[],
            ),
            (
                "unlike the pod's field",
                json!({armor: "localhost/x", "/spec/securityContext/appArmorProfile": profile}),
                &[text],
            ),
        ],
    );
}

#[test]
fn volumes_that_are_no_more() {
    let volumes = |sources: Value| json!({"/spec/volumes": sources});
    pods(&[
        (
            "kinds",
            volumes(json!([
                {"name": "a", "gitRepo": {"repository": "r"}},
                {"name": "b", "rbd": {"image": "i", "monitors": []}},
                {"name": "c", "glusterfs": {"endpoints": "e", "path": "p"}},
                {"name": "d", "ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"limits": {"storage": "1500m"}}}}}}])),
            &[
                "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
                "spec.volumes[1].rbd: deprecated in v1.28, non-functional in v1.31+",
                "spec.volumes[2].glusterfs: deprecated in v1.25, non-functional in v1.26+",
                "spec.volumes[3].ephemeral.volumeClaimTemplate.spec.resources.limits[storage]: fractional byte value \"1500m\" is invalid, must be an integer",
            ],
        ),
        (
            "paths in each other's place",
            volumes(json!([
                {"name": "m", "configMap": {"name": "n", "items": [{"key": "a", "path": "p/"}, {"key": "b", "path": "p/q"}, {"key": "c", "path": "pq"}]}},
                {"name": "s", "secret": {"secretName": "n", "items": [{"key": "a", "path": "p"}, {"key": "b", "path": "p"}]}},
                {"name": "d", "downwardAPI": {"items": [{"path": "a/b"}, {"path": "a"}]}}])),
            &[
                "volume \"m\" (ConfigMap \"n\"): overlapping paths: \"p/q\" with \"p\"",
                "volume \"s\" (Secret \"n\"): overlapping paths: \"p\" with \"p\"",
                "volume \"d\" (DownwardAPI): overlapping paths: \"a\" with \"a/b\"",
            ],
        ),
        (
            "sources of one volume",
            volumes(json!([{"name": "v", "projected": {"sources": [
                {},
                {"configMap": {"name": "m", "items": [{"key": "a", "path": "p"}]}},
                {"secret": {"name": "s", "items": [{"key": "a", "path": "p/q"}]}},
                {"serviceAccountToken": {"path": "p"}},
                {"clusterTrustBundle": {"path": "x", "signerName": "s"}},
                {"podCertificate": {"keyPath": "x/y", "keyType": "RSA", "signerName": "s"}}]}}])),
            &[
                "volume \"v\" (Projected) has no sources provided",
                "volume \"v\" (Projected): overlapping paths: \"p/q\" (Secret \"s\") with \"p\" (ConfigMap \"m\")",
                "volume \"v\" (Projected): overlapping paths: \"p\" (ServiceAccountToken) with \"p\" (ConfigMap \"m\")",
                "volume \"v\" (Projected): overlapping paths: \"p\" (ServiceAccountToken) with \"p/q\" (Secret \"s\")",
                "volume \"v\" (Projected): overlapping paths: \"x/y\" (PodCertificate key) with \"x\" (ClusterTrustBundle \"s\")",
            ],
        ),
    ]);
}

#[test]
fn what_is_there_twice() {
    let containers = |ports: Value, more: Value| {
        json!({"/spec/containers": [{"name": "c", "ports": ports}, {"name": "d", "ports": more}],
            "/spec/initContainers": [{"name": "i", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"},
                {"name": "A", "value": "3"}, {"name": "A", "value": "$(A)"}]}]})
    };
    pods(&[
        (
            "aliases and secrets",
            json!({"/spec/hostAliases": [{"ip": "1.2.3.04"}, {"ip": "1.2.3.04"}],
                "/spec/imagePullSecrets": [{"name": "a"}, {}, {"name": "a"}]}),
            &[
                "spec.hostAliases[1].ip: duplicate ip \"1.2.3.04\"",
                "spec.imagePullSecrets[2].name: duplicate name \"a\"",
                "spec.imagePullSecrets[1].name: invalid empty name \"\"",
                "spec.hostAliases[0].ip: non-standard IP address \"1.2.3.04\" is invalid: use \"1.2.3.4\"",
                "spec.hostAliases[1].ip: non-standard IP address \"1.2.3.04\" is invalid: use \"1.2.3.4\"",
            ],
        ),
        (
            "ports",
            containers(
                json!([
                    {"name": "a", "containerPort": 80, "protocol": "TCP", "hostIP": "127.0.0.1"},
                    {"name": "b", "containerPort": 80, "protocol": "TCP", "hostPort": 8080},
                    {"containerPort": 80, "protocol": "UDP"}]),
                json!([
                    {"name": "b", "containerPort": 80, "protocol": "TCP", "hostPort": 8080, "hostIP": "10.0.0.1"},
                    {"containerPort": 80, "protocol": "UDP"}]),
            ),
            &[
                "spec.initContainers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.initContainers[0].env[3]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:a HostPort:0 ContainerPort:80 Protocol:TCP HostIP:127.0.0.1}",
                "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[1].ports[0]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[1].ports[0]: dangerously ambiguous port definition with spec.containers[0].ports[1]",
                "spec.containers[1].ports[1]: duplicate port definition with spec.containers[0].ports[2]",
                "spec.containers[1].ports[0]: duplicate port name \"b\" with spec.containers[0].ports[1], services and probes that select ports by name will use spec.containers[0].ports[1]",
            ],
        ),
    ]);
}

#[test]
fn amounts_names_and_addresses() {
    pods(&[
        ("nothing", json!({}), &[]),
        (
            "amounts",
            json!({"/spec/overhead": {"memory": "0.5"},
                "/spec/containers/0/resources": {"limits": {"memory": "2", "ephemeral-storage": "1.5"}, "requests": {"memory": "1m", "cpu": "1m"}}}),
            &[
                "spec.overhead[memory]: fractional byte value \"500m\" is invalid, must be an integer",
                "spec.containers[0].resources.requests[memory]: fractional byte value \"1m\" is invalid, must be an integer",
                "spec.containers[0].resources.limits[ephemeral-storage]: fractional byte value \"1500m\" is invalid, must be an integer",
            ],
        ),
        (
            "the rest",
            json!({"/metadata/name": "a.b", "/spec/terminationGracePeriodSeconds": -1, "/spec/dnsConfig": {"nameservers": ["2001:DB8::1"]}}),
            &[
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
                "spec.dnsConfig.nameservers[0]: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
            ],
        ),
    ]);
    warned(
        &json!({"status": {"podIPs": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.04"}], "hostIPs": [{"ip": "::FF"}]}, "metadata": {}}),
        pod_status,
        &[(
            "status",
            json!({}),
            &[
                "status.podIPs[1].ip: non-standard IP address \"1.2.3.04\" is invalid: use \"1.2.3.4\"",
                "status.hostIPs[0].ip: IPv6 address \"::FF\" should be in RFC 5952 canonical format (\"::ff\")",
            ],
        )],
    );
}

#[test]
fn services() {
    let base = json!({"metadata": {"annotations": {}}, "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "sessionAffinity": "None"}});
    let deprecated = "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
    warned(
        &base,
        service,
        &[
            ("usual", json!({"/spec/trafficDistribution": "PreferSameZone"}), &[]),
            (
                "old names",
                json!({"/spec/trafficDistribution": "PreferClose", "/spec/externalName": "a",
                    "/metadata/annotations/service.kubernetes.io~1topology-aware-hints": "auto"}),
                &[
                    "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead",
                    "spec.externalName is ignored when spec.type is not \"ExternalName\"",
                    "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
                ],
            ),
            (
                "addresses",
                json!({"/spec/clusterIPs": ["10.0.0.01"], "/spec/externalIPs": ["1.2.3.04"], "/spec/loadBalancerIP": "::FF",
                    "/spec/loadBalancerSourceRanges": ["10.0.0.0/08"]}),
                &[
                    "spec.clusterIPs[0]: non-standard IP address \"10.0.0.01\" is invalid: use \"10.0.0.1\"",
                    "spec.externalIPs[0]: non-standard IP address \"1.2.3.04\" is invalid: use \"1.2.3.4\"",
                    deprecated,
                    "spec.loadBalancerIP: IPv6 address \"::FF\" should be in RFC 5952 canonical format (\"::ff\")",
                    "spec.loadBalancerSourceRanges[0]: non-standard CIDR value \"10.0.0.0/08\" is invalid: use \"10.0.0.0/8\"",
                ],
            ),
            (
                "headless",
                json!({"/spec/clusterIP": "None", "/spec/externalIPs": ["1.2.3.4"], "/spec/loadBalancerIP": "1.2.3.4", "/spec/sessionAffinity": "ClientIP"}),
                &[
                    "spec.loadBalancerIP is ignored for headless services",
                    "spec.externalIPs is ignored for headless services",
                    "spec.SessionAffinity is ignored for headless services",
                ],
            ),
            (
                "external",
                json!({"/spec/type": "ExternalName", "/spec/clusterIP": "", "/spec/externalName": "a", "/spec/externalIPs": ["1.2.3.4"]}),
                &["spec.externalIPs is ignored when spec.type is \"ExternalName\""],
            ),
        ],
    );
}

#[test]
fn volumes_and_claims() {
    let class = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";
    let text = "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \"storageClassName\" attribute instead";
    let term = json!({"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "Exists"}]});
    warned(
        &json!({"metadata": {}, "spec": {}}),
        persistent_volume,
        &[(
            "all",
            json!({class: "a", "/spec/persistentVolumeReclaimPolicy": "Recycle", "/spec/rbd": {"image": "i", "monitors": []},
                "/spec/photonPersistentDisk": {"pdID": "p"}, "/spec/nodeAffinity/required": {"nodeSelectorTerms": [term]}}),
            &[
                text,
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
                "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use \"kubernetes.io/arch\" instead",
                "spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+",
                "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
            ],
        )],
    );
    warned(
        &json!({"metadata": {}, "spec": {}}),
        persistent_volume_claim,
        &[(
            "all",
            json!({class: "a", "/spec/resources": {"limits": {"storage": "1m"}, "requests": {"storage": "0.1"}}}),
            &[
                text,
                "spec.resources.requests[storage]: fractional byte value \"100m\" is invalid, must be an integer",
                "spec.resources.limits[storage]: fractional byte value \"1m\" is invalid, must be an integer",
            ],
        )],
    );
}

#[test]
fn nodes_quotas_accounts_and_endpoints() {
    warned(
        &json!({"metadata": {}, "spec": {}}),
        node,
        &[(
            "all",
            json!({"/spec/configSource": {}, "/spec/externalID": "x", "/spec/podCIDRs": ["10.0.0.1/24"]}),
            &[
                "spec.configSource: the feature is removed",
                "spec.externalID: this field is deprecated, and is unused by Kubernetes",
                "spec.podCIDRs[0]: CIDR value \"10.0.0.1/24\" is ambiguous in this context (should be \"10.0.0.0/24\" or \"10.0.0.1/32\"?)",
            ],
        )],
    );
    warned(
        &json!({"metadata": {}}),
        resource_quota_create,
        &[
            (
                "fits",
                json!({"/spec/hard": {"cpu": "1", "limits.cpu": "1", "storage": "2", "limits.storage": "1"}}),
                &[],
            ),
            (
                "more than the limit",
                json!({"/spec/hard": {"cpu": "2", "limits.cpu": "1500m", "requests.memory": "2Gi", "memory": "1Gi", "limits.memory": "1Gi"}}),
                &[
                    "ResourceQuota cpu (2) should be less than limits.cpu (1500m)",
                    "ResourceQuota requests.memory (2Gi) should be less than limits.memory (1Gi)",
                ],
            ),
        ],
    );
    let enforce = "/metadata/annotations/kubernetes.io~1enforce-mountable-secrets";
    let text = "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
    warned(
        &json!({"metadata": {}}),
        |new| service_account(new, None),
        &[("new", json!({enforce: "false"}), &[text])],
    );
    warned(
        &json!({"metadata": {}}),
        |new: &ServiceAccount| service_account(new, Some(new)),
        &[("kept", json!({enforce: "true"}), &[])],
    );
    let base = json!({"metadata": {}, "subsets": [{"addresses": [{"ip": "1.2.3.4"}], "notReadyAddresses": [{"ip": "1.2.3.04"}]}]});
    let text = "subsets[0].notReadyAddresses[0].ip: non-standard IP address \"1.2.3.04\" is invalid: use \"1.2.3.4\"";
    let manager = "/metadata/labels/endpoints.kubernetes.io~1managed-by";
    warned(
        &base,
        endpoints,
        &[
            ("a user's", json!({}), &[text]),
            ("the controller's", json!({manager: "endpoint-controller"}), &[]),
        ],
    );
}

#[test]
fn an_update_of_a_replication_controller_is_told_of_the_old_template() {
    let template = |ip: &str| json!({"spec": {"containers": [], "hostAliases": [{"ip": ip}, {"ip": ip}]}});
    let base = json!({"metadata": {"name": "a", "generation": 1}, "spec": {"template": template("1.2.3.4")}});
    let old: ReplicationController = serde_json::from_value(base.clone()).expect("a controller");
    let changes = json!({"/metadata/generation": 2, "/spec/template": template("5.6.7.8")});
    let text = "spec.template.spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"";
    warned(
        &base,
        |new| replication_controller(new, Some(&old)),
        &[("changed", changes, &[text]), ("not changed", json!({}), &[])],
    );
    let base = json!({"metadata": {"name": "a", "generation": 1}, "template": template("1.2.3.4")});
    let text = "template.spec.hostAliases[1].ip: duplicate ip \"1.2.3.4\"";
    warned(
        &base,
        |new| pod_template_object(new, None),
        &[("new", json!({}), &[text])],
    );
}
