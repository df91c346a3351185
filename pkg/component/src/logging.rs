//! Logs on stderr, in klog's text form or as JSON lines.
//!
//! `I1121 10:00:00.000000   12345 scheduler.rs:42] "msg" key="value"`: severity, date, process id,
//! place. Levels: `error!` E, `warn!` W, `info!` I at any `-v`; `debug!` from `-v 4`, `trace!` from
//! `-v 6`; the libraries below us (hyper, h2, rustls, ...) speak from `-v 8` on.

mod format;

use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, reload};

use crate::flags::Values;

/// How to log.
#[derive(Clone, Debug)]
pub struct Config {
    /// `-v`.
    pub verbosity: i64,
    /// `--logging-format=json`.
    pub json: bool,
}

impl Config {
    /// Reads `-v`, `--logging-format` and the buffer flags that need nothing here. A table without
    /// `--logging-format` logs text.
    #[must_use]
    pub fn from_values(values: &Values) -> Self {
        Self {
            verbosity: values.int("v"),
            json: values.string("logging-format") == "json",
        }
    }
}

static HANDLE: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts logging for the process; a second call changes nothing but the verbosity.
pub fn init(config: &Config) {
    let (filter, handle) = reload::Layer::new(targets(config.verbosity));
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .event_format(format::Klog { json: config.json });
    let subscriber = Registry::default().with(filter).with(layer);
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        // The first caller owns the process's logging.
        let _ = HANDLE.set(handle);
    } else {
        set_verbosity(config.verbosity);
    }
}

/// Changes `-v` while running (`PUT /debug/flags/v`).
pub fn set_verbosity(verbosity: i64) {
    if let Some(handle) = HANDLE.get() {
        // The handle fails only when the subscriber is gone, and it is global.
        let _ = handle.reload(targets(verbosity));
    }
}

fn targets(verbosity: i64) -> Targets {
    let ours = match verbosity {
        ..=3 => LevelFilter::INFO,
        4..=5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let mut targets = Targets::new().with_default(ours);
    if verbosity < 8 {
        for library in [
            "h2",
            "hyper",
            "hyper_util",
            "rustls",
            "tokio_rustls",
            "tower",
            "tonic",
            "axum",
            "mio",
            "tungstenite",
            "tokio_tungstenite",
            "reqwest",
            "runtime",
            "tokio",
            "prost",
        ] {
            targets = targets.with_target(library, LevelFilter::WARN);
        }
    }
    targets
}
