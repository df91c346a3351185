//! What this process tells Prometheus besides what every component does. Names are upstream's
//! (client-go `util/workqueue` and `tools/leaderelection` metrics).

use std::sync::LazyLock;

use client::metrics::QueuePhase;
use component::metrics::prometheus::core::{Collector, Desc};
use component::metrics::prometheus::proto::MetricFamily;
use component::metrics::prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Opts};

static MASTER: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "leader_election_master_status",
        "Whether this process leads (1) or stands by (0) under the lease of that name.",
        &["name"],
    )
});

static WAITED: LazyLock<HistogramVec> = LazyLock::new(|| {
    queue_times(
        "workqueue_queue_duration_seconds",
        "How long in seconds a key waits in the queue before it is taken.",
    )
});

static WORKED: LazyLock<HistogramVec> = LazyLock::new(|| {
    queue_times(
        "workqueue_work_duration_seconds",
        "How long in seconds a worker takes for a key of the queue.",
    )
});

fn queue_times(name: &str, help: &str) -> HistogramVec {
    component::metrics::histogram_vec(
        name,
        help,
        &["name"],
        &component::metrics::exponential_buckets(1e-8, 10.0, 10),
    )
}

/// Registers everything; call once.
pub(crate) fn register() {
    client::metrics::observe_requests(component::metrics::rest_client_request);
    client::metrics::observe_queues(|queue, phase, took| {
        let times = match phase {
            QueuePhase::Waiting => &WAITED,
            QueuePhase::Working => &WORKED,
        };
        times.with_label_values(&[queue]).observe(took.as_secs_f64());
    });
    if let Err(error) = component::metrics::registry().register(Box::new(Queues::new())) {
        tracing::debug!(%error, "work queue metrics are registered already");
    }
}

/// Tells whether this process leads.
pub(crate) fn leading(lease: &str, leads: bool) {
    MASTER.with_label_values(&[lease]).set(i64::from(leads));
}

/// The work queues, read when scraped.
struct Queues {
    depth: IntGaugeVec,
    adds: IntCounterVec,
    retries: IntCounterVec,
}

impl Queues {
    fn new() -> Self {
        let opts = |name: &str, help: &str| Opts::new(name, help);
        let gauge = |name, help| IntGaugeVec::new(opts(name, help), &["name"]).expect("a constant and valid name");
        let counter = |name, help| IntCounterVec::new(opts(name, help), &["name"]).expect("a constant and valid name");
        Queues {
            depth: gauge("workqueue_depth", "Keys waiting in the queue."),
            adds: counter("workqueue_adds_total", "Keys added to the queue."),
            retries: counter("workqueue_retries_total", "Keys put back with back-off."),
        }
    }
}

impl Collector for Queues {
    fn desc(&self) -> Vec<&Desc> {
        [self.depth.desc(), self.adds.desc(), self.retries.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (name, stats) in client::metrics::workqueues() {
            let labels = [name.as_str()];
            self.depth
                .with_label_values(&labels)
                .set(i64::try_from(stats.depth).unwrap_or(i64::MAX));
            for (counter, now) in [(&self.adds, stats.adds), (&self.retries, stats.retries)] {
                let counter = counter.with_label_values(&labels);
                counter.inc_by(now.saturating_sub(counter.get()));
            }
        }
        [self.depth.collect(), self.adds.collect(), self.retries.collect()].concat()
    }
}
