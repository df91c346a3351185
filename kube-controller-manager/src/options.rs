//! The command line, typed. The whole upstream list of flags is in `flags.tsv`; what is read here is
//! what acts.

use std::time::Duration;

use component::{
    flags::{Table, Values},
    secure_serving::SecureServing,
};

/// The flags of this binary.
pub fn flag_table() -> Table {
    Table::new("kube-controller-manager", include_str!("flags.tsv"))
}

/// What the command line says, not yet checked.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) kubeconfig: String,
    pub(crate) master: String,
    pub(crate) kube_api_qps: f32,
    pub(crate) kube_api_burst: u32,
    pub(crate) serving: SecureServing,
    /// Every flag's value, for `/flagz`.
    pub(crate) listing: Vec<String>,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) controllers: Vec<String>,
    pub(crate) use_service_account_credentials: bool,
    pub(crate) leader_elect: bool,
    pub(crate) lease_namespace: String,
    pub(crate) lease_name: String,
    pub(crate) lease_duration: Duration,
    pub(crate) renew_deadline: Duration,
    pub(crate) retry_period: Duration,
    pub(crate) root_ca_file: String,
    pub(crate) service_account_private_key_file: String,
    pub(crate) allocate_node_cidrs: bool,
    pub(crate) cluster_cidr: String,
    pub(crate) service_cluster_ip_range: String,
    pub(crate) node_cidr_mask_size: i64,
    pub(crate) node_cidr_mask_size_ipv4: i64,
    pub(crate) node_cidr_mask_size_ipv6: i64,
    pub(crate) node_monitor_grace_period: Duration,
    pub(crate) node_startup_grace_period: Duration,
    pub(crate) terminated_pod_gc_threshold: i64,
    pub(crate) enable_garbage_collector: bool,
    pub(crate) max_endpoints_per_slice: i64,
    pub(crate) mirroring_max_endpoints: i64,
    pub(crate) mirroring_batch_period: Duration,
    pub(crate) resource_quota_sync_period: Duration,
    pub(crate) workers: Workers,
}

/// How many keys each kind of controller reconciles at once (`--concurrent-*-syncs`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workers {
    pub(crate) deployment: usize,
    pub(crate) replicaset: usize,
    pub(crate) replicationcontroller: usize,
    pub(crate) endpoint: usize,
    pub(crate) service_endpoint: usize,
    pub(crate) mirroring: usize,
    pub(crate) namespace: usize,
    pub(crate) resource_quota: usize,
    pub(crate) garbage_collector: usize,
    pub(crate) service_account_token: usize,
}

impl Options {
    /// Reads the typed values.
    pub fn from_values(values: &Values) -> Self {
        let workers = |flag: &str| usize::try_from(values.int(flag)).unwrap_or(1).max(1);
        Self {
            kubeconfig: values.string("kubeconfig"),
            master: values.string("master"),
            kube_api_qps: values.float("kube-api-qps") as f32,
            kube_api_burst: u32::try_from(values.int("kube-api-burst")).unwrap_or(0),
            serving: SecureServing::from_values(values),
            listing: values.listing(),
            shutdown_timeout: values.duration("controller-shutdown-timeout"),
            controllers: values.strings("controllers"),
            use_service_account_credentials: values.bool("use-service-account-credentials"),
            leader_elect: values.bool("leader-elect"),
            lease_namespace: values.string("leader-elect-resource-namespace"),
            lease_name: values.string("leader-elect-resource-name"),
            lease_duration: values.duration("leader-elect-lease-duration"),
            renew_deadline: values.duration("leader-elect-renew-deadline"),
            retry_period: values.duration("leader-elect-retry-period"),
            root_ca_file: values.string("root-ca-file"),
            service_account_private_key_file: values.string("service-account-private-key-file"),
            allocate_node_cidrs: values.bool("allocate-node-cidrs"),
            cluster_cidr: values.string("cluster-cidr"),
            service_cluster_ip_range: values.string("service-cluster-ip-range"),
            node_cidr_mask_size: values.int("node-cidr-mask-size"),
            node_cidr_mask_size_ipv4: values.int("node-cidr-mask-size-ipv4"),
            node_cidr_mask_size_ipv6: values.int("node-cidr-mask-size-ipv6"),
            node_monitor_grace_period: values.duration("node-monitor-grace-period"),
            node_startup_grace_period: values.duration("node-startup-grace-period"),
            terminated_pod_gc_threshold: values.int("terminated-pod-gc-threshold"),
            enable_garbage_collector: values.bool("enable-garbage-collector"),
            max_endpoints_per_slice: values.int("max-endpoints-per-slice"),
            mirroring_max_endpoints: values.int("mirroring-max-endpoints-per-subset"),
            mirroring_batch_period: values.duration("mirroring-endpointslice-updates-batch-period"),
            resource_quota_sync_period: values.duration("resource-quota-sync-period"),
            workers: Workers {
                deployment: workers("concurrent-deployment-syncs"),
                replicaset: workers("concurrent-replicaset-syncs"),
                replicationcontroller: workers("concurrent-rc-syncs"),
                endpoint: workers("concurrent-endpoint-syncs"),
                service_endpoint: workers("concurrent-service-endpoint-syncs"),
                mirroring: workers("mirroring-concurrent-service-endpoint-syncs"),
                namespace: workers("concurrent-namespace-syncs"),
                resource_quota: workers("concurrent-resource-quota-syncs"),
                garbage_collector: workers("concurrent-gc-syncs"),
                service_account_token: workers("concurrent-serviceaccount-token-syncs"),
            },
        }
    }
}
