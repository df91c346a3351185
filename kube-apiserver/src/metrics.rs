//! Upstream's metric names and labels of the request path (`apiserver/pkg/endpoints/metrics`).
//!
//! One shape for all families: [`REQUEST`] are the labels that say what was asked, and each family has
//! them, alone or with a few of its own behind. `identity`, `admission` and `storage` have the families
//! of those parts.

pub(crate) mod admission;
pub(crate) mod identity;
pub(crate) mod impersonation;
mod measured;
pub(crate) mod storage;
#[cfg(test)]
mod tests;

use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

use axum::body::Body;
use http::{HeaderMap, Method, Response, StatusCode};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::proxy::Tunnel;
use crate::request::{Query, RequestInfo};

/// What was asked.
const REQUEST: [&str; 7] = [
    "verb",
    "group",
    "version",
    "resource",
    "subresource",
    "scope",
    "component",
];
/// Bounds of request latencies, in seconds.
pub(crate) const LATENCY: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];
const RESOURCE: [&str; 3] = ["group", "version", "resource"];

/// The labels of a request, with a family's own.
fn labels<const N: usize>(own: [&'static str; N]) -> Vec<&'static str> {
    [&REQUEST[..], &own].concat()
}

static TOTAL: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "apiserver_request_total",
        "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
        &labels(["dry_run", "code"]),
    )
});
static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_request_duration_seconds",
        "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
        &labels(["dry_run"]),
        &LATENCY,
    )
});
static SLI_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_request_sli_duration_seconds",
        "Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
        &REQUEST,
        &LATENCY[2..],
    )
});
static RESPONSE_SIZES: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_response_sizes",
        "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
        &REQUEST,
        &component::metrics::exponential_buckets(1000.0, 10.0, 7),
    )
});
static LONG_RUNNING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_longrunning_requests",
        "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.",
        &REQUEST,
    )
});
static TERMINATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "apiserver_request_terminations_total",
        "Number of requests which apiserver terminated in self-defense.",
        &labels(["code"]),
    )
});
static INFLIGHT: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_current_inflight_requests",
        "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
        &["request_kind"],
    )
});
static WATCH_EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "apiserver_watch_events_total",
        "Number of events sent in watch clients",
        &RESOURCE,
    )
});
static WATCH_EVENT_SIZES: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_watch_events_sizes",
        "Watch event size distribution in bytes",
        &RESOURCE,
        &component::metrics::exponential_buckets(1024.0, 2.0, 8),
    )
});
static DEPRECATED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_requested_deprecated_apis",
        "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.",
        &["group", "version", "resource", "subresource", "removed_release"],
    )
});

/// Paths outside the API that are counted, under their name.
const COUNTED: [&str; 5] = ["/healthz", "/livez", "/readyz", "/openapi/v2", "/openapi/v3"];

/// Subresources whose requests are connections.
const CONNECTS: [&str; 5] = ["log", "exec", "portforward", "attach", "proxy"];

/// Label values of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Labels {
    request: [String; 7],
    dry_run: &'static str,
}

impl Labels {
    /// Labels of a request; unknown resources and paths share one, so that clients cannot make new
    /// series.
    pub(crate) fn new(method: &Method, info: &RequestInfo, query: &str, headers: &HeaderMap) -> Self {
        let row = info
            .is_resource
            .then(|| crate::resources::find(&info.api_group, &info.api_version, &info.resource))
            .flatten();
        let sub = row.and_then(|r| r.subresource(&info.subresource)).map(|s| s.name);
        let path = COUNTED.iter().find(|p| !info.is_resource && info.path == **p);
        let scope = scope(info);
        let of_row = |f: fn(&crate::resources::Resource) -> &'static str| row.map_or("", f).to_owned();
        let dry_run = match query.contains("dryRun") {
            false => "",
            true => match Query::parse(query).get("dryRun") {
                Some("All") => "All",
                None | Some("") => "",
                Some(_) => "invalid",
            },
        };
        Labels {
            request: [
                verb(method, info, sub, scope, headers).to_owned(),
                of_row(|r| r.group),
                of_row(|r| r.version),
                of_row(|r| r.plural),
                sub.or(path.copied()).unwrap_or("").to_owned(),
                scope.to_owned(),
                if info.is_resource { "apiserver" } else { "" }.to_owned(),
            ],
            dry_run,
        }
    }

    fn request(&self) -> [&str; 7] {
        self.request.each_ref().map(String::as_str)
    }

    fn with<'a>(&'a self, own: &[&'a str]) -> Vec<&'a str> {
        [&self.request()[..], own].concat()
    }

    fn verb(&self) -> &str {
        &self.request[0]
    }

    /// Group, version, resource.
    fn resource(&self) -> [&str; 3] {
        [&self.request[1], &self.request[2], &self.request[3]].map(String::as_str)
    }
}

/// Upstream `CleanScope`.
fn scope(info: &RequestInfo) -> &'static str {
    if !info.name.is_empty() || info.verb == "create" {
        "resource"
    } else if !info.namespace.is_empty() {
        "namespace"
    } else if info.is_resource {
        "cluster"
    } else {
        ""
    }
}

/// Upstream `cleanVerb` over `CanonicalVerb`: HTTP's words, but LIST, WATCH, APPLY and CONNECT apart.
fn verb(method: &Method, info: &RequestInfo, sub: Option<&str>, scope: &str, headers: &HeaderMap) -> &'static str {
    if sub.is_some_and(|s| CONNECTS.contains(&s)) {
        return "CONNECT";
    }
    match method.as_str() {
        "GET" | "HEAD" if info.verb == "watch" => "WATCH",
        "GET" | "HEAD" if !matches!(scope, "resource" | "") => "LIST",
        "GET" | "HEAD" => "GET",
        "PATCH"
            if headers
                .get(http::header::CONTENT_TYPE)
                .is_some_and(|c| c == "application/apply-patch+yaml") =>
        {
            "APPLY"
        }
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// One request on its way: counted as running, and measured when its answer has gone out.
pub(crate) struct Running {
    labels: Labels,
    begun: Instant,
    /// What counts a watch's events, once there is one.
    events: OnceLock<(IntCounter, Histogram)>,
    _counted: Counted,
}

/// One more in a gauge as long as it lives: a request whose client hangs up has no answer that could end it.
struct Counted(IntGauge);

impl Counted {
    fn in_gauge(gauge: IntGauge) -> Self {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Running {
    /// A request begins.
    pub(crate) fn begin(labels: Labels, long: bool) -> Self {
        let gauge = if long {
            LONG_RUNNING.with_label_values(&labels.request())
        } else {
            let read = matches!(labels.verb(), "GET" | "LIST" | "WATCH");
            INFLIGHT.with_label_values(&[if read { "readOnly" } else { "mutating" }])
        };
        let [group, version, resource] = labels.resource();
        if crate::resources::deprecation(group, version, resource).is_some() {
            DEPRECATED
                .with_label_values(&[group, version, resource, labels.request()[4], ""])
                .set(1);
        }
        Running {
            labels,
            begun: Instant::now(),
            events: OnceLock::new(),
            _counted: Counted::in_gauge(gauge),
        }
    }

    /// The server gives the request up to save itself (timeouts, too many at once).
    pub(crate) fn terminated(&self, status: StatusCode) {
        TERMINATIONS
            .with_label_values(&self.labels.with(&[status.as_str()]))
            .inc();
    }

    /// The answer is ready; the request ends when its body does, or the tunnel that it opened.
    pub(crate) fn answered(self, mut response: Response<Body>) -> Response<Body> {
        if let Some(tunnel) = response.extensions_mut().remove::<Tunnel>() {
            let status = response.status();
            tokio::spawn(async move {
                tunnel.ended().await;
                self.end(status, 0);
            });
            return response;
        }
        measured::until_the_end(self, response)
    }

    /// A piece of a watch went out: one event.
    fn watched(&self, bytes: usize) {
        if self.labels.verb() == "WATCH" {
            let (count, sizes) = self.events.get_or_init(|| {
                let labels = self.labels.resource();
                (
                    WATCH_EVENTS.with_label_values(&labels),
                    WATCH_EVENT_SIZES.with_label_values(&labels),
                )
            });
            count.inc();
            sizes.observe(bytes as f64);
        }
    }

    fn end(&self, status: StatusCode, bytes: u64) {
        let l = &self.labels;
        if l.request()[4].is_empty() && l.request()[3].is_empty() {
            // No resource and no counted path: upstream has no series for it either.
            return;
        }
        let took = self.begun.elapsed().as_secs_f64();
        TOTAL.with_label_values(&l.with(&[l.dry_run, status.as_str()])).inc();
        DURATION.with_label_values(&l.with(&[l.dry_run])).observe(took);
        if l.dry_run.is_empty() {
            SLI_DURATION.with_label_values(&l.request()).observe(took);
        }
        if matches!(l.verb(), "GET" | "LIST") {
            RESPONSE_SIZES.with_label_values(&l.request()).observe(bytes as f64);
        }
    }
}
