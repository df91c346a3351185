//! The loop: watch, gather, decide what changed, tell the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use client::informer::{Event, Factory, Reader};
use client::reflector::Source;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::backend::nftables::{self, Desired, Kernel, Local, Nft, Settings};
use crate::changes;
use crate::config::{Action, Config, DetectLocal, NodeportAddresses};
use crate::config_file::File;
use crate::conntrack::Targets;
use crate::health::{self, Health};
use crate::metrics;
use crate::model::{Family, NodeInfo, Protocol, ServiceName, ServicePort};
use crate::system;
use crate::topology::{Chosen, choose};

/// Services of another proxy, and those without an address.
const NOT_OURS: &str = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";
/// Index of slices by the Service they are part of.
const BY_SERVICE: &str = "service";
/// Wait after the kernel refused an update.
const RETRY: Duration = Duration::from_secs(2);

/// Does what the command line asks for; a proxy runs until `shutdown` and leaves its rules in place.
///
/// # Errors
/// The cluster cannot be reached with this configuration, or a port is taken.
pub async fn run(action: Action, shutdown: CancellationToken) -> anyhow::Result<()> {
    match action {
        Action::Run(config) => proxy(*config, shutdown).await,
        Action::CleanUp => clean_up().await,
        Action::WriteConfig(path) => {
            let text = serde_json::to_string_pretty(&File::default())?;
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        }
    }
}

/// Removes every rule this program ever makes.
///
/// # Errors
/// `nft` is missing or refused.
pub async fn clean_up() -> anyhow::Result<()> {
    Nft.remove_leftovers().await;
    Nft.apply(&nftables::remove_tables()).await.context("remove rules")
}

async fn proxy(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    system::set_up(&config);
    if config.init_only {
        return Ok(());
    }
    let health = Arc::new(Health::default());
    health::serve(&config, health.clone(), shutdown.clone()).await?;
    let connection = client::Config::from_flags(&config.master, &config.kubeconfig)?
        .with_user_agent("kube-proxy")
        .with_rate_limit(config.qps, config.burst);
    let client = client::Client::new(connection)?;
    run_with(Nft, client, config, health, shutdown).await;
    Ok(())
}

async fn run_with(
    kernel: impl Kernel,
    client: client::Client,
    config: Config,
    health: Arc<Health>,
    shutdown: CancellationToken,
) {
    let factory = Factory::new(client, shutdown.clone());
    let services = factory.informer_with::<Service>(|client| Source::of::<Service>(client).labels(NOT_OURS));
    let slices = factory.informer_with::<EndpointSlice>(|client| {
        Source::of::<EndpointSlice>(client).labels("!service.kubernetes.io/headless")
    });
    let own = format!("metadata.name={}", config.node_name);
    let nodes = factory.informer_with::<Node>(|client| Source::of::<Node>(client).fields(&own));
    slices.add_index(BY_SERVICE, |slice| changes::service_of(slice).into_iter().collect());
    let dirty = Arc::new(Dirty::default());
    let mark = dirty.clone();
    services.add_handler(move |event| mark.service(event.object()));
    let mark = dirty.clone();
    slices.add_handler(move |event| {
        // A slice may have been another Service's before.
        if let Event::Updated { old, .. } = &event {
            mark.slice(old);
        }
        mark.slice(event.object());
    });
    let mark = dirty.clone();
    nodes.add_handler(move |_| mark.node());
    factory.start();
    if !factory.wait_synced().await {
        return;
    }
    tracing::info!(
        services = services.reader().len(),
        slices = slices.reader().len(),
        "synced"
    );
    component::sd_notify::ready();
    let proxier = Proxier {
        kernel,
        services: services.reader(),
        slices: slices.reader(),
        nodes: nodes.reader(),
        tables: Family::ALL.map(|family| Table {
            family,
            desired: Desired::default(),
            whole: false,
            refused: false,
        }),
        node: NodeInfo::default(),
        settings: Settings::default(),
        health,
        config,
        udp: BTreeMap::new(),
        // Flows may be left over from before.
        udp_changed: true,
        udp_gone: Vec::new(),
    };
    proxier.run(&dirty, shutdown).await;
}

/// What changed since it was last looked at; names only, the content is read from the stores.
#[derive(Default)]
struct Dirty {
    services: parking_lot::Mutex<BTreeSet<String>>,
    node: std::sync::atomic::AtomicBool,
    changed: Notify,
}

impl Dirty {
    fn service(&self, service: &Service) {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        self.add(format!(
            "{}/{}",
            namespace.as_deref().unwrap_or_default(),
            name.as_deref().unwrap_or_default()
        ));
    }

    fn slice(&self, slice: &EndpointSlice) {
        if let Some(service) = changes::service_of(slice) {
            self.add(service);
        }
    }

    fn node(&self) {
        self.node.store(true, std::sync::atomic::Ordering::Relaxed);
        self.changed.notify_one();
    }

    fn add(&self, service: String) {
        self.services.lock().insert(service);
        metrics::changed();
        self.changed.notify_one();
    }

    fn take(&self) -> (BTreeSet<String>, bool) {
        let services = std::mem::take(&mut *self.services.lock());
        (services, self.node.swap(false, std::sync::atomic::Ordering::Relaxed))
    }
}

struct Proxier<K> {
    kernel: K,
    services: Reader<Service>,
    slices: Reader<EndpointSlice>,
    nodes: Reader<Node>,
    tables: [Table; 2],
    node: NodeInfo,
    settings: Settings,
    health: Arc<Health>,
    config: Config,
    /// UDP ports with where they lead, by Service.
    udp: BTreeMap<ServiceName, Vec<UdpPort>>,
    /// UDP endpoints changed: flows to old ones are to be forgotten.
    udp_changed: bool,
    /// UDP ports as they were before they changed.
    udp_gone: Vec<UdpPort>,
}

/// What `conntrack.rs` must know of one UDP port.
#[derive(PartialEq, Eq)]
struct UdpPort {
    addresses: Vec<IpAddr>,
    port: u16,
    node_port: u16,
    endpoints: BTreeSet<SocketAddr>,
}

impl UdpPort {
    fn of(port: &ServicePort, chosen: &Chosen) -> Self {
        let lists = [&chosen.internal, &chosen.external, &chosen.from_inside];
        Self {
            addresses: port.external_ips.iter().copied().chain([port.cluster_ip]).collect(),
            port: port.port,
            node_port: port.node_port,
            endpoints: lists.into_iter().flatten().copied().collect(),
        }
    }
}

struct Table {
    family: Family,
    desired: Desired,
    /// The kernel has what is wanted, but for the changes not taken yet.
    whole: bool,
    /// The kernel refused the last update.
    refused: bool,
}

impl<K: Kernel> Proxier<K> {
    async fn run(mut self, dirty: &Dirty, shutdown: CancellationToken) {
        let mut next = Instant::now();
        let mut looked_for_leftovers = false;
        // The first round takes everything there is.
        self.look_at_node();
        dirty.take();
        self.decide_all();
        loop {
            // What comes while we wait is gathered.
            tokio::select! {
                () = sleep_until(next) => {}
                () = shutdown.cancelled() => return,
            }
            let (changed, node) = dirty.take();
            if node && self.look_at_node() {
                self.decide_all();
            } else {
                for service in &changed {
                    self.decide(service);
                }
            }
            if self.apply().await {
                self.forget_flows().await;
                if !std::mem::replace(&mut looked_for_leftovers, true) {
                    // Ours are in place: no moment without any.
                    self.kernel.remove_leftovers().await;
                }
                self.health.updated();
                next = Instant::now() + self.config.min_sync_period;
            } else {
                next = Instant::now() + RETRY;
                continue;
            }
            tokio::select! {
                () = dirty.changed.notified() => self.health.queued(std::time::Instant::now()),
                () = shutdown.cancelled() => return,
            }
        }
    }

    // Whether anything that the rules depend on is different.
    fn look_at_node(&mut self) -> bool {
        let node = self.nodes.list().into_iter().next();
        let info = changes::node_info(&self.config.node_name, node.as_deref());
        self.health.set_eligible(info.eligible);
        let changed = info != self.node;
        self.node = info;
        let settings = self.settings();
        if settings != self.settings {
            self.settings = settings;
            // The base chains are different: the table is made anew.
            self.tables.iter_mut().for_each(|table| table.whole = false);
        }
        changed
    }

    fn settings(&self) -> Settings {
        let local = match &self.config.detect_local {
            DetectLocal::None => Local::Unknown,
            DetectLocal::ClusterCidr(cidrs) => Local::Cidrs(cidrs.clone()),
            DetectLocal::NodeCidr if self.node.pod_cidrs.is_empty() => Local::Unknown,
            DetectLocal::NodeCidr => Local::Cidrs(self.node.pod_cidrs.clone()),
            DetectLocal::Interface(name) => Local::Interface(name.clone()),
        };
        let nodeport_addresses = match &self.config.nodeport_addresses {
            NodeportAddresses::All => Vec::new(),
            NodeportAddresses::Cidrs(cidrs) => cidrs.clone(),
            NodeportAddresses::Primary => {
                let told = self.config.node_ip.into_iter();
                told.chain(self.node.internal_ips.iter().copied())
                    .map(|ip| ip.to_string())
                    .collect()
            }
        };
        Settings {
            local,
            masquerade_bit: self.config.masquerade_bit,
            masquerade_all: self.config.masquerade_all,
            nodeport_addresses,
        }
    }

    fn decide_all(&mut self) {
        let mut all: BTreeSet<String> = self.services.keys().iter().map(ToString::to_string).collect();
        all.extend(self.tables.iter().flat_map(|table| table.desired.owners()));
        for service in &all {
            self.decide(service);
        }
    }

    // One Service's elements, from what the stores say now.
    fn decide(&mut self, key: &str) {
        let (namespace, name) = key.split_once('/').unwrap_or(("", key));
        let owner = ServiceName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let service = self.services.get(namespace, name);
        let slices = self.slices.by_index(BY_SERVICE, key);
        let mut elements: BTreeMap<Family, Vec<_>> = BTreeMap::new();
        let mut udp = Vec::new();
        for port in service.iter().flat_map(|service| changes::service_ports(service)) {
            let endpoints = changes::endpoints(&port, slices.iter().map(|slice| &**slice), &self.node.name);
            let chosen = choose(&port, &endpoints, &self.node);
            if port.protocol == Protocol::Udp {
                udp.push(UdpPort::of(&port, &chosen));
            }
            elements
                .entry(port.family)
                .or_default()
                .extend(nftables::elements(&port, &chosen));
        }
        let old = self.udp.remove(&owner).unwrap_or_default();
        if old != udp {
            self.udp_changed = true;
            // What is not there any more leads nowhere.
            self.udp_gone.extend(old.into_iter().map(|port| UdpPort {
                endpoints: BTreeSet::new(),
                ..port
            }));
        }
        if !udp.is_empty() {
            self.udp.insert(owner.clone(), udp);
        }
        for table in &mut self.tables {
            table
                .desired
                .set(&owner, elements.remove(&table.family).unwrap_or_default());
        }
    }

    // After the rules: a flow that is forgotten takes its next packet through them.
    async fn forget_flows(&mut self) {
        if !std::mem::take(&mut self.udp_changed) {
            return;
        }
        let mut targets = Targets::default();
        let gone = std::mem::take(&mut self.udp_gone);
        for port in self.udp.values().flatten().chain(&gone) {
            targets.add(
                port.addresses.iter().copied(),
                port.port,
                port.node_port,
                &port.endpoints,
            );
        }
        match self.kernel.forget(targets).await {
            Ok(0) => {}
            Ok(flows) => tracing::info!(flows, "forgot UDP flows to endpoints that are gone"),
            Err(error) => tracing::warn!(%error, "UDP flows to endpoints that are gone are not forgotten"),
        }
    }

    async fn apply(&mut self) -> bool {
        let mut good = true;
        for table in &mut self.tables {
            let started = std::time::Instant::now();
            let full = !table.whole;
            if table.refused && table.desired.is_empty() {
                continue;
            }
            let text = if full {
                nftables::full(table.family, &self.settings, &table.desired.take_all())
            } else {
                let changes = table.desired.take_changes();
                if changes.is_empty() {
                    continue;
                }
                nftables::incremental(table.family, &changes)
            };
            match self.kernel.apply(&text).await {
                Ok(()) => {
                    (table.whole, table.refused) = (true, false);
                    metrics::synced(started.elapsed(), full);
                    tracing::debug!(family = ?table.family, full, bytes = text.len(), took = ?started.elapsed(), "rules updated");
                }
                Err(error) => {
                    // Whatever state it is in: replace it all next time.
                    (table.whole, table.refused) = (false, true);
                    if table.desired.is_empty() {
                        // A kernel without this IP version, perhaps; nobody needs it.
                        tracing::warn!(family = ?table.family, error = &error as &dyn std::error::Error, "no rules for this family");
                        continue;
                    }
                    good = false;
                    metrics::failed();
                    tracing::error!(family = ?table.family, error = &error as &dyn std::error::Error, "rules not updated");
                }
            }
        }
        good
    }
}

#[cfg(test)]
mod tests;
