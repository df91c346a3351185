//! The table of controllers and how they are started.

use std::sync::Arc;

use client::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    clients::Clients,
    config::Config,
    context::{ControllerContext, Work},
    controllers,
};

/// One controller.
pub(crate) struct Descriptor {
    /// Upstream's name (cmd/kube-controller-manager/names/controller_names.go).
    pub(crate) name: &'static str,
    /// The older short name that --controllers takes too.
    pub(crate) alias: &'static str,
    /// Asks for informers and gives the work; `None` when the configuration leaves it nothing to do.
    pub(crate) start: fn(&ControllerContext) -> Option<Work>,
}

macro_rules! descriptors {
    ($($name:literal $alias:literal $module:ident,)*) => {
        /// Every controller of this build, in the order in which they start.
        pub(crate) const DESCRIPTORS: &[Descriptor] =
            &[$(Descriptor { name: $name, alias: $alias, start: controllers::$module::start },)*];
    };
}

descriptors! {
    "resourcequota-controller" "resourcequota" resourcequota,
    "namespace-controller" "namespace" namespace,
    "persistentvolumeclaim-protection-controller" "pvc-protection" pvc_protection,
    "persistentvolume-protection-controller" "pv-protection" pv_protection,
    "volumeattributesclass-protection-controller" "volumeattributesclass-protection-controller" vac_protection,
    "garbage-collector-controller" "garbagecollector" garbage_collector,
    "serviceaccount-token-controller" "serviceaccount-token" serviceaccount_token,
    "serviceaccount-controller" "serviceaccount" serviceaccount,
    "root-ca-certificate-publisher-controller" "root-ca-cert-publisher" root_ca_publisher,
    "node-ipam-controller" "nodeipam" node_ipam,
    "node-lifecycle-controller" "nodelifecycle" node_lifecycle,
    "taint-eviction-controller" "taint-eviction" taint_eviction,
    "deployment-controller" "deployment" deployment,
    "replicaset-controller" "replicaset" replicaset,
    "replicationcontroller-controller" "replicationcontroller" replicationcontroller,
    "disruption-controller" "disruption" disruption,
    "endpointslice-controller" "endpointslice" endpointslice,
    "endpoints-controller" "endpoint" endpoints,
    "endpointslice-mirroring-controller" "endpointslicemirroring" endpointslicemirroring,
    "pod-garbage-collector-controller" "podgc" pod_gc,
}

/// Upstream's other names: accepted in --controllers, nothing to start.
const NOT_HERE: &[&str] = &[
    "attachdetach",
    "bootstrap-signer-controller",
    "bootstrapsigner",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "clusterrole-aggregation-controller",
    "clusterrole-aggregation",
    "cronjob",
    "cronjob-controller",
    "csrapproving",
    "csrcleaner",
    "csrsigning",
    "daemonset",
    "daemonset-controller",
    "ephemeral-volume-controller",
    "ephemeral-volume",
    "horizontal-pod-autoscaler-controller",
    "horizontalpodautoscaling",
    "job",
    "job-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-binder",
    "persistentvolume-expander-controller",
    "persistentvolume-expander",
    "resourceclaim-controller",
    "service-cidr-controller",
    "statefulset",
    "statefulset-controller",
    "token-cleaner-controller",
    "tokencleaner",
    "ttl",
    "ttl-after-finished-controller",
    "ttl-after-finished",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
];

/// Which controllers `--controllers` turns on: `*` all, `name` on, `-name` off; the first mention
/// of a name decides. Upstream: controller-manager `genericcontrollermanager.IsControllerEnabled`.
///
/// # Errors
/// Names that no controller has.
pub(crate) fn enabled(words: &[String]) -> Result<Vec<&'static str>, Vec<String>> {
    let known =
        |name: &str| NOT_HERE.contains(&name) || DESCRIPTORS.iter().any(|row| row.name == name || row.alias == name);
    let errors: Vec<String> = words
        .iter()
        .map(|word| word.strip_prefix('-').unwrap_or(word))
        .filter(|name| *name != "*" && !known(name))
        .map(|name| format!("{name:?} is not in the list of known controllers"))
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    for name in words.iter().filter(|word| NOT_HERE.contains(&word.as_str())) {
        tracing::warn!(controller = %name, "asked for by --controllers and not part of this build yet");
    }
    let is_on = |row: &Descriptor| {
        let named = words.iter().find_map(|word| match word.strip_prefix('-') {
            Some(name) if name == row.name || name == row.alias => Some(false),
            None if word == row.name || word == row.alias => Some(true),
            _ => None,
        });
        named.unwrap_or_else(|| words.iter().any(|word| word == "*"))
    };
    Ok(DESCRIPTORS
        .iter()
        .filter(|row| is_on(row))
        .map(|row| row.name)
        .collect())
}

/// Starts the enabled controllers and waits until all have ended after the shutdown.
pub(crate) async fn run_all(config: Config, client: Client, shutdown: CancellationToken) {
    let clients = Clients::new(client.clone(), config.use_service_account_credentials, shutdown.clone());
    let context = ControllerContext::new(Arc::new(config), client, clients, shutdown.clone());
    let mut tasks = JoinSet::new();
    for row in DESCRIPTORS
        .iter()
        .filter(|row| context.config.enabled.contains(&row.name))
    {
        match (row.start)(&context) {
            Some(work) => {
                tasks.spawn(work);
            }
            None => tracing::warn!(controller = row.name, "not started: its configuration is missing"),
        }
    }
    context.informers.start();
    // A controller may also end early (nothing to do); only the shutdown ends the process.
    shutdown.cancelled().await;
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(context.config.shutdown_timeout, ended)
        .await
        .is_err()
    {
        tracing::warn!("some controllers did not end in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(words: &[&str]) -> Vec<&'static str> {
        enabled(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn star_is_everything_and_minus_takes_one_out() {
        assert_eq!(on(&["*"]).len(), DESCRIPTORS.len());
        assert!(!on(&["*", "-nodeipam"]).contains(&"node-ipam-controller"));
        assert_eq!(on(&["serviceaccount"]), ["serviceaccount-controller"]);
        assert_eq!(on(&["*", "bootstrapsigner", "tokencleaner"]).len(), DESCRIPTORS.len());
        assert!(on(&[]).is_empty());
    }

    #[test]
    fn unknown_names_are_all_reported() {
        let words = ["nope".to_owned(), "-neither".to_owned(), "*".to_owned()];
        assert_eq!(
            enabled(&words).unwrap_err(),
            [
                "\"nope\" is not in the list of known controllers",
                "\"neither\" is not in the list of known controllers"
            ]
        );
    }
}
