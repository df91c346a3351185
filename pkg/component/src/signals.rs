//! SIGTERM and SIGINT as a cancellation token.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token cancelled by the first SIGTERM or SIGINT; the second exits with status 1 at once
/// (upstream `apiserver/pkg/server` `SetupSignalContext`). Call it once, inside the runtime.
///
/// # Panics
/// When the process may not install signal handlers.
#[must_use]
pub fn shutdown_token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    let mut terminate = signal(SignalKind::terminate()).expect("a process may handle SIGTERM");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a process may handle SIGINT");
    tokio::spawn(async move {
        for attempt in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if attempt > 0 {
                std::process::exit(1);
            }
            cancelled.cancel();
        }
    });
    token
}
