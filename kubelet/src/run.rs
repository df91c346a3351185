//! Puts the parts together and runs them (upstream: cmd/kubelet/app/server.go `RunKubelet`).

use std::sync::Arc;

use anyhow::Context;
use client::Client;
use client::events::Recorder;
use client::informer::SharedInformer;
use client::reflector::Source;
use k8s_openapi::api::core::v1::Service;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::node::{self, Facts};
use crate::options::Config;
use crate::pleg::Pleg;
use crate::pods::manager::PodManager;
use crate::pods::worker::Workers;
use crate::probes::Probes;
use crate::resources::cgroups::{self, Cgroups};
use crate::runtime::Runtime;
use crate::runtime::backoff::{Backoff, INITIAL};
use crate::runtime::cri::CriRuntime;
use crate::runtime::image::Images;
use crate::runtime::log_rotation;
use crate::runtime::resize::Given;
use crate::server;
use crate::shared::Shared;
use crate::status::StatusManager;
use crate::status::reasons::Reasons;
use crate::sync_loop::SyncLoop;
use crate::volumes::objects::Objects;
use crate::volumes::tokens::Tokens;

/// Runs a kubelet over the CRI socket of its configuration until `shutdown`. Containers go on
/// running.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let file = &config.file;
    if cgroups::version() == cgroups::Version::V1 && file.fail_cgroup_v1 {
        anyhow::bail!(
            "kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release"
        );
    }
    if file.fail_swap_on && swap_is_on() {
        anyhow::bail!("running with swap on is not supported, please disable swap or set --fail-swap-on flag to false");
    }
    let runtime = cri_proto::connect(&file.container_runtime_endpoint)?;
    let images = cri_proto::connect(&file.image_service_endpoint)?;
    let runtime = Arc::new(CriRuntime::new(runtime, images, file.runtime_request_timeout.0));
    wait_for_runtime(runtime.as_ref(), &shutdown).await;
    run_with(config, runtime, true, shutdown).await
}

/// Runs a kubelet over any runtime: a real one with `real`, else one whose containers are none of
/// this machine's (hollow nodes, tests): then no cgroups are made.
///
/// # Errors
/// What keeps it from starting.
pub async fn run_with(
    config: Config,
    runtime: Arc<dyn Runtime>,
    real: bool,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(config.root_dir.join("pods"))
        .with_context(|| format!("cannot make {}", config.root_dir.display()))?;
    let client = config.client.clone().map(Client::new).transpose()?;
    let (pokes, poked) = mpsc::unbounded_channel();
    let (changes, changed) = mpsc::unbounded_channel();
    let (facts, runtime_name) = Facts::gather(&config, runtime.as_ref()).await;
    let driver = cgroup_driver(&config, runtime.as_ref()).await;
    let cgroups = if real {
        Cgroups::new(&config.file, &driver)
    } else {
        Cgroups::none(&config.file)
    };
    cgroups
        .prepare(facts.allocatable_for_pods().milli_cpu)
        .context("failed to initialize top level QOS containers")?;
    let recorder = match &client {
        Some(client) => Recorder::new(client.clone(), "kubelet", Some(&config.node_name), shutdown.clone()),
        None => Recorder::discard(),
    };
    let services = client.clone().map(|client| {
        let source = Source::of::<Service>(client).fields("spec.clusterIP!=None");
        let informer = SharedInformer::<Service>::new(source);
        informer.start(&shutdown);
        informer
    });
    let shared = Arc::new(Shared {
        runtime,
        runtime_name,
        client: client.clone(),
        recorder,
        pods: PodManager::default(),
        statuses: Arc::new(StatusManager::default()),
        probes: Arc::new(Probes::default()),
        cgroups,
        objects: Arc::new(Objects::new(client.clone(), pokes.clone())),
        tokens: Tokens::default(),
        services: services.as_ref().map(SharedInformer::reader),
        images: Images::new(config.file.serialize_image_pulls),
        crash_backoff: Backoff::new(INITIAL, config.file.max_restart_delay()),
        reasons: Reasons::default(),
        given: Given::default(),
        facts,
        network: RwLock::new(Err(
            "container runtime status check may not have completed yet".to_owned()
        )),
        pokes,
        config,
    });
    let pleg = Pleg::start(shared.clone(), shutdown.clone());
    node::register::look(&shared, &pleg).await;
    server::start(shared.clone(), pleg.clone(), shutdown.clone()).await?;
    if let Some(client) = &client {
        tokio::spawn(shared.statuses.clone().run(client.clone(), shutdown.clone()));
        tokio::spawn(node::lease::run(shared.clone(), client.clone(), shutdown.clone()));
        tokio::spawn(node::register::csi_node(shared.clone(), client.clone()));
    }
    tokio::spawn(node::register::run(shared.clone(), pleg.clone(), shutdown.clone()));
    tokio::spawn(log_rotation::run(shared.clone(), shutdown.clone()));
    write_state_files(&shared.config.root_dir);
    feed_watchdog(pleg, shutdown.clone());
    let unsynced = start_sources(&shared, &services, changes, &shutdown);
    component::sd_notify::ready();
    let workers = Arc::new(Workers::new(shared.clone()));
    let sync_loop = SyncLoop {
        shared,
        workers,
        changes: changed,
        pokes: poked,
        unsynced,
    };
    sync_loop.run(shutdown).await;
    component::sd_notify::stopping();
    Ok(())
}

/// Starts the pod sources; returns how many there are.
fn start_sources(
    shared: &Arc<Shared>,
    services: &Option<SharedInformer<Service>>,
    changes: mpsc::UnboundedSender<config::Change>,
    shutdown: &CancellationToken,
) -> usize {
    let mut sources = 0;
    let config = &shared.config;
    if let Some(directory) = config.file.static_pod_path.as_deref().filter(|p| !p.is_empty()) {
        sources += 1;
        config::file::watch(
            directory.into(),
            config.node_name.clone(),
            config.file.file_check_frequency.0,
            changes.clone(),
            shutdown.clone(),
        );
    }
    if let (Some(client), Some(services)) = (shared.client.clone(), services.clone()) {
        sources += 1;
        let (node, shutdown) = (config.node_name.clone(), shutdown.clone());
        tokio::spawn(async move {
            // Pods get the variables of services, so these must be known first.
            services.wait_synced().await;
            config::apiserver::watch(client, &node, changes, &shutdown);
        });
    }
    sources
}

/// The runtime's own word on its cgroup driver, or the configuration's when it does not say.
async fn cgroup_driver(config: &Config, runtime: &dyn Runtime) -> String {
    match runtime.runtime_config().await {
        Ok(answer) => match answer.linux.map(|linux| linux.cgroup_driver) {
            Some(0) => "systemd".to_owned(),
            Some(_) => "cgroupfs".to_owned(),
            None => config.file.cgroup_driver.clone(),
        },
        Err(error) => {
            tracing::info!(%error, "CRI implementation should be updated to support RuntimeConfig. Falling back to using cgroupDriver from kubelet config.");
            config.file.cgroup_driver.clone()
        }
    }
}

async fn wait_for_runtime(runtime: &dyn Runtime, shutdown: &CancellationToken) {
    let mut told = false;
    loop {
        match runtime.version().await {
            Ok(_) => return,
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "waiting for the container runtime");
                    told = true;
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
        }
    }
}

/// The state of resource managers that manage nothing, as an upstream kubelet expects to find it when
/// it takes this node back: a file that is missing or of another policy is fine, a broken one is not.
fn write_state_files(root: &std::path::Path) {
    const FILES: &[(&str, &str)] = &[
        (
            "cpu_manager_state",
            r#"{"policyName":"none","defaultCpuSet":"","checksum":1353318690}"#,
        ),
        (
            "memory_manager_state",
            r#"{"policyName":"None","machineState":{},"checksum":4236770233}"#,
        ),
    ];
    for (name, content) in FILES {
        let path = root.join(name);
        if !path.exists()
            && let Err(error) = std::fs::write(&path, content)
        {
            tracing::warn!(%error, path = %path.display(), "cannot write the state file");
        }
    }
}

/// Tells systemd that the kubelet lives, as long as it does.
fn feed_watchdog(pleg: Arc<Pleg>, shutdown: CancellationToken) {
    let Some(interval) = component::sd_notify::watchdog_interval() else {
        return;
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(interval / 2) => {}
            }
            match pleg.check() {
                Ok(()) => component::sd_notify::watchdog(),
                Err(error) => tracing::error!(%error, "not healthy: the watchdog goes hungry"),
            }
        }
    });
}

fn swap_is_on() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1)
}
