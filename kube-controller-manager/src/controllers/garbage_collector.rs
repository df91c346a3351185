//! garbage-collector-controller: objects whose owners are gone go too, and owners that wait for
//! their dependents (foreground) or leave them behind (orphan) get what they wait for.
//!
//! Upstream: pkg/controller/garbagecollector. `graph` is who owns whom, fed by metadata watches of
//! every deletable resource; `classify` decides; this file and `act` do. Keys are UIDs.

mod act;
mod classify;
mod graph;
mod monitors;

use std::{collections::HashSet, sync::Arc};

use client::{Client, controller, workqueue::WorkQueue};
use parking_lot::Mutex;

use crate::context::{ControllerContext, Work};
use graph::{Graph, Todo};
use monitors::Monitors;

/// Absent owners that are remembered; more are forgotten, which only costs a look-up.
const ABSENT_LIMIT: usize = 500;

struct Controller {
    client: Client,
    graph: Mutex<Graph>,
    /// UIDs that were looked up and not found: a UID never comes back.
    absent: Mutex<HashSet<String>>,
    monitors: Monitors,
    to_delete: WorkQueue<String>,
    to_orphan: WorkQueue<String>,
}

pub(crate) fn start(ctx: &ControllerContext) -> Option<Work> {
    if !ctx.config.garbage_collector {
        return None;
    }
    let client = ctx.client("generic-garbage-collector");
    let controller = Arc::new(Controller {
        monitors: Monitors::new(client.clone()),
        client,
        graph: Mutex::default(),
        absent: Mutex::default(),
        to_delete: WorkQueue::new("garbage-collector-attempt-to-delete"),
        to_orphan: WorkQueue::new("garbage-collector-attempt-to-orphan"),
    });
    let workers = ctx.config.workers.garbage_collector;
    let shutdown = ctx.shutdown.clone();
    Some(Box::pin(async move {
        let watching = tokio::spawn(monitors::run(controller.clone(), shutdown.clone()));
        // Without the whole graph an owner that is merely not seen yet would look absent.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = controller.monitors.wait_synced() => {}
        }
        let delete = {
            let controller = controller.clone();
            controller::run(
                "garbage-collector",
                controller.to_delete.clone(),
                workers,
                shutdown.clone(),
                move |uid| {
                    let controller = controller.clone();
                    async move { controller.attempt_to_delete(&uid).await }
                },
            )
        };
        let orphan = {
            let controller = controller.clone();
            controller::run(
                "garbage-collector-orphan",
                controller.to_orphan.clone(),
                workers,
                shutdown,
                move |uid| {
                    let controller = controller.clone();
                    async move { controller.attempt_to_orphan(&uid).await }
                },
            )
        };
        tokio::join!(delete, orphan);
        watching.abort();
    }))
}

impl Controller {
    fn enqueue(&self, todos: Vec<Todo>) {
        for todo in todos {
            match todo {
                Todo::Delete(uid) => self.to_delete.add(uid),
                Todo::Orphan(uid) => self.to_orphan.add(uid),
            }
        }
    }

    fn remember_absent(&self, uid: &str) {
        let mut absent = self.absent.lock();
        if absent.len() >= ABSENT_LIMIT {
            absent.clear();
        }
        absent.insert(uid.to_owned());
    }
}
