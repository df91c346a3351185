//! Whether a pod may run on this node at all: checks again, with what really runs here, some of what
//! the scheduler checked with what it knew (upstream: pkg/kubelet/lifecycle/predicate.go).

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::Pod;
use rules::resources::{Options, pod_requests};

use crate::pods::PodExt;
use crate::shared::Shared;

/// Reason and message of a refusal.
pub(crate) fn refuse(shared: &Shared, pod: &Pod) -> Option<(String, String)> {
    if pod.is_static()
        || pod.metadata.deletion_timestamp.is_some()
        || matches!(pod.phase(), "Running" | "Failed" | "Succeeded")
    {
        return None;
    }
    let others: Vec<_> = shared
        .pods
        .all()
        .into_iter()
        .filter(|other| {
            let phase = shared.statuses.get(other.uid()).and_then(|s| s.phase);
            other.uid() != pod.uid() && !matches!(phase.as_deref(), Some("Failed" | "Succeeded"))
        })
        .collect();
    let ports = rules::ports::host_ports(pod.spec());
    let taken = others.iter().flat_map(|other| rules::ports::host_ports(other.spec()));
    for theirs in taken {
        if ports.iter().any(|ours| rules::ports::conflict(ours, &theirs)) {
            return Some((
                "NodePorts".to_owned(),
                "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
                    .to_owned(),
            ));
        }
    }
    let allocatable = shared.facts.allocatable();
    let wanted = pod_requests(pod, Options::default());
    for (name, wanted) in &wanted {
        let Some(total) = allocatable.get(name).and_then(|q| Quantity::from_api(q).ok()) else {
            continue;
        };
        let used: i64 = others
            .iter()
            .map(|other| amount(pod_requests(other, Options::default()).get(name), name))
            .sum();
        let (wanted, total) = (amount(Some(wanted), name), amount(Some(&total), name));
        if wanted > 0 && used + wanted > total {
            return Some((
                format!("OutOf{name}"),
                format!(
                    "Pod was rejected: Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {total}"
                ),
            ));
        }
    }
    None
}

fn amount(quantity: Option<&Quantity>, name: &str) -> i64 {
    quantity.map_or(0, |q| if name == "cpu" { q.milli_value() } else { q.value() })
}
