//! The status of the Node object (upstream: pkg/kubelet/nodestatus/setters.go).

use cri_proto::v1;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures, NodeStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::Facts;
use crate::options::Config;

/// Names of an image shown at most (upstream: `MaxNamesPerImageInNodeStatus`).
const MAX_NAMES: usize = 5;

/// What is reported of the runtime.
pub(crate) struct RuntimeView {
    /// Why the kubelet is not ready; empty when it is.
    pub(crate) problems: Vec<String>,
    pub(crate) images: Vec<v1::Image>,
    pub(crate) handlers: Vec<v1::RuntimeHandler>,
}

/// The status to report now, with transitions taken from `old`.
pub(crate) fn status(
    config: &Config,
    facts: &Facts,
    view: &RuntimeView,
    old: &NodeStatus,
    now: Timestamp,
) -> NodeStatus {
    NodeStatus {
        addresses: Some(addresses(config, facts)),
        allocatable: Some(facts.allocatable()),
        capacity: Some(facts.capacity()),
        conditions: Some(conditions(view, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: i32::from(config.file.port),
            }),
        }),
        images: Some(images(&view.images, config.file.node_status_max_images)),
        node_info: Some(NodeSystemInfo {
            architecture: facts.arch.to_owned(),
            boot_id: facts.boot_id.clone(),
            container_runtime_version: facts.runtime_version.clone(),
            kernel_version: facts.kernel.clone(),
            kube_proxy_version: String::new(),
            kubelet_version: component::version::GIT_VERSION.to_owned(),
            machine_id: facts.machine_id.clone(),
            operating_system: "linux".to_owned(),
            os_image: facts.os_image.clone(),
            system_uuid: facts.system_uuid.clone(),
            ..NodeSystemInfo::default()
        }),
        runtime_handlers: handlers(&view.handlers),
        ..NodeStatus::default()
    }
}

fn addresses(config: &Config, facts: &Facts) -> Vec<NodeAddress> {
    let address = |kind: &str, address: String| NodeAddress {
        type_: kind.to_owned(),
        address,
    };
    let ips = facts.host_ips().into_iter().map(|ip| address("InternalIP", ip));
    ips.chain([address("Hostname", config.node_name.clone())]).collect()
}

fn conditions(view: &RuntimeView, old: &NodeStatus, now: Timestamp) -> Vec<NodeCondition> {
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        let status = if status { "True" } else { "False" };
        let before = old.conditions.iter().flatten().find(|c| c.type_ == kind);
        let since = before
            .filter(|b| b.status == status)
            .and_then(|b| b.last_transition_time.clone());
        NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: since.or(Some(Time(now))),
        }
    };
    let ready = if view.problems.is_empty() {
        condition("Ready", true, "KubeletReady", "kubelet is posting ready status")
    } else {
        let problems = view.problems.join(", ");
        let message = if view.problems.len() > 1 {
            format!("[{problems}]")
        } else {
            problems
        };
        condition("Ready", false, "KubeletNotReady", &message)
    };
    vec![
        condition(
            "MemoryPressure",
            false,
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        condition(
            "DiskPressure",
            false,
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure",
        ),
        condition(
            "PIDPressure",
            false,
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
        ready,
    ]
}

/// The largest images first.
fn images(images: &[v1::Image], limit: i32) -> Vec<ContainerImage> {
    let mut sorted: Vec<&v1::Image> = images.iter().collect();
    sorted.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    sorted
        .into_iter()
        .filter_map(|image| {
            let names = image.repo_digests.iter().chain(&image.repo_tags);
            let names: Vec<String> = names.take(MAX_NAMES).cloned().collect();
            (!names.is_empty()).then(|| ContainerImage {
                names: Some(names),
                size_bytes: i64::try_from(image.size).ok(),
            })
        })
        .take(limit)
        .collect()
}

fn handlers(handlers: &[v1::RuntimeHandler]) -> Option<Vec<NodeRuntimeHandler>> {
    let list = handlers.iter().map(|handler| NodeRuntimeHandler {
        name: Some(handler.name.clone()),
        features: handler.features.as_ref().map(|features| NodeRuntimeHandlerFeatures {
            recursive_read_only_mounts: Some(features.recursive_read_only_mounts),
            user_namespaces: Some(features.user_namespaces),
        }),
    });
    (!handlers.is_empty()).then(|| list.collect())
}

/// Whether two statuses differ in anything but their heartbeat.
pub(crate) fn differs(a: &NodeStatus, b: &NodeStatus) -> bool {
    let quiet = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        if let Some(conditions) = &mut status.conditions {
            conditions.sort_by(|x, y| x.type_.cmp(&y.type_));
        }
        status
    };
    quiet(a) != quiet(b)
}
