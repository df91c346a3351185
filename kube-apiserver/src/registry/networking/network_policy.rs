//! NetworkPolicy (pkg/registry/networking/networkpolicy/strategy.go).

use api::networking::v1::{defaults, validation};
use apimachinery::validation::cidr_warnings;
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};

use crate::registry::strategies::rules::{Rules, differ, first_generation, next_generation};
use crate::registry::strategy::Typed;

/// NetworkPolicy objects.
pub(crate) static STRATEGY: Typed<Rules<NetworkPolicy>> = Typed(Rules {
    default: defaults::network_policy,
    prepare_create: |_, obj| first_generation(obj),
    prepare_update: |_, new, old| {
        let changed = differ(&new.spec, &old.spec);
        next_generation(new, old, changed);
    },
    warnings: |obj, _| warnings(obj),
    ..Rules::new(validation::network_policy_create, validation::network_policy_update)
});

/// Networks in odd spellings (`networkPolicyWarnings`).
fn warnings(obj: &NetworkPolicy) -> Vec<String> {
    let mut out = vec![];
    let mut look = |peers: &Option<Vec<NetworkPolicyPeer>>, path: String| {
        for (index, peer) in peers.iter().flatten().enumerate() {
            let Some(block) = &peer.ip_block else { continue };
            let path = format!("{path}[{index}].ipBlock");
            out.extend(cidr_warnings(&format!("{path}.cidr"), &block.cidr));
            for (index, except) in block.except.iter().flatten().enumerate() {
                out.extend(cidr_warnings(&format!("{path}.except[{index}]"), except));
            }
        }
    };
    if let Some(spec) = &obj.spec {
        for (index, rule) in spec.ingress.iter().flatten().enumerate() {
            look(&rule.from, format!("spec.ingress[{index}].from"));
        }
        for (index, rule) in spec.egress.iter().flatten().enumerate() {
            look(&rule.to, format!("spec.egress[{index}].to"));
        }
    }
    out
}
