use serde_json::{Value, json};

use super::*;
use crate::cases::{creates, updates};
use crate::networking::v1::defaults;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn ingress() -> Value {
    json!({"metadata": {"name": "i", "namespace": "n", "resourceVersion": "1"}, "spec": {"rules": [
        {"host": "example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
}

#[test]
fn ingresses_are_checked() {
    let path = |field: &str| format!("/spec/rules/0/http/paths/0/{field}");
    let at = "spec.rules[0].http.paths[0]";
    creates(
        &ingress(),
        defaults::ingress,
        ingress_create,
        &[
            ("a good ingress", json!({path("backend/service/name"): "1a"}), &[]),
            (
                "nothing",
                json!({"/spec": {}}),
                &["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
            ),
            (
                "an address as host",
                json!({"/spec/rules/0/host": "10.0.0.1"}),
                &["spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"],
            ),
            (
                "a star in the middle",
                json!({"/spec/rules/0/host": "a.*.com"}),
                &[
                    "spec.rules[0].host: Invalid value: \"a.*.com\": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                ],
            ),
            (
                "no paths",
                json!({"/spec/rules/0/http/paths": []}),
                &["spec.rules[0].http.paths: Required value"],
            ),
            (
                "no type of path",
                json!({path("pathType"): ""}),
                &[&format!("{at}.pathType: Required value: pathType must be specified")],
            ),
            (
                "an unknown type of path",
                json!({path("pathType"): "Regex"}),
                &[&format!(
                    "{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
                )],
            ),
            (
                "a relative path of odd parts",
                json!({path("path"): "a//b%2f/.."}),
                &[
                    &format!("{at}.path: Invalid value: \"a//b%2f/..\": must be an absolute path"),
                    &format!("{at}.path: Invalid value: \"a//b%2f/..\": must not contain '//'"),
                    &format!("{at}.path: Invalid value: \"a//b%2f/..\": must not contain '%2f'"),
                    &format!("{at}.path: Invalid value: \"a//b%2f/..\": cannot end with '/..'"),
                ],
            ),
            (
                "no backend",
                json!({path("backend"): {}}),
                &[&format!(
                    "{at}.backend: Invalid value: \"\": resource or service backend is required"
                )],
            ),
            (
                "a backend of both kinds",
                json!({path("backend/resource"): {"kind": "K", "name": "n"}}),
                &[&format!(
                    "{at}.backend: Invalid value: \"\": cannot set both resource and service backends"
                )],
            ),
            (
                "a backend of no kind",
                json!({path("backend"): {"resource": {"kind": "", "name": "a/b", "apiGroup": "G"}}}),
                &[
                    &format!("{at}.backend.resource.apiGroup: Invalid value: \"G\": {SUBDOMAIN}"),
                    &format!("{at}.backend.resource.kind: Required value"),
                    &format!("{at}.backend.resource.name: Invalid value: \"a/b\": may not contain '/'"),
                ],
            ),
            (
                "no port",
                json!({path("backend/service/port"): {}}),
                &[&format!(
                    "{at}.backend: Required value: port name or number is required"
                )],
            ),
            (
                "a port by name and number",
                json!({path("backend/service/port/name"): "http"}),
                &[&format!(
                    "{at}.backend: Invalid value: \"\": cannot set both port name & port number"
                )],
            ),
            (
                "no service, a port out of range",
                json!({path("backend/service"): {"name": "", "port": {"number": 70000}}}),
                &[
                    &format!("{at}.backend.service.name: Required value"),
                    &format!(
                        "{at}.backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive"
                    ),
                ],
            ),
            (
                "hosts and secrets of TLS",
                json!({"/spec/tls": [{"hosts": ["A"], "secretName": "S"}]}),
                &[
                    &format!("spec.tls[0].hosts[0]: Invalid value: \"A\": {SUBDOMAIN}"),
                    &format!("spec.tls[0].secretName: Invalid value: \"S\": {SUBDOMAIN}"),
                ],
            ),
            (
                "two classes",
                json!({"/spec/ingressClassName": "a", "/metadata/annotations": {"kubernetes.io/ingress.class": "b"}}),
                &[
                    "annotations.kubernetes.io/ingress.class: Invalid value: \"b\": must match `ingressClassName` when both are specified",
                ],
            ),
        ],
    );
    let mut old = ingress();
    old["spec"]["tls"] = json!([{"secretName": "S"}]);
    updates(
        &old,
        defaults::ingress,
        ingress_update,
        &[(
            "an old secret name may stay",
            json!({"/spec/rules/0/host": "b.com"}),
            &[],
        )],
    );
    updates(
        &ingress(),
        defaults::ingress,
        ingress_status_update,
        &[(
            "where it is served",
            json!({"/status/loadBalancer/ingress": [{"ip": "x", "hostname": "10.0.0.1"}]}),
            &[
                "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
                "status.loadBalancer.ingress[0].hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
            ],
        )],
    );
}

#[test]
fn network_policies_are_checked() {
    let base = json!({"metadata": {"name": "p", "namespace": "n", "resourceVersion": "1"}, "spec": {"podSelector": {}, "ingress": [{}]}});
    let ports = "/spec/ingress/0/ports";
    let from = "/spec/ingress/0/from";
    creates(
        &base,
        defaults::network_policy,
        network_policy_create,
        &[
            ("a good policy", json!({ports: [{"port": 80, "endPort": 90}]}), &[]),
            (
                "an unknown protocol",
                json!({ports: [{"protocol": "ICMP"}]}),
                &[
                    "spec.ingress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
                ],
            ),
            (
                "an end before the start",
                json!({ports: [{"port": 80, "endPort": 70}]}),
                &["spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"],
            ),
            (
                "an end of a name, an end of nothing",
                json!({ports: [{"port": "http", "endPort": 70}, {"endPort": 70}]}),
                &[
                    "spec.ingress[0].ports[0].endPort: Invalid value: 70: may not be specified when `port` is non-numeric",
                    "spec.ingress[0].ports[1].endPort: Invalid value: 70: may not be specified when `port` is not specified",
                ],
            ),
            (
                "no peer",
                json!({from: [{}]}),
                &["spec.ingress[0].from[0]: Required value: must specify a peer"],
            ),
            (
                "two kinds of peers",
                json!({from: [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}),
                &["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"],
            ),
            (
                "no network",
                json!({from: [{"ipBlock": {"cidr": ""}}]}),
                &["spec.ingress[0].from[0].ipBlock.cidr: Required value"],
            ),
            (
                "an address with bits of the host, an exception outside",
                json!({from: [{"ipBlock": {"cidr": "10.0.0.1/8", "except": ["11.0.0.0/16", "10.0.0.0/8"]}}]}),
                &[
                    "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length",
                    "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
                    "spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
                ],
            ),
            (
                "an unknown type",
                json!({"/spec/policyTypes": ["Sideways"]}),
                &["spec.policyTypes[0]: Unsupported value: \"Sideways\": supported values: \"Ingress\", \"Egress\""],
            ),
            (
                "three types",
                json!({"/spec/policyTypes": ["Ingress", "Egress", "Ingress"]}),
                &[
                    "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes",
                ],
            ),
        ],
    );
    let mut old = base.clone();
    old["spec"]["ingress"][0]["from"] = json!([{"ipBlock": {"cidr": "10.0.0.1/8"}}]);
    updates(
        &old,
        defaults::network_policy,
        network_policy_update,
        &[(
            "an old network may stay",
            json!({"/spec/podSelector": {"matchLabels": {"a": "b"}}}),
            &[],
        )],
    );
}

#[test]
fn classes_are_checked() {
    let base = json!({"metadata": {"name": "c", "resourceVersion": "1"}, "spec": {"controller": "example.com/c"}});
    let parameters = |more: Value| {
        let mut all = json!({"kind": "K", "name": "n"});
        for (key, value) in more.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        json!({"/spec/parameters": all})
    };
    creates(
        &base,
        defaults::ingress_class,
        ingress_class_create,
        &[
            (
                "no controller",
                json!({"/spec/controller": ""}),
                &["spec.controller: Required value"],
            ),
            (
                "a controller without a domain",
                json!({"/spec/controller": "c"}),
                &["spec.controller: Invalid value: \"c\": must be a domain-prefixed path (such as \"acme.io/foo\")"],
            ),
            (
                "a long controller",
                json!({"/spec/controller": format!("a/{}", "b".repeat(250))}),
                &["spec.controller: Too long: may not be more than 250 bytes"],
            ),
            (
                "a controller of spaces",
                json!({"/spec/controller": "a/b c"}),
                &[
                    "spec.controller: Invalid value: \"b c\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
                ],
            ),
            (
                "parameters of no name",
                parameters(json!({"name": "", "kind": ""})),
                &[
                    "spec.parameters.kind: Required value",
                    "spec.parameters.name: Required value",
                ],
            ),
            (
                "an unknown scope",
                parameters(json!({"scope": "Galaxy"})),
                &["spec.parameters.scope: Unsupported value: \"Galaxy\": supported values: \"Cluster\", \"Namespace\""],
            ),
            (
                "a namespace of the cluster",
                parameters(json!({"namespace": "n"})),
                &["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
            ),
            (
                "no namespace",
                parameters(json!({"scope": "Namespace"})),
                &["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
            ),
        ],
    );
    updates(
        &base,
        defaults::ingress_class,
        ingress_class_update,
        &[(
            "another controller",
            json!({"/spec/controller": "example.com/d"}),
            &["spec.controller: Invalid value: \"example.com/d\": field is immutable"],
        )],
    );
}

#[test]
fn addresses_are_checked() {
    let base = json!({"metadata": {"name": "10.0.0.1", "resourceVersion": "1"}, "spec": {"parentRef": {"resource": "services", "name": "s", "namespace": "n"}}});
    creates(
        &base,
        |_| {},
        ip_address_create,
        &[
            ("a good address", json!({}), &[]),
            (
                "a name that is none",
                json!({"/metadata/name": "FE80:0::1"}),
                &["metadata.name: Invalid value: \"FE80:0::1\": must be in canonical form (\"fe80::1\")"],
            ),
            (
                "an address of nobody",
                json!({"/spec/parentRef": {"namespace": "a/b", "resource": "", "name": ""}}),
                &[
                    "spec.parentRef.resource: Required value",
                    "spec.parentRef.name: Required value",
                    "spec.parentRef.namespace: Invalid value: \"a/b\": may not contain '/'",
                ],
            ),
            (
                "no parent",
                json!({"/spec/parentRef": {}}),
                &["spec.parentRef: Required value"],
            ),
        ],
    );
    updates(
        &base,
        |_| {},
        ip_address_update,
        &[(
            "another owner",
            json!({"/spec/parentRef/name": "t"}),
            &[
                "spec.parentRef: Invalid value: {\"Group\":\"\",\"Resource\":\"services\",\"Namespace\":\"n\",\"Name\":\"t\"}: field is immutable",
            ],
        )],
    );
}

#[test]
fn networks_of_services_are_checked() {
    let base = json!({"metadata": {"name": "c", "resourceVersion": "1"}, "spec": {"cidrs": ["10.0.0.0/24"]}});
    let cidrs = "/spec/cidrs";
    creates(
        &base,
        defaults::service_cidr,
        service_cidr_create,
        &[
            ("two families", json!({cidrs: ["10.0.0.0/24", "2001:db8::/64"]}), &[]),
            (
                "none",
                json!({cidrs: []}),
                &["spec.cidrs: Required value: at least one CIDR required"],
            ),
            (
                "three",
                json!({cidrs: ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]}),
                &[
                    "spec.cidrs: Invalid value: {\"CIDRs\":[\"10.0.0.0/24\",\"10.0.1.0/24\",\"10.0.2.0/24\"]}: may only hold up to 2 values",
                ],
            ),
            (
                "two of a family",
                json!({cidrs: ["10.0.0.0/24", "10.0.1.0/24"]}),
                &[
                    "spec.cidrs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
                ],
            ),
            (
                "an address",
                json!({cidrs: ["10.0.0.1"]}),
                &[
                    "spec.cidrs[0]: Invalid value: \"10.0.0.1\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
                ],
            ),
            (
                "another spelling",
                json!({cidrs: ["2001:DB8::/64"]}),
                &["spec.cidrs[0]: Invalid value: \"2001:DB8::/64\": must be in canonical form (\"2001:db8::/64\")"],
            ),
        ],
    );
    updates(
        &base,
        defaults::service_cidr,
        service_cidr_update,
        &[
            (
                "the other family",
                json!({cidrs: ["10.0.0.0/24", "2001:db8::/64"]}),
                &[],
            ),
            (
                "another",
                json!({cidrs: ["10.0.1.0/24"]}),
                &["spec.cidrs[0]: Invalid value: \"10.0.1.0/24\": field is immutable"],
            ),
            (
                "none",
                json!({cidrs: null}),
                &["spec.cidrs: Invalid value: null: field is immutable"],
            ),
        ],
    );
}
