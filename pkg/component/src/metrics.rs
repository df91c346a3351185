//! Prometheus metrics: one registry per process, text format 0.0.4.
//!
//! ```
//! use std::sync::LazyLock;
//! use component::metrics::{self, prometheus::IntCounterVec};
//!
//! static PODS: LazyLock<IntCounterVec> = LazyLock::new(|| metrics::counter_vec("x_total", "Help.", &["result"]));
//! PODS.with_label_values(&["good"]).inc();
//! assert!(metrics::text().contains("x_total{result=\"good\"} 1"));
//! ```
//! The constructors register in the process's registry and panic on a clash of names, which the
//! first use shows. Names, labels and buckets are upstream's.

mod process;
pub mod slis;
mod workqueue;

use std::sync::LazyLock;

use http::{HeaderValue, Response, header};
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::serving::{Body, full};

pub use prometheus;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let registry = Registry::new();
    registry
        .register(Box::new(process::ProcessCollector::new()))
        .expect("the first collectors of a new registry do not clash");
    registry
        .register(Box::new(workqueue::QueueCollector::new()))
        .expect("the first collectors of a new registry do not clash");
    client::metrics::observe_requests(rest_client_request);
    client::metrics::observe_queues(workqueue::observe);
    let info = crate::version::Info::get();
    let facts = [
        ("major", info.major),
        ("minor", info.minor),
        ("git_version", info.git_version),
        ("git_commit", info.git_commit),
        ("git_tree_state", info.git_tree_state),
        ("build_date", info.build_date),
        ("go_version", info.go_version),
        ("compiler", info.compiler),
        ("platform", info.platform.as_str()),
    ];
    let build = IntGaugeVec::new(
        Opts::new(
            "kubernetes_build_info",
            "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
        ),
        &facts.map(|(name, _)| name),
    )
    .expect("the name and labels are valid");
    build.with_label_values(&facts.map(|(_, value)| value)).set(1);
    registry
        .register(Box::new(build))
        .expect("the first collectors of a new registry do not clash");
    registry
});

/// The process's registry. Its first use also starts the counting of the client's requests.
#[must_use]
pub fn registry() -> &'static Registry {
    &REGISTRY
}

fn registered<C: Collector + Clone + 'static>(collector: Result<C, prometheus::Error>) -> C {
    let collector = collector.expect("metric names and labels are constants");
    REGISTRY
        .register(Box::new(collector.clone()))
        .expect("each metric is defined once");
    collector
}

/// A registered counter.
#[must_use]
pub fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help))
}

/// A registered counter per label values.
#[must_use]
pub fn counter_vec(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels))
}

/// A registered integer gauge.
#[must_use]
pub fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help))
}

/// A registered integer gauge per label values.
#[must_use]
pub fn gauge_vec(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), labels))
}

/// A registered float gauge.
#[must_use]
pub fn float_gauge(name: &str, help: &str) -> Gauge {
    registered(Gauge::new(name, help))
}

/// A registered histogram; `buckets` are upper bounds, in seconds for durations.
#[must_use]
pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    registered(Histogram::with_opts(
        HistogramOpts::new(name, help).buckets(buckets.to_vec()),
    ))
}

/// A registered histogram per label values.
#[must_use]
pub fn histogram_vec(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    registered(HistogramVec::new(
        HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        labels,
    ))
}

/// `count` bounds from `start`, each `factor` times the last.
#[must_use]
pub fn exponential_buckets(start: f64, factor: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(start), |bound| Some(bound * factor))
        .take(count)
        .collect()
}

static CLIENT_REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "rest_client_requests_total",
        "Requests of this process to API servers, by status code, method and host.",
        &["code", "method", "host"],
    )
});

/// Counts one request to an API server; `code` is the status, or `<error>` when none came.
pub fn rest_client_request(code: &str, method: &str, host: &str) {
    CLIENT_REQUESTS.with_label_values(&[code, method, host]).inc();
}

/// When this process started; without `/proc` the epoch.
#[must_use]
pub fn process_started() -> jiff::Timestamp {
    let seconds = process::start_time().unwrap_or_default();
    jiff::Timestamp::from_second(seconds as i64).unwrap_or_default()
}

/// The body of `/metrics`.
#[must_use]
pub fn text() -> String {
    let mut text = String::new();
    // Encoding fails only for families without samples, which the registry does not yield.
    let _ = TextEncoder::new().encode_utf8(&REGISTRY.gather(), &mut text);
    text
}

/// The answer to `GET /metrics`.
#[must_use]
pub fn response() -> Response<Body> {
    page(text())
}

fn page(text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
    );
    response
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_has_process_and_build_metrics() {
        super::rest_client_request("200", "GET", "127.0.0.1:6443");
        let text = super::text();
        for line in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "rest_client_requests_total{code=\"200\",host=\"127.0.0.1:6443\",method=\"GET\"} 1",
            "git_version=\"v1.36.2\"",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
