//! The checked configuration: every field is parsed, every file that must exist was read.

use std::{fs, time::Duration};

use client::leader_election::ElectionConfig;
use component::secure_serving::SecureServing;

use crate::{
    controllers::node_ipam::cidr::Cidr,
    descriptors,
    options::{Options, Workers},
};

/// What the controllers run with. Made by [`Config::complete`] only.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) client: client::Config,
    pub(crate) serving: SecureServing,
    pub(crate) listing: Vec<String>,
    /// How long controllers may take to end.
    pub(crate) shutdown_timeout: Duration,
    pub(crate) enabled: Vec<&'static str>,
    pub(crate) use_service_account_credentials: bool,
    pub(crate) leader_election: Option<ElectionConfig>,
    pub(crate) root_ca: Option<String>,
    pub(crate) service_account_key: Option<Vec<u8>>,
    pub(crate) node_cidrs: Option<NodeCidrs>,
    pub(crate) node_monitor_grace_period: Duration,
    pub(crate) node_startup_grace_period: Duration,
    pub(crate) terminated_pod_gc_threshold: usize,
    pub(crate) garbage_collector: bool,
    pub(crate) max_endpoints_per_slice: usize,
    pub(crate) mirroring_max_endpoints: usize,
    pub(crate) mirroring_batch_period: Duration,
    pub(crate) resource_quota_sync_period: Duration,
    pub(crate) workers: Workers,
}

/// Where pod ranges of nodes are cut from.
#[derive(Clone, Debug)]
pub(crate) struct NodeCidrs {
    /// `--cluster-cidr` with the mask size of a node's part, one per address family.
    pub(crate) clusters: Vec<(Cidr, u8)>,
    /// Ranges no node may get: the Services'.
    pub(crate) excluded: Vec<Cidr>,
}

impl Config {
    /// Checks the options and reads what they name.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn complete(options: Options) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let client = client::Config::from_flags(&options.master, &options.kubeconfig)
            .map(|config| {
                config
                    .with_user_agent("kube-controller-manager")
                    .with_rate_limit(options.kube_api_qps, options.kube_api_burst)
            })
            .map_err(|error| errors.push(format!("error building the client configuration: {error}")));
        let enabled = descriptors::enabled(&options.controllers).map_err(|mut e| errors.append(&mut e));
        errors.extend(options.serving.validate());
        let root_ca = read(&options.root_ca_file, "--root-ca-file", &mut errors);
        let service_account_key = read(
            &options.service_account_private_key_file,
            "--service-account-private-key-file",
            &mut errors,
        );
        let node_cidrs = options
            .allocate_node_cidrs
            .then(|| node_cidrs(&options, &mut errors))
            .flatten();
        let (Ok(client), Ok(enabled), true) = (client, enabled, errors.is_empty()) else {
            return Err(errors);
        };
        Ok(Self {
            client,
            serving: options.serving,
            listing: options.listing,
            shutdown_timeout: options.shutdown_timeout,
            enabled,
            use_service_account_credentials: options.use_service_account_credentials,
            leader_election: options.leader_elect.then(|| ElectionConfig {
                lease_duration: options.lease_duration,
                renew_deadline: options.renew_deadline,
                retry_period: options.retry_period,
                ..ElectionConfig::new(&options.lease_namespace, &options.lease_name)
            }),
            root_ca,
            service_account_key: service_account_key.map(String::into_bytes),
            node_cidrs,
            node_monitor_grace_period: options.node_monitor_grace_period,
            node_startup_grace_period: options.node_startup_grace_period,
            garbage_collector: options.enable_garbage_collector,
            // Zero or less turns the collection off (upstream podgc `NewPodGCInternal`).
            terminated_pod_gc_threshold: usize::try_from(options.terminated_pod_gc_threshold)
                .ok()
                .filter(|&threshold| threshold > 0)
                .unwrap_or(usize::MAX),
            max_endpoints_per_slice: usize::try_from(options.max_endpoints_per_slice)
                .unwrap_or(100)
                .clamp(1, 1000),
            mirroring_max_endpoints: usize::try_from(options.mirroring_max_endpoints)
                .unwrap_or(1000)
                .clamp(1, 1000),
            mirroring_batch_period: options.mirroring_batch_period,
            resource_quota_sync_period: options.resource_quota_sync_period,
            workers: options.workers,
        })
    }
}

fn read(path: &str, flag: &str, errors: &mut Vec<String>) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    fs::read_to_string(path)
        .map_err(|error| errors.push(format!("error reading {flag} {path}: {error}")))
        .ok()
}

/// Upstream: cmd/kube-controller-manager/app/core.go `startNodeIpamController`, `setNodeCIDRMaskSizes`.
fn node_cidrs(options: &Options, errors: &mut Vec<String>) -> Option<NodeCidrs> {
    let before = errors.len();
    let parse = |text: &str, flag: &str, errors: &mut Vec<String>| -> Vec<Cidr> {
        text.split(',')
            .filter(|part| !part.is_empty())
            .filter_map(|part| {
                part.parse()
                    .map_err(|error| errors.push(format!("{flag}: {error}")))
                    .ok()
            })
            .collect()
    };
    let clusters = parse(&options.cluster_cidr, "--cluster-cidr", errors);
    let excluded = parse(&options.service_cluster_ip_range, "--service-cluster-ip-range", errors);
    if clusters.is_empty() && before == errors.len() {
        errors.push("--cluster-cidr must be set when --allocate-node-cidrs is".to_owned());
    }
    let first_set = |sizes: [i64; 2], default: u8| {
        sizes
            .into_iter()
            .find(|&size| size > 0)
            .map_or(Some(default), |size| u8::try_from(size).ok())
    };
    let mut with_masks = Vec::new();
    for cidr in clusters {
        let mask = if cidr.is_ipv4() {
            first_set([options.node_cidr_mask_size_ipv4, options.node_cidr_mask_size], 24)
        } else {
            first_set([options.node_cidr_mask_size_ipv6, options.node_cidr_mask_size], 64)
        };
        match mask.filter(|&mask| mask >= cidr.prefix() && mask <= cidr.bits()) {
            Some(mask) => with_masks.push((cidr, mask)),
            None => errors.push(format!("the node mask does not fit into the cluster's range {cidr}")),
        }
    }
    (before == errors.len()).then_some(NodeCidrs {
        clusters: with_masks,
        excluded,
    })
}
