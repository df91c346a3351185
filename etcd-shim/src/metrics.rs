//! `/metrics`: most is read off the store when asked; only commits are counted as they happen.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use component::metrics::prometheus::Histogram;

use crate::VERSION;
use crate::store::Store;

/// The text, with etcd's names for what etcd also has, and the process's own metrics.
pub(crate) fn render(store: &Store) -> String {
    let published = store.published();
    let size = store.engine().size().unwrap_or_default();
    let gauges: [(&str, &str, f64); 9] = [
        (
            "etcd_server_has_leader",
            "Whether or not a leader exists. 1 is existence, 0 is not.",
            f64::from(u8::from(!store.is_stopped())),
        ),
        (
            "etcd_server_is_leader",
            "Whether or not this member is a leader. 1 if is, 0 otherwise.",
            f64::from(u8::from(!store.is_stopped())),
        ),
        (
            "etcd_server_quota_backend_bytes",
            "Current backend storage quota size in bytes.",
            store.quota_bytes() as f64,
        ),
        (
            "etcd_mvcc_db_total_size_in_bytes",
            "Total size of the underlying database physically allocated in bytes.",
            size.total as f64,
        ),
        (
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Total size of the underlying database logically in use in bytes.",
            size.in_use as f64,
        ),
        (
            "etcd_debugging_mvcc_keys_total",
            "Total number of keys.",
            published.index.len() as f64,
        ),
        (
            "etcd_debugging_mvcc_current_revision",
            "The current revision of store.",
            published.revision as f64,
        ),
        (
            "etcd_debugging_mvcc_compact_revision",
            "The revision of the last compaction in store.",
            published.compacted.max(0) as f64,
        ),
        (
            "etcd_debugging_mvcc_watcher_total",
            "Total number of watchers.",
            store.hub().len() as f64,
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    let name = "etcd_server_version";
    let _ = writeln!(
        text,
        "# HELP {name} Which version is running.\n# TYPE {name} gauge\n{name}{{server_version=\"{VERSION}\"}} 1"
    );
    text.push_str(&component::metrics::text());
    text
}

/// A batch of so many operations is durable; writing it took so long.
pub(crate) fn committed(took: Duration, operations: usize) {
    COMMIT.observe(took.as_secs_f64());
    BATCH.observe(operations as f64);
}

// One flush makes a batch durable: etcd counts the same under two names, its log's and its backend's.
static COMMIT: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = component::metrics::exponential_buckets(0.0001, 2.0, 14);
    component::metrics::histogram(
        "etcd_disk_wal_fsync_duration_seconds",
        "Seconds until a batch was durable",
        &buckets,
    )
});
static BATCH: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = component::metrics::exponential_buckets(1.0, 2.0, 11);
    component::metrics::histogram(
        "corten_store_batch_operations",
        "Operations that shared a flush",
        &buckets,
    )
});
