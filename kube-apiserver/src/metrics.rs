//! Upstream's metric names of the request path (`apiserver/pkg/endpoints/metrics`).

use std::sync::LazyLock;
use std::time::Duration;

use http::StatusCode;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use crate::request::RequestInfo;

static TOTAL: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "apiserver_request_total",
        "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
        &[
            "verb",
            "dry_run",
            "group",
            "version",
            "resource",
            "subresource",
            "scope",
            "component",
            "code",
        ],
    )
});
static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "apiserver_request_duration_seconds",
        "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
        &[
            "verb",
            "dry_run",
            "group",
            "version",
            "resource",
            "subresource",
            "scope",
            "component",
        ],
        &[
            0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
            20.0, 30.0, 45.0, 60.0,
        ],
    )
});
static INFLIGHT: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_current_inflight_requests",
        "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
        &["request_kind"],
    )
});
static LONG_RUNNING: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_longrunning_requests",
        "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.",
        &[
            "verb",
            "group",
            "version",
            "resource",
            "subresource",
            "scope",
            "component",
        ],
    )
});

/// Label values of one request.
pub(crate) struct Labels {
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
}

impl Labels {
    /// Labels of a request; unknown resources share one, so that clients cannot make new series.
    pub(crate) fn new(info: &RequestInfo) -> Self {
        let known =
            info.is_resource && crate::resources::find(&info.api_group, &info.api_version, &info.resource).is_some();
        let verb = match info.verb.as_str() {
            "update" => "PUT".to_owned(),
            "create" => "POST".to_owned(),
            v => v.to_ascii_uppercase(),
        };
        let scope = match (info.is_resource, info.name.is_empty(), info.namespace.is_empty()) {
            (false, ..) => "",
            (_, false, _) => "resource",
            (_, true, false) => "namespace",
            (_, true, true) => "cluster",
        };
        let pick = |s: &str| if known { s.to_owned() } else { String::new() };
        let row = crate::resources::find(&info.api_group, &info.api_version, &info.resource);
        let sub = row
            .and_then(|r| r.subresource(&info.subresource))
            .map_or("", |s| s.name);
        Labels {
            verb,
            group: pick(&info.api_group),
            version: pick(&info.api_version),
            resource: pick(&info.resource),
            subresource: sub.to_owned(),
            scope,
        }
    }
}

/// Counts a request as running until dropped.
pub(crate) struct Running(prometheus::IntGauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request begins.
pub(crate) fn started(l: &Labels, long: bool) -> Running {
    let gauge = if long {
        LONG_RUNNING.with_label_values(&[
            &l.verb,
            &l.group,
            &l.version,
            &l.resource,
            &l.subresource,
            l.scope,
            "apiserver",
        ])
    } else {
        let kind = if matches!(l.verb.as_str(), "GET" | "LIST" | "WATCH") {
            "readOnly"
        } else {
            "mutating"
        };
        INFLIGHT.with_label_values(&[kind])
    };
    gauge.inc();
    Running(gauge)
}

/// A request has its answer.
pub(crate) fn finished(l: &Labels, status: StatusCode, took: Duration, long: bool) {
    TOTAL
        .with_label_values(&[
            &l.verb,
            "",
            &l.group,
            &l.version,
            &l.resource,
            &l.subresource,
            l.scope,
            "apiserver",
            status.as_str(),
        ])
        .inc();
    if !long {
        DURATION
            .with_label_values(&[
                &l.verb,
                "",
                &l.group,
                &l.version,
                &l.resource,
                &l.subresource,
                l.scope,
                "apiserver",
            ])
            .observe(took.as_secs_f64());
    }
}
