//! Node ports: one bit each of a range kept as one object.
//!
//! Upstream: `pkg/registry/core/service/portallocator`, `storage/alloc.go` `allocNodePort`.

use std::collections::{BTreeSet, HashMap};

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::status::{ApiError, Result};
use async_trait::async_trait;
use parking_lot::Mutex;
use rand::Rng as _;
use serde_json::{Value, json};

use super::fields;
use crate::objects::items;

/// Where the used ports are remembered.
#[async_trait]
pub(crate) trait Ports: Send + Sync {
    /// Ports in use and the version of that knowledge; the range `first-last` names the object.
    async fn load(&self, range: (u16, u16)) -> Result<(BTreeSet<u16>, i64)>;
    /// Replaces the ports if the version is still the same; false when not.
    async fn store(&self, range: (u16, u16), used: &BTreeSet<u16>, version: i64) -> Result<bool>;
}

/// Allocates node ports.
pub(crate) struct NodePorts {
    store: Box<dyn Ports>,
    range: (u16, u16),
    /// Marked ports that no Service used, and how many repairs in a row said so.
    suspects: Mutex<HashMap<u16, u32>>,
}

/// Upstream's `numRepairsBeforeLeakCleanup`.
const REPAIRS_BEFORE_CLEANUP: u32 = 3;

const ROUNDS: usize = 32;

impl NodePorts {
    /// Allocates from `range`, both ends included.
    pub(crate) fn new(store: impl Ports + 'static, range: (u16, u16)) -> Self {
        NodePorts {
            store: Box::new(store),
            range,
            suspects: Mutex::default(),
        }
    }

    /// Gives the Service's ports their node ports. `held` are those it had before.
    pub(crate) async fn allocate(
        &self,
        service: &mut Value,
        held: &BTreeSet<u16>,
        dry_run: bool,
        taken: &mut BTreeSet<u16>,
        errors: &mut ErrorList,
    ) -> Result<()> {
        let health = fields::needs_health_check_port(service);
        if !fields::needs_node_ports(service) && !health {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let (used, version) = self.store.load(self.range).await?;
            let mut plan = Plan {
                range: self.range,
                held,
                used,
                mine: BTreeSet::new(),
            };
            let mut new = service.clone();
            let wrong = plan.fill(&mut new, health)?;
            if !wrong.is_empty() {
                errors.extend(wrong);
                return Ok(());
            }
            let fresh: BTreeSet<u16> = plan.mine.difference(held).copied().collect();
            if !dry_run && !fresh.is_empty() {
                plan.used.extend(&fresh);
                if !self.store.store(self.range, &plan.used, version).await? {
                    continue;
                }
            }
            taken.extend(fresh);
            *service = new;
            return Ok(());
        }
        Err(busy())
    }

    /// Frees ports.
    pub(crate) async fn release(&self, ports: &BTreeSet<u16>) -> Result<()> {
        self.change(|used| used.difference(ports).copied().collect()).await
    }

    /// Marks the ports that stored Services use. A marked port that none uses may belong to a Service
    /// about to be written: it is freed when several repairs in a row found it unused.
    pub(crate) async fn repair(&self, ports: &BTreeSet<u16>) -> Result<()> {
        let within = |p: &&u16| (self.range.0..=self.range.1).contains(*p);
        let wanted: BTreeSet<u16> = ports.iter().filter(within).copied().collect();
        let (marked, _) = self.store.load(self.range).await?;
        let leaked: BTreeSet<u16> = {
            let mut suspects = self.suspects.lock();
            suspects.retain(|p, _| marked.contains(p) && !wanted.contains(p));
            for p in marked.difference(&wanted) {
                *suspects.entry(*p).or_default() += 1;
            }
            suspects
                .iter()
                .filter(|(_, n)| **n >= REPAIRS_BEFORE_CLEANUP)
                .map(|(p, _)| *p)
                .collect()
        };
        self.change(|used| used.union(&wanted).filter(|p| !leaked.contains(p)).copied().collect())
            .await
    }

    async fn change(&self, f: impl Fn(&BTreeSet<u16>) -> BTreeSet<u16> + Send) -> Result<()> {
        for _ in 0..ROUNDS {
            let (used, version) = self.store.load(self.range).await?;
            let new = f(&used);
            if (new == used && version > 0) || self.store.store(self.range, &new, version).await? {
                return Ok(());
            }
        }
        Err(busy())
    }
}

fn busy() -> ApiError {
    ApiError::internal("the node port range is changed too often to be allocated from")
}

/// One try over a known state of the range.
struct Plan<'a> {
    range: (u16, u16),
    held: &'a BTreeSet<u16>,
    used: BTreeSet<u16>,
    mine: BTreeSet<u16>,
}

impl Plan<'_> {
    fn fill(&mut self, service: &mut Value, health: bool) -> Result<ErrorList> {
        let mut errors = ErrorList::new();
        let spec = Path::new("spec");
        if fields::needs_node_ports(service) {
            // The same port over several protocols gets one node port.
            let mut by_port: Vec<(Value, u16)> = items(service, "/spec/ports")
                .iter()
                .filter_map(|p| Some((p["port"].clone(), u16::try_from(p["nodePort"].as_u64()?).ok()?)))
                .filter(|(_, n)| *n > 0)
                .collect();
            for (i, p) in service["spec"]
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
                .enumerate()
            {
                let given = p["nodePort"].as_u64().unwrap_or(0);
                if given > 0 {
                    if let Err(why) = self.take(given) {
                        errors.push(Error::invalid(
                            &spec.child("ports").index(i).child("nodePort"),
                            given as i64,
                            why,
                        ));
                    }
                    continue;
                }
                let shared = by_port.iter().find(|(port, _)| *port == p["port"]).map(|(_, n)| *n);
                let node = match shared {
                    Some(n) => n,
                    None => {
                        let n = self.next()?;
                        by_port.push((p["port"].clone(), n));
                        n
                    }
                };
                p["nodePort"] = json!(node);
            }
        }
        if health {
            let given = service["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0);
            if given > 0 {
                if let Err(why) = self.take(given) {
                    let why = format!("failed to allocate requested HealthCheck NodePort {given}: {why}");
                    errors.push(Error::invalid(&spec.child("healthCheckNodePort"), given as i64, why));
                }
            } else {
                service["spec"]["healthCheckNodePort"] = json!(self.next()?);
            }
        }
        Ok(errors)
    }

    fn take(&mut self, port: u64) -> std::result::Result<(), String> {
        let (first, last) = self.range;
        let Some(port) = u16::try_from(port).ok().filter(|p| (first..=last).contains(p)) else {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            ));
        };
        if self.held.contains(&port) || self.mine.contains(&port) {
            self.mine.insert(port);
            return Ok(());
        }
        if self.used.contains(&port) {
            return Err("provided port is already allocated".to_owned());
        }
        self.mine.insert(port);
        Ok(())
    }

    /// A free port: random in the upper part of the range, then the rest.
    fn next(&mut self) -> Result<u16> {
        let (first, last) = (u32::from(self.range.0), u32::from(self.range.1));
        let size = last - first + 1;
        let lower = if size < 16 {
            0
        } else {
            (size / 32).clamp(16, 128).min(size)
        };
        let upper = size - lower;
        let start = if upper == 0 {
            0
        } else {
            rand::rng().random_range(0..upper)
        };
        let order = (0..upper).map(|i| lower + (start + i) % upper).chain(0..lower);
        for offset in order {
            let port = (first + offset) as u16;
            if !self.used.contains(&port) && self.mine.insert(port) {
                return Ok(port);
            }
        }
        Err(ApiError::internal("failed to allocate a nodePort: range is full"))
    }
}
