//! The one thread that writes. It takes what has queued up while the disk was busy, applies it in
//! order, makes all of it durable with one flush, then shows it to readers and watchers and answers.

use std::sync::Weak;
use std::thread;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use crate::metrics;
use crate::mvcc::Core;
use crate::store::Store;

/// Operations that share a flush.
const MAX_BATCH: usize = 1024;
/// Operations that may wait before their senders do.
const MAX_QUEUE: usize = 4096;
/// Bytes written between two looks at the quota.
const QUOTA_INTERVAL: usize = 4 << 20;

type Apply = Box<dyn FnOnce(&mut Core) -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce() + Send>;

enum Command {
    Apply(Apply),
    Stop,
}

/// The store has stopped: the operation was not applied, or its fate is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("store has stopped")]
pub(crate) struct Stopped;

/// The sending end.
pub(crate) struct Committer {
    queue: mpsc::Sender<Command>,
    ended: watch::Receiver<()>,
}

/// The receiving end.
pub(crate) struct Queue {
    commands: mpsc::Receiver<Command>,
    // Dropped with the thread, however it ends.
    _ended: watch::Sender<()>,
}

/// Both ends.
pub(crate) fn queue() -> (Committer, Queue) {
    let (queue, commands) = mpsc::channel(MAX_QUEUE);
    let (sender, ended) = watch::channel(());
    (
        Committer { queue, ended },
        Queue {
            commands,
            _ended: sender,
        },
    )
}

/// Starts the thread.
pub(crate) fn spawn(queue: Queue, core: Core, store: Weak<Store>) -> std::io::Result<()> {
    thread::Builder::new()
        .name("committer".into())
        .spawn(move || run(queue, core, &store))
        .map(|_| ())
}

impl Committer {
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, answer) = oneshot::channel();
        let apply: Apply = Box::new(move |core| {
            let result = operation(core);
            Box::new(move || {
                // The asker may have gone; the operation stands.
                let _ = sender.send(result);
            })
        });
        self.queue.send(Command::Apply(apply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.queue.is_closed()
    }

    pub(crate) async fn stop(&self) {
        // An error: it has stopped already.
        let _ = self.queue.send(Command::Stop).await;
        self.stopped().await;
    }

    pub(crate) async fn stopped(&self) {
        // Nothing is ever sent: the only news is that the sender is gone.
        let _ = self.ended.clone().changed().await;
    }
}

fn run(mut queue: Queue, mut core: Core, store: &Weak<Store>) {
    let (mut unmeasured, mut measured) = (0, false);
    let mut stopping = false;
    while !stopping {
        let mut acknowledges = Vec::new();
        // While space waits to be freed, idle time is spent on it.
        let first = if core.is_compacting() {
            queue.commands.try_recv().ok()
        } else {
            queue.commands.blocking_recv()
        };
        if first.is_none() && !core.is_compacting() {
            return;
        }
        let mut next = first;
        while let Some(command) = next {
            match command {
                Command::Apply(apply) => acknowledges.push(apply(&mut core)),
                Command::Stop => stopping = true,
            }
            next = if acknowledges.len() < MAX_BATCH && !stopping {
                queue.commands.try_recv().ok()
            } else {
                None
            };
        }
        core.compact_step();
        let Some(store) = store.upgrade() else { return };
        let batch = core.take_batch();
        if !batch.is_empty() {
            let started = Instant::now();
            if let Err(error) = store.engine().commit(&batch) {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, source, "write failed, the store stops");
                return;
            }
            metrics::committed(started.elapsed(), acknowledges.len());
            unmeasured += batch.changes.iter().map(|change| change.record.weight()).sum::<usize>();
            store.publish(&core, batch.changes);
            if unmeasured >= QUOTA_INTERVAL || !measured {
                store.over_quota();
                (unmeasured, measured) = (0, true);
            }
        }
        core.no_space = store.no_space();
        for acknowledge in acknowledges {
            acknowledge();
        }
    }
}
