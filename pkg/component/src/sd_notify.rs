//! systemd's notification socket; without `NOTIFY_SOCKET` every call does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// `READY=1`.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// `STOPPING=1`: the drain has begun.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// `WATCHDOG=1`: still healthy.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// How often systemd expects [`watchdog`], when it watches this process (`WATCHDOG_USEC`). Call it
/// at half of that.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not notified");
    }
}
