//! Texts for `Warning` headers.

use apimachinery::field::Path;
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy, NetworkPolicyPeer};

use crate::check::{list, text, warnings_for_cidr};
use crate::core::v1::warnings::{has_annotation, load_balancer};

/// Of a new Ingress (`ingressStrategy`).
pub fn ingress_create(ingress: &Ingress) -> Vec<String> {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let class = ingress.spec.as_ref().and_then(|s| s.ingress_class_name.as_ref());
    if class.is_some() || !has_annotation(&ingress.metadata, CLASS) {
        return vec![];
    }
    vec![format!(
        "annotation {CLASS:?} is deprecated, please use 'spec.ingressClassName' instead"
    )]
}

/// Of the addresses that a load balancer gave (`ingressStatusStrategy`).
pub fn ingress_status(ingress: &Ingress) -> Vec<String> {
    let status = ingress.status.as_ref().and_then(|s| s.load_balancer.as_ref());
    let points = status.map_or(&[][..], |s| list(&s.ingress));
    load_balancer(points.iter().map(|i| text(&i.ip)))
}

/// Of a NetworkPolicy: networks in odd forms (`networkPolicyWarnings`).
pub fn network_policy(policy: &NetworkPolicy) -> Vec<String> {
    let Some(spec) = &policy.spec else { return vec![] };
    let mut out = vec![];
    let mut look = |path: Path, peers: &[NetworkPolicyPeer]| {
        for (index, peer) in peers.iter().enumerate() {
            let Some(block) = &peer.ip_block else { continue };
            let path = path.index(index).child("ipBlock");
            out.extend(warnings_for_cidr(&path.child("cidr"), &block.cidr));
            for (index, except) in list(&block.except).iter().enumerate() {
                out.extend(warnings_for_cidr(&path.child("except").index(index), except));
            }
        }
    };
    let path = Path::new("spec");
    for (index, rule) in list(&spec.ingress).iter().enumerate() {
        look(path.child("ingress").index(index).child("from"), list(&rule.from));
    }
    for (index, rule) in list(&spec.egress).iter().enumerate() {
        look(path.child("egress").index(index).child("to"), list(&rule.to));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::warned;
    use serde_json::json;

    #[test]
    fn networks_in_odd_forms() {
        warned(
            &json!({"metadata": {}, "spec": {"podSelector": {}, "egress": [{"to": [{}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}),
            network_policy,
            &[
                ("usual", json!({}), &[]),
                (
                    "odd",
                    json!({"/spec/egress/0/to/1/ipBlock": {"cidr": "2001:DB8::/32", "except": ["10.0.0.1/8"]},
                        "/spec/ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}),
                    &[
                        "spec.ingress[0].from[0].ipBlock.cidr: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
                        "spec.egress[0].to[1].ipBlock.cidr: IPv6 CIDR value \"2001:DB8::/32\" should be in RFC 5952 canonical format (\"2001:db8::/32\")",
                        "spec.egress[0].to[1].ipBlock.except[0]: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn a_class_by_annotation() {
        let class = "/metadata/annotations/kubernetes.io~1ingress.class";
        let text =
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead";
        warned(
            &json!({"metadata": {}, "spec": {}}),
            ingress_create,
            &[
                ("annotated", json!({class: "x"}), &[text]),
                ("both", json!({class: "x", "/spec/ingressClassName": "x"}), &[]),
            ],
        );
        warned(
            &json!({"metadata": {}, "status": {"loadBalancer": {"ingress": [{"hostname": "a"}, {"ip": "1.2.3.04"}]}}}),
            ingress_status,
            &[(
                "address",
                json!({}),
                &["status.loadBalancer.ingress[1]: non-standard IP address \"1.2.3.04\" is invalid: use \"1.2.3.4\""],
            )],
        );
    }
}
