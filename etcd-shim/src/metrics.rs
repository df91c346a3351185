//! `/metrics`: read off the store when asked; nothing is counted on the way of a request.

use std::fmt::Write;

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
