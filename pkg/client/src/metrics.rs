//! Numbers for whoever exports them. This crate knows no metrics library.

use std::sync::OnceLock;

pub use crate::workqueue::all_stats as workqueues;

/// Told of every request: status code (or `<error>`), method, `host:port`.
pub type RequestObserver = fn(code: &str, method: &str, host: &str);

static OBSERVER: OnceLock<RequestObserver> = OnceLock::new();

/// Sets who is told of requests; the first call of the process counts.
pub fn observe_requests(observer: RequestObserver) {
    // An error means that somebody observes already.
    let _ = OBSERVER.set(observer);
}

/// How long an item took, and in which half of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePhase {
    /// From being ready until a worker took it.
    Waiting,
    /// From there until the worker was finished with it.
    Working,
}

/// Told of every item of a named work queue.
pub type QueueObserver = fn(queue: &str, phase: QueuePhase, took: std::time::Duration);

static QUEUE_OBSERVER: OnceLock<QueueObserver> = OnceLock::new();

/// Sets who is told of the times of work queues; the first call of the process counts.
pub fn observe_queues(observer: QueueObserver) {
    // An error means that somebody observes already.
    let _ = QUEUE_OBSERVER.set(observer);
}

pub(crate) fn queue(name: &str, phase: QueuePhase, took: std::time::Duration) {
    if let Some(observer) = QUEUE_OBSERVER.get()
        && !name.is_empty()
    {
        observer(name, phase, took);
    }
}

pub(crate) fn request(code: Option<http::StatusCode>, method: &http::Method, host: &str) {
    if let Some(observer) = OBSERVER.get() {
        observer(
            code.as_ref().map_or("<error>", http::StatusCode::as_str),
            method.as_str(),
            host,
        );
    }
}
