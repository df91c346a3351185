//! Addresses and ports of Services: taken when a Service is written, given back when it goes.
//!
//! Cluster IPs are `IPAddress` objects, node ports bits of one range under
//! `/registry/ranges/servicenodeports`. Upstream: `pkg/registry/core/service/{storage/alloc.go,
//! ipallocator,portallocator}`. An allocation that the write behind it does not use is given back;
//! what a crash leaves behind is found by [`Allocators::repair`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use apimachinery::field::Error;
use apimachinery::gvk::{GroupKind, GroupResource};
use apimachinery::status::{ApiError, Result};
use apimachinery::{meta, names};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::objects::{Objects, text};
use crate::registry::{ChangeFn, Entry, Hooks, Registry, Store};
use crate::request::RequestContext;
use crate::resources::Resource;

pub(crate) mod cluster_ips;
pub(crate) mod fields;
pub(crate) mod node_ports;
pub(crate) mod range_allocation;
mod repair;
pub(crate) mod service_range;

use cluster_ips::ClusterIps;
use node_ports::NodePorts;
use service_range::ServiceRange;

/// Names tried for one `generateName`, as upstream.
const NAME_ATTEMPTS: usize = 8;

/// The allocators of a server.
pub(crate) struct Allocators {
    objects: Arc<dyn Objects>,
    ips: ClusterIps,
    ports: NodePorts,
}

/// What one write took, and what it lets go of when it succeeds.
#[derive(Debug, Default)]
struct Moves {
    taken: Holdings,
    dropped: Holdings,
}

/// Addresses and ports.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Holdings {
    ips: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

impl Allocators {
    /// `ranges`: `--service-cluster-ip-range`; `ports`: `--service-node-port-range`, inclusive.
    pub(crate) fn new(registry: Arc<Registry>, ranges: Vec<ServiceRange>, ports: (u16, u16)) -> Self {
        Allocators {
            ips: ClusterIps::new(registry.clone(), ranges),
            ports: NodePorts::new(range_allocation::Stored::new(registry.clone()), ports),
            objects: registry,
        }
    }

    /// Whether objects of this row take addresses.
    pub(crate) fn concerns(&self, row: &Resource) -> bool {
        row.group.is_empty() && row.plural == "services"
    }

    /// Creates a Service. Its addresses name it: a generated name is made before they are taken.
    pub(crate) async fn create(
        &self,
        store: &Store,
        ctx: &RequestContext,
        ns: &str,
        mut obj: Value,
        hooks: &dyn Hooks,
    ) -> Result<Arc<Entry>> {
        let generate = text(&obj, "/metadata/generateName").to_owned();
        if generate.is_empty() || !text(&obj, "/metadata/name").is_empty() {
            return self.create_named(store, ctx, ns, obj, hooks).await;
        }
        for _ in 0..NAME_ATTEMPTS {
            meta::set_name(&mut obj, &names::generate_name(&generate));
            match self.create_named(store, ctx, ns, obj.clone(), hooks).await {
                Err(e) if e.is_already_exists() => {}
                done => return done,
            }
        }
        let gr = GroupResource::new("", "services");
        Err(ApiError::generate_name_conflict(&gr, text(&obj, "/metadata/name"), 1))
    }

    async fn create_named(
        &self,
        store: &Store,
        ctx: &RequestContext,
        ns: &str,
        obj: Value,
        hooks: &dyn Hooks,
    ) -> Result<Arc<Entry>> {
        let allocating = Allocating::new(self, hooks, ctx, ns);
        let result = store.create(ctx, ns, obj, &allocating).await;
        allocating.settle(result.is_ok()).await;
        result
    }

    /// Changes a Service.
    pub(crate) async fn update(
        &self,
        store: &Store,
        ctx: &RequestContext,
        ns: &str,
        name: &str,
        change: ChangeFn<'_>,
        hooks: &dyn Hooks,
    ) -> Result<(Arc<Entry>, bool)> {
        let allocating = Allocating::new(self, hooks, ctx, ns);
        let result = store.update(ctx, ns, name, store.strategy, change, &allocating).await;
        allocating.settle(result.is_ok()).await;
        result
    }

    /// Gives back what a deleted Service had. Its Endpoints go too: a new Service of the name must not
    /// begin with the old ones (upstream `afterDelete`).
    pub(crate) async fn released(&self, service: &Value) {
        let (ns, name) = (text(service, "/metadata/namespace"), text(service, "/metadata/name"));
        if let Err(error) = self.objects.delete("", "endpoints", ns, name).await
            && !error.is_not_found()
        {
            tracing::warn!(name, %error, "cannot delete the endpoints of a deleted Service");
        }
        self.release(&holdings(service)).await;
    }

    async fn release(&self, what: &Holdings) {
        for ip in &what.ips {
            if let Err(error) = self.ips.release(*ip).await {
                tracing::warn!(%ip, %error, "cannot release a cluster IP");
            }
        }
        if !what.ports.is_empty()
            && let Err(error) = self.ports.release(&what.ports).await
        {
            tracing::warn!(ports = ?what.ports, %error, "cannot release node ports");
        }
    }

    /// Makes the records agree with the stored Services: marks what they use, frees what belongs to
    /// Services that are gone. Run at start and every few minutes.
    pub(crate) async fn repair(&self) -> Result<()> {
        let services = self.objects.list("", "services", "").await?;
        let addresses = self.objects.list(cluster_ips::GROUP, cluster_ips::RESOURCE, "").await?;
        let ranges = self.ips.ranges().await?;
        let now = apimachinery::time::now().as_second();
        repair::addresses(&services, &addresses, &ranges, now)
            .apply(&*self.objects)
            .await?;
        let used: BTreeSet<u16> = services.iter().flat_map(|s| fields::node_ports(s)).collect();
        let recorded = self.ports.repair(&used).await?;
        repair::tell(&*self.objects, &repair::ports(&services, &recorded, self.ports.range())).await;
        Ok(())
    }

    /// Settles all allocated fields of `new`, which replaces `old`.
    async fn allocate(
        &self,
        new: &mut Value,
        old: Option<&Value>,
        ns: &str,
        dry_run: bool,
        moves: &mut Moves,
    ) -> Result<()> {
        if let Some(old) = old {
            fields::carry_over(new, old);
        }
        let before = old.map(holdings).unwrap_or_default();
        let mut errors = match fields::settle_families(new, old, &self.ips.families()) {
            fields::Families::Wrong(errors) => errors,
            fields::Families::LeftAlone if fields::needs_cluster_ip(new) => return Ok(()),
            _ => vec![],
        };
        if errors.is_empty() {
            self.ips
                .allocate(new, &before.ips, ns, dry_run, &mut moves.taken.ips, &mut errors)
                .await?;
        }
        if errors.is_empty() {
            let update = old.map(|_| &before.ports);
            self.ports
                .allocate(new, update, dry_run, &mut moves.taken.ports, &mut errors)
                .await?;
        }
        if !errors.is_empty() {
            return Err(invalid(new, errors));
        }
        let after = holdings(new);
        moves.dropped.ips = before.ips.difference(&after.ips).copied().collect();
        moves.dropped.ports = before.ports.difference(&after.ports).copied().collect();
        Ok(())
    }
}

fn invalid(service: &Value, errors: Vec<Error>) -> ApiError {
    ApiError::invalid(&GroupKind::new("", "Service"), text(service, "/metadata/name"), errors)
}

/// What a Service holds.
fn holdings(service: &Value) -> Holdings {
    Holdings {
        ips: fields::cluster_ips(service).into_iter().collect(),
        ports: fields::node_ports(service),
    }
}

/// Admission with allocation behind it: the object is then complete for the strategy.
struct Allocating<'a> {
    allocators: &'a Allocators,
    inner: &'a dyn Hooks,
    dry_run: bool,
    ns: &'a str,
    moves: Mutex<Moves>,
}

impl<'a> Allocating<'a> {
    fn new(allocators: &'a Allocators, inner: &'a dyn Hooks, ctx: &RequestContext, ns: &'a str) -> Self {
        Allocating {
            allocators,
            inner,
            dry_run: ctx.dry_run,
            ns,
            moves: Mutex::default(),
        }
    }

    /// After the write: keeps what it took and lets go of the rest, or the other way round.
    async fn settle(self, done: bool) {
        let moves = self.moves.into_inner();
        if !self.dry_run {
            self.allocators
                .release(if done { &moves.dropped } else { &moves.taken })
                .await;
        }
    }
}

#[async_trait]
impl Hooks for Allocating<'_> {
    fn creates(&self) -> bool {
        self.inner.creates()
    }

    async fn admit(&self, obj: &mut Value, old: Option<&Value>) -> Result<()> {
        self.inner.admit(obj, old).await?;
        let mut moves = self.moves.lock().await;
        // A lost race runs this again: begin afresh.
        let earlier = std::mem::take(&mut *moves);
        if !self.dry_run {
            self.allocators.release(&earlier.taken).await;
        }
        self.allocators
            .allocate(obj, old, self.ns, self.dry_run, &mut moves)
            .await
    }

    async fn validate(&self, obj: Option<&Value>, old: Option<&Value>) -> Result<()> {
        self.inner.validate(obj, old).await
    }

    async fn gone(&self, obj: &Value) {
        self.inner.gone(obj).await;
    }
}

#[cfg(test)]
mod tests;
