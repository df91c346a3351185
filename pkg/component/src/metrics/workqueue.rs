//! The `workqueue_*` metrics of client-go (`util/workqueue`), from the counters and times of
//! `client::workqueue`.

use std::sync::LazyLock;
use std::time::Duration;

use client::metrics::QueuePhase;
use prometheus::core::{Collector, Desc};
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Opts, proto};

static WAITED: LazyLock<HistogramVec> = LazyLock::new(|| {
    times(
        "workqueue_queue_duration_seconds",
        "How long in seconds an item stays in workqueue before being requested.",
    )
});
static WORKED: LazyLock<HistogramVec> = LazyLock::new(|| {
    times(
        "workqueue_work_duration_seconds",
        "How long in seconds processing an item from workqueue takes.",
    )
});

fn times(name: &str, help: &str) -> HistogramVec {
    super::histogram_vec(name, help, &["name"], &super::exponential_buckets(1e-8, 10.0, 10))
}

/// Takes the time of one item.
pub(super) fn observe(queue: &str, phase: QueuePhase, took: Duration) {
    let times = match phase {
        QueuePhase::Waiting => &WAITED,
        QueuePhase::Working => &WORKED,
    };
    times.with_label_values(&[queue]).observe(took.as_secs_f64());
}

/// Reads every named queue when scraped.
pub(super) struct QueueCollector {
    depth: IntGaugeVec,
    processing: IntGaugeVec,
    adds: IntCounterVec,
    retries: IntCounterVec,
}

impl QueueCollector {
    pub(super) fn new() -> Self {
        let gauge = |name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(name, help), &["name"]).expect("the name and label are valid")
        };
        let counter = |name: &str, help: &str| {
            IntCounterVec::new(Opts::new(name, help), &["name"]).expect("the name and label are valid")
        };
        Self {
            depth: gauge("workqueue_depth", "Current depth of workqueue by workqueue."),
            processing: gauge("workqueue_processing", "Items being worked on."),
            adds: counter("workqueue_adds_total", "Total number of adds handled by workqueue."),
            retries: counter(
                "workqueue_retries_total",
                "Total number of retries handled by workqueue.",
            ),
        }
    }
}

impl Collector for QueueCollector {
    fn desc(&self) -> Vec<&Desc> {
        [
            self.depth.desc(),
            self.processing.desc(),
            self.adds.desc(),
            self.retries.desc(),
        ]
        .concat()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // A queue that is gone shows no depth; what it counted stays.
        self.depth.reset();
        self.processing.reset();
        for (name, stats) in client::metrics::workqueues() {
            let label = [name.as_str()];
            self.depth.with_label_values(&label).set(stats.depth as i64);
            self.processing.with_label_values(&label).set(stats.processing as i64);
            for (counter, now) in [(&self.adds, stats.adds), (&self.retries, stats.retries)] {
                let counter = counter.with_label_values(&label);
                counter.inc_by(now.saturating_sub(counter.get()));
            }
        }
        [
            self.depth.collect(),
            self.processing.collect(),
            self.adds.collect(),
            self.retries.collect(),
        ]
        .concat()
    }
}
