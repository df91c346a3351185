//! Runs a reconcile function over a work queue: workers, retries with back-off, panics, logs. A controller brings
//! the queue and `reconcile(key)`, nothing else.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::workqueue::WorkQueue;

/// What a successful reconcile asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the next change of the watched objects brings the key back.
    #[default]
    Done,
    /// Call again after this time, even if nothing changes.
    After(Duration),
    /// Call again with back-off, though nothing failed.
    Retry,
}

/// Runs `workers` workers until `shutdown`, then waits for the reconciles in flight.
///
/// An error or a panic puts the key back with back-off and is logged; success forgets the back-off.
pub async fn run<T, R, F>(
    name: &'static str,
    queue: WorkQueue<T>,
    workers: usize,
    shutdown: CancellationToken,
    reconcile: R,
) where
    T: Clone + Eq + Hash + Debug + Send + Sync + 'static,
    R: Fn(T) -> F + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<Outcome>> + Send,
{
    let reconcile = Arc::new(reconcile);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers.max(1) {
        let (queue, reconcile) = (queue.clone(), reconcile.clone());
        tasks.spawn(async move {
            while let Some(item) = queue.get().await {
                work(name, &queue, &*reconcile, item).await;
            }
        });
    }
    tracing::info!(controller = name, workers, "controller started");
    shutdown.cancelled().await;
    queue.shut_down();
    while tasks.join_next().await.is_some() {}
    tracing::info!(controller = name, "controller stopped");
}

async fn work<T, R, F>(name: &'static str, queue: &WorkQueue<T>, reconcile: &R, item: T)
where
    T: Clone + Eq + Hash + Debug + Send + 'static,
    R: Fn(T) -> F,
    F: Future<Output = anyhow::Result<Outcome>> + Send,
{
    let called = AssertUnwindSafe(async { reconcile(item.clone()).await })
        .catch_unwind()
        .await;
    match called {
        Ok(Ok(Outcome::Done)) => queue.forget(&item),
        Ok(Ok(Outcome::After(delay))) => {
            queue.forget(&item);
            queue.add_after(item.clone(), delay);
        }
        Ok(Ok(Outcome::Retry)) => queue.add_rate_limited(item.clone()),
        Ok(Err(error)) => {
            let retries = queue.num_requeues(&item);
            // A conflict is the normal answer to a write on an old read: the watch will bring the new state.
            let conflict = error
                .downcast_ref::<crate::Error>()
                .is_some_and(crate::Error::is_conflict);
            if conflict || retries < 2 {
                tracing::debug!(controller = name, key = ?item, retries, error = %format!("{error:#}"), "reconcile failed");
            } else {
                tracing::warn!(controller = name, key = ?item, retries, error = %format!("{error:#}"), "reconcile failed");
            }
            queue.add_rate_limited(item.clone());
        }
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(controller = name, key = ?item, panic = what, "reconcile panicked");
            queue.add_rate_limited(item.clone());
        }
    }
    queue.done(&item);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn failures_and_panics_are_retried_and_shutdown_waits_for_the_worker() {
        let queue = WorkQueue::new("t");
        queue.add("k");
        let shutdown = CancellationToken::new();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now();
        let task = tokio::spawn(run("t", queue.clone(), 2, shutdown.clone(), {
            let (calls, shutdown) = (calls.clone(), shutdown.clone());
            move |key: &'static str| {
                let (calls, shutdown) = (calls.clone(), shutdown.clone());
                async move {
                    let n = {
                        let mut calls = calls.lock();
                        calls.push((key, start.elapsed().as_millis()));
                        calls.len()
                    };
                    match n {
                        1 => anyhow::bail!("first"),
                        2 => panic!("second"),
                        3 => Ok(Outcome::After(Duration::from_secs(1))),
                        _ => {
                            shutdown.cancel();
                            tokio::time::sleep(Duration::from_secs(1)).await;
                            calls.lock().push(("end", start.elapsed().as_millis()));
                            Ok(Outcome::Done)
                        }
                    }
                }
            }
        }));
        task.await.unwrap();
        assert_eq!(
            *calls.lock(),
            [("k", 0), ("k", 5), ("k", 15), ("k", 1015), ("end", 2015)]
        );
        assert_eq!(queue.num_requeues(&"k"), 0);
    }
}
