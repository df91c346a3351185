//! The `workqueue_*` metrics of client-go, from the counters of `client::workqueue`.

use prometheus::core::{Collector, Desc};
use prometheus::{IntGaugeVec, Opts, proto};

/// Reads every named queue when scraped.
pub(super) struct QueueCollector {
    depth: IntGaugeVec,
    unfinished: IntGaugeVec,
    adds: IntGaugeVec,
    retries: IntGaugeVec,
}

impl QueueCollector {
    pub(super) fn new() -> Self {
        let vec = |name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(name, help), &["name"]).expect("the name and label are valid")
        };
        Self {
            depth: vec("workqueue_depth", "Items ready to be worked on."),
            unfinished: vec("workqueue_processing", "Items being worked on."),
            adds: vec("workqueue_adds_total", "Items added so far."),
            retries: vec("workqueue_retries_total", "Items added again after a failure so far."),
        }
    }

    fn all(&self) -> [&IntGaugeVec; 4] {
        [&self.depth, &self.unfinished, &self.adds, &self.retries]
    }
}

impl Collector for QueueCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        self.all().into_iter().for_each(|vec| vec.reset());
        for (name, stats) in client::metrics::workqueues() {
            let label = [name.as_str()];
            self.depth.with_label_values(&label).set(stats.depth as i64);
            self.unfinished.with_label_values(&label).set(stats.processing as i64);
            self.adds.with_label_values(&label).set(stats.adds as i64);
            self.retries.with_label_values(&label).set(stats.retries as i64);
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
