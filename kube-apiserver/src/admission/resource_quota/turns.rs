//! Turns: the quotas of a namespace are charged by one task at a time, for all writes that wait for them.
//!
//! While one batch is written the next one gathers, so many concurrent writes cost few writes of the quota and do not
//! run into each other. Other writers (the controller, another API server) do: then the quota is read from the store
//! and those who are not yet answered are looked at again. Upstream: `quotaEvaluator`, `quotaAccessor`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::meta;
use apimachinery::status::ApiError;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use super::check::{Ledger, NoRoom, check};
use super::limited::Demands;
use super::request::Request;
use crate::objects::Objects;

/// How long a write waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch is tried again after a write of a quota failed.
const RETRIES: usize = 3;
/// Quotas of our own writing that are remembered until the copy in memory has them.
const REMEMBERED: usize = 100;

/// Why a write is not let through.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// There is no room for it.
    Denied(String),
    /// The quotas could not be charged.
    Failed(ApiError),
}

struct Waiter {
    request: Request,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

impl Waiter {
    fn answer(self, outcome: Result<(), Refusal>) {
        // Who asked may be gone.
        let _ = self.answer.send(outcome);
    }
}

/// Who waits, by namespace.
pub(super) struct Turns {
    objects: Arc<dyn Objects>,
    /// A namespace is here as long as a task serves it.
    waiting: Mutex<HashMap<String, Vec<Waiter>>>,
    /// Quotas as last written here, by namespace and name.
    written: Mutex<HashMap<(String, String), Arc<Value>>>,
}

impl Turns {
    pub(super) fn new(objects: Arc<dyn Objects>) -> Arc<Self> {
        Arc::new(Turns {
            objects,
            waiting: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// Charges a write to the quotas of its namespace.
    pub(super) async fn charge(self: &Arc<Self>, namespace: &str, request: Request) -> Result<(), Refusal> {
        let (answer, outcome) = oneshot::channel();
        let waiter = Waiter { request, answer };
        let is_first = {
            let mut waiting = self.waiting.lock();
            let queue = waiting.get_mut(namespace);
            let is_first = queue.is_none();
            match queue {
                Some(queue) => queue.push(waiter),
                None => {
                    waiting.insert(namespace.to_owned(), vec![waiter]);
                }
            }
            is_first
        };
        if is_first {
            // A task of its own: who asked may go away, the others still wait.
            tokio::spawn(self.clone().serve(namespace.to_owned()));
        }
        let failed = |why: &str| Err(Refusal::Failed(ApiError::internal(why)));
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => failed("resource quota evaluation ended early"),
            Err(_) => failed("resource quota evaluation timed out"),
        }
    }

    /// Nobody waits, nobody is served.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    async fn serve(self: Arc<Self>, namespace: String) {
        let _abandoned = Abandoned {
            turns: &self,
            namespace: &namespace,
        };
        loop {
            let batch = {
                let mut waiting = self.waiting.lock();
                match waiting.get_mut(&namespace) {
                    Some(queue) if !queue.is_empty() => std::mem::take(queue),
                    _ => {
                        waiting.remove(&namespace);
                        return;
                    }
                }
            };
            // A write whose client left is not made: it must not be charged either.
            let batch = batch.into_iter().filter(|waiter| !waiter.answer.is_closed());
            self.settle(&namespace, batch.collect()).await;
        }
    }

    /// Answers every waiter of a batch.
    async fn settle(&self, namespace: &str, mut undecided: Vec<Waiter>) {
        let mut ledgers = match self.ledgers(namespace).await {
            Ok(ledgers) => ledgers,
            Err(error) => return answer_all(undecided, Err(Refusal::Failed(error))),
        };
        let mut tries = 0;
        loop {
            let mut changed = vec![false; ledgers.len()];
            undecided = decide(&mut ledgers, &mut changed, undecided);
            let mut failed = Vec::new();
            let mut last = None;
            for (ledger, _) in ledgers.iter().zip(changed).filter(|(_, changed)| *changed) {
                if let Err(error) = self.write(namespace, ledger).await {
                    failed.push(ledger.name.clone());
                    last = Some(error);
                }
            }
            let Some(error) = last else {
                return answer_all(undecided, Ok(()));
            };
            if tries == RETRIES {
                return answer_all(undecided, Err(Refusal::Failed(error)));
            }
            tries += 1;
            // The other quotas have been charged for these waiters: only those that failed are asked again.
            ledgers = match self.reread(namespace, &failed).await {
                Ok(ledgers) => ledgers,
                Err(_) => return answer_all(undecided, Err(Refusal::Failed(error))),
            };
        }
    }

    async fn write(&self, namespace: &str, ledger: &Ledger) -> Result<(), ApiError> {
        let object = ledger.written();
        let stored = self
            .objects
            .update_status("", "resourcequotas", namespace, object)
            .await?;
        let mut written = self.written.lock();
        if written.len() >= REMEMBERED {
            // It only saves conflicts.
            written.clear();
        }
        written.insert((namespace.to_owned(), ledger.name.clone()), stored);
        Ok(())
    }

    /// The quotas of a namespace from memory, or as this server wrote them when that is newer.
    async fn ledgers(&self, namespace: &str) -> Result<Vec<Ledger>, ApiError> {
        let copies = self.objects.list("", "resourcequotas", namespace).await?;
        let mut written = self.written.lock();
        let latest = |copy: &Arc<Value>| {
            let key = (namespace.to_owned(), meta::name(copy).to_owned());
            match written.get(&key) {
                Some(own) if version(own) > version(copy) && meta::uid(own) == meta::uid(copy) => own.clone(),
                Some(_) => {
                    written.remove(&key);
                    copy.clone()
                }
                None => copy.clone(),
            }
        };
        copies.iter().map(latest).map(Ledger::new).collect()
    }

    /// Some quotas as they are in the store; one that is gone limits nothing.
    async fn reread(&self, namespace: &str, names: &[String]) -> Result<Vec<Ledger>, ApiError> {
        let mut ledgers = Vec::new();
        for name in names {
            match self.objects.latest("", "resourcequotas", namespace, name).await {
                Ok(quota) => ledgers.push(Ledger::new(quota)?),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ledgers)
    }
}

/// Lets through or refuses what needs no write; charges the others to `ledgers` and returns them.
fn decide(ledgers: &mut [Ledger], changed: &mut [bool], waiters: Vec<Waiter>) -> Vec<Waiter> {
    let mut charged = Vec::new();
    for mut waiter in waiters {
        match check(ledgers, &waiter.request) {
            Err(NoRoom::Forbidden(why)) => waiter.answer(Err(Refusal::Denied(why))),
            Err(NoRoom::Uncovered(why)) => waiter.answer(Err(Refusal::Failed(ApiError::generic(500, "", why)))),
            Ok(changes) if changes.is_empty() || waiter.request.dry_run => waiter.answer(Ok(())),
            Ok(changes) => {
                for (at, used) in changes {
                    ledgers[at].used = used;
                    changed[at] = true;
                }
                // All quotas were there to cover it; another try sees only those whose write failed.
                waiter.request.demands = Demands::default();
                charged.push(waiter);
            }
        }
    }
    charged
}

fn answer_all(waiters: Vec<Waiter>, outcome: Result<(), Refusal>) {
    for waiter in waiters {
        waiter.answer(outcome.clone());
    }
}

fn version(object: &Value) -> u64 {
    meta::resource_version(object).parse().unwrap_or(0)
}

/// A task that panicked serves nobody: the next to come starts another one.
struct Abandoned<'a> {
    turns: &'a Turns,
    namespace: &'a str,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.turns.waiting.lock().remove(self.namespace);
        }
    }
}
