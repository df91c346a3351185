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

pub(crate) fn request(code: Option<http::StatusCode>, method: &http::Method, host: &str) {
    if let Some(observer) = OBSERVER.get() {
        observer(
            code.as_ref().map_or("<error>", http::StatusCode::as_str),
            method.as_str(),
            host,
        );
    }
}
