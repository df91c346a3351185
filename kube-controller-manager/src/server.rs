//! Port 10257: `/healthz` for everybody; `/metrics`, `/configz` and `/flagz` behind delegated authentication and
//! authorization.

use component::health::Checks;
use component::secure_serving::Endpoints;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Serves until `shutdown`; the handle ends when the last connection has drained.
pub(crate) fn start(config: &Config, shutdown: CancellationToken) -> JoinHandle<anyhow::Result<()>> {
    let checks = ["healthz", "livez", "readyz"].map(|path| Checks::new(path).ping());
    let endpoints = Endpoints::new(checks.into())
        .configz("kubecontrollermanager.config.k8s.io", &configz(config))
        .flags("kube-controller-manager", &config.listing);
    let serving = config.serving.clone();
    tokio::spawn(async move { serving.serve("kube-controller-manager", endpoints, shutdown).await })
}

/// What acts, under upstream's names (`KubeControllerManagerConfiguration`).
fn configz(config: &Config) -> serde_json::Value {
    let election = config.leader_election.as_ref();
    let seconds = |d: std::time::Duration| apimachinery::duration::format_std(d);
    json!({
        "Generic": {
            "Controllers": config.enabled,
            "ClientConnection": {"QPS": config.client.qps, "Burst": config.client.burst},
            "LeaderElection": {
                "leaderElect": election.is_some(),
                "leaseDuration": election.map(|e| seconds(e.lease_duration)),
                "renewDeadline": election.map(|e| seconds(e.renew_deadline)),
                "retryPeriod": election.map(|e| seconds(e.retry_period)),
                "resourceName": election.map(|e| e.name.clone()),
                "resourceNamespace": election.map(|e| e.namespace.clone()),
            },
        },
        "KubeCloudShared": {
            "UseServiceAccountCredentials": config.use_service_account_credentials,
            "AllocateNodeCIDRs": config.node_cidrs.is_some(),
        },
        "DeploymentController": {"ConcurrentDeploymentSyncs": config.workers.deployment},
        "ReplicaSetController": {"ConcurrentRSSyncs": config.workers.replicaset},
        "ReplicationController": {"ConcurrentRCSyncs": config.workers.replicationcontroller},
        "EndpointSliceController": {
            "ConcurrentServiceEndpointSyncs": config.workers.service_endpoint,
            "MaxEndpointsPerSlice": config.max_endpoints_per_slice,
        },
        "EndpointSliceMirroringController": {
            "MirroringConcurrentServiceEndpointSyncs": config.workers.mirroring,
            "MirroringMaxEndpointsPerSubset": config.mirroring_max_endpoints,
            "MirroringEndpointUpdatesBatchPeriod": seconds(config.mirroring_batch_period),
        },
        "NamespaceController": {"ConcurrentNamespaceSyncs": config.workers.namespace},
        "GarbageCollectorController": {
            "EnableGarbageCollector": config.garbage_collector,
            "ConcurrentGCSyncs": config.workers.garbage_collector,
        },
        "ResourceQuotaController": {
            "ResourceQuotaSyncPeriod": seconds(config.resource_quota_sync_period),
            "ConcurrentResourceQuotaSyncs": config.workers.resource_quota,
        },
        "NodeLifecycleController": {
            "NodeMonitorGracePeriod": seconds(config.node_monitor_grace_period),
            "NodeStartupGracePeriod": seconds(config.node_startup_grace_period),
        },
    })
}
