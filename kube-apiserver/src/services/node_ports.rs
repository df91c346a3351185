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
    /// Whose turn it is to change the range: without it, all who create Services at once would spoil each other's
    /// rounds. Other servers are kept apart by the version.
    turn: tokio::sync::Mutex<()>,
    range: (u16, u16),
    /// Marked ports that no Service used, and how many repairs in a row said so.
    suspects: Mutex<HashMap<u16, u32>>,
}

/// Upstream's `numRepairsBeforeLeakCleanup`.
const REPAIRS_BEFORE_CLEANUP: u32 = 3;

const ROUNDS: usize = 32;
const ALLOCATED: &str = "provided port is already allocated";

impl NodePorts {
    /// Allocates from `range`, both ends included.
    pub(crate) fn new(store: impl Ports + 'static, range: (u16, u16)) -> Self {
        NodePorts {
            store: Box::new(store),
            turn: tokio::sync::Mutex::default(),
            range,
            suspects: Mutex::default(),
        }
    }

    /// Gives the Service's ports their node ports. `before`: those it had, none for a new Service.
    pub(crate) async fn allocate(
        &self,
        service: &mut Value,
        before: Option<&BTreeSet<u16>>,
        dry_run: bool,
        taken: &mut BTreeSet<u16>,
        errors: &mut ErrorList,
    ) -> Result<()> {
        let health = fields::needs_health_check_port(service);
        if !fields::may_have_node_ports(service) && !health {
            return Ok(());
        }
        let none = BTreeSet::new();
        let held = before.unwrap_or(&none);
        let _turn = self.turn.lock().await;
        for _ in 0..ROUNDS {
            let (used, version) = self.store.load(self.range).await?;
            let mut plan = Plan {
                range: self.range,
                creating: before.is_none(),
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
    /// about to be written: it is freed when several repairs in a row found it unused. Returns what was
    /// marked before.
    pub(crate) async fn repair(&self, ports: &BTreeSet<u16>) -> Result<BTreeSet<u16>> {
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
            .await?;
        Ok(marked)
    }

    /// First and last port.
    pub(crate) fn range(&self) -> (u16, u16) {
        self.range
    }

    async fn change(&self, f: impl Fn(&BTreeSet<u16>) -> BTreeSet<u16> + Send) -> Result<()> {
        let _turn = self.turn.lock().await;
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

fn wrong(index: usize, port: u64, why: String) -> Error {
    let path = Path::new("spec").child("ports").index(index).child("nodePort");
    Error::invalid(&path, port.cast_signed(), why)
}

fn busy() -> ApiError {
    ApiError::internal("the node port range is changed too often to be allocated from")
}

/// One try over a known state of the range.
struct Plan<'a> {
    range: (u16, u16),
    /// The Service is new: ports of one number share their node port (upstream `initNodePorts`).
    creating: bool,
    held: &'a BTreeSet<u16>,
    used: BTreeSet<u16>,
    mine: BTreeSet<u16>,
}

impl Plan<'_> {
    fn fill(&mut self, service: &mut Value, health: bool) -> Result<ErrorList> {
        let mut errors = ErrorList::new();
        if fields::may_have_node_ports(service) {
            self.fill_ports(service, &mut errors)?;
        }
        if health {
            let given = service["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0);
            if given > 0 {
                self.take(given).map_err(|why| {
                    ApiError::internal(format!(
                        "failed to allocate requested HealthCheck NodePort {given}: {why}"
                    ))
                })?;
            } else {
                service["spec"]["healthCheckNodePort"] = json!(self.next()?);
            }
        }
        Ok(errors)
    }

    fn fill_ports(&mut self, service: &mut Value, errors: &mut ErrorList) -> Result<()> {
        let wanted = fields::needs_node_ports(service);
        let number = |p: &Value| p["nodePort"].as_u64().filter(|n| *n > 0);
        let requested: Vec<(Value, u64)> = items(service, "/spec/ports")
            .iter()
            .filter_map(|p| Some((p["port"].clone(), number(p)?)))
            .collect();
        let mut shared: Vec<(Value, u64)> = vec![];
        let ports = service["spec"].get_mut("ports").and_then(Value::as_array_mut);
        for (i, p) in ports.into_iter().flatten().enumerate() {
            let given = number(p);
            if given.is_none() && !wanted {
                // No new ports, but those that were asked for.
                continue;
            }
            let common = self.creating.then(|| {
                let same = |(port, _): &&(Value, u64)| *port == p["port"];
                (
                    shared.iter().find(same).map(|(_, n)| *n),
                    requested.iter().find(same).map(|(_, n)| *n),
                )
            });
            let node = match (common, given) {
                // The number was settled by an earlier port.
                (Some((Some(settled), _)), None) => settled,
                (Some((Some(settled), _)), Some(given)) if settled == given => settled,
                (Some((None, Some(asked))), _) | (Some((Some(_), Some(asked))), Some(_)) => {
                    let asked = given.unwrap_or(asked);
                    self.taken_once(asked, i, errors);
                    asked
                }
                (_, Some(given)) => {
                    if let Err(why) = self.take(given) {
                        errors.push(wrong(i, given, why));
                    }
                    given
                }
                (_, None) => u64::from(self.next()?),
            };
            if self.creating && !shared.iter().any(|(port, _)| *port == p["port"]) {
                shared.push((p["port"].clone(), node));
            }
            p["nodePort"] = json!(node);
        }
        Ok(())
    }

    /// In a new Service one node port serves one port number only.
    fn taken_once(&mut self, port: u64, index: usize, errors: &mut ErrorList) {
        let again = u16::try_from(port).is_ok_and(|p| self.mine.contains(&p));
        let outcome = if again {
            Err(ALLOCATED.to_owned())
        } else {
            self.take(port)
        };
        if let Err(why) = outcome {
            errors.push(wrong(index, port, why));
        }
    }

    fn take(&mut self, port: u64) -> std::result::Result<(), String> {
        let (first, last) = self.range;
        if u16::try_from(port).is_ok_and(|p| self.held.contains(&p) || self.mine.contains(&p)) {
            self.mine.extend(u16::try_from(port));
            return Ok(());
        }
        let Some(port) = u16::try_from(port).ok().filter(|p| (first..=last).contains(p)) else {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            ));
        };
        if self.used.contains(&port) {
            return Err(ALLOCATED.to_owned());
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
