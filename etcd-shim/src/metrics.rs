//! `/metrics`: most is read off the store when asked; only commits are counted as they happen.

pub(crate) mod grpc;

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use component::metrics::prometheus::{Histogram, IntCounter};

use crate::store::Store;
use crate::{CLUSTER_VERSION, VERSION};

/// The text, with etcd's names for what etcd also has, and the process's own metrics.
pub(crate) fn render(store: &Store) -> String {
    let published = store.published();
    let size = store.engine().size().unwrap_or_default();
    let mut gauges = vec![
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
            "etcd_server_is_learner",
            "Whether or not this member is a learner. 1 if is, 0 otherwise.",
            0.0,
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
    // An alert divides by it.
    if store.quota_bytes() > 0 {
        gauges.push((
            "etcd_server_quota_backend_bytes",
            "Current backend storage quota size in bytes.",
            store.quota_bytes() as f64,
        ));
    }
    // Each change of the store is what etcd would have proposed, agreed on and applied; the term counts the starts.
    let index = published.revision as f64;
    let counters = [
        (
            "etcd_server_leader_changes_seen_total",
            "The number of leader changes seen.",
            1.0,
        ),
        (
            "etcd_server_proposals_committed_total",
            "The total number of consensus proposals committed.",
            index,
        ),
        (
            "etcd_server_proposals_applied_total",
            "The total number of consensus proposals applied.",
            index,
        ),
        (
            "etcd_server_proposals_failed_total",
            "The total number of failed proposals seen.",
            0.0,
        ),
    ];
    let gauges = gauges.into_iter().map(|one| (one, "gauge"));
    let counters = counters.into_iter().map(|one| (one, "counter"));
    let mut text = String::new();
    for ((name, help, value), kind) in gauges.chain(counters) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    let member = format!("{:x}", store.identity().member_id);
    let cluster_version = CLUSTER_VERSION.trim_end_matches(".0");
    for (name, help, label, value) in [
        (
            "etcd_server_version",
            "Which version is running.",
            "server_version",
            VERSION,
        ),
        (
            "etcd_cluster_version",
            "Which version is running.",
            "cluster_version",
            cluster_version,
        ),
        (
            "etcd_server_id",
            "Server or member ID in hexadecimal format.",
            "server_id",
            member.as_str(),
        ),
    ] {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{{label}=\"{value}\"}} 1"
        );
    }
    text.push_str(&component::metrics::text());
    text
}

/// A batch of so many operations is durable; writing it took so long.
pub(crate) fn committed(took: Duration, operations: usize) {
    COMMIT.observe(took.as_secs_f64());
    BACKEND_COMMIT.observe(took.as_secs_f64());
    BATCH.observe(operations as f64);
}

/// Makes every family appear from the start, as in etcd.
pub(crate) fn register() {
    for histogram in [&COMMIT, &BACKEND_COMMIT, &BATCH, &DEFRAGMENT, &SNAPSHOT, &HASH] {
        LazyLock::force(histogram);
    }
    for counter in [
        &PUTS,
        &DELETES,
        &RANGES,
        &TXNS,
        &LEASES_GRANTED,
        &LEASES_REVOKED,
        &LEASES_RENEWED,
        &HEALTH_SUCCESS,
        &HEALTH_FAILURES,
    ] {
        LazyLock::force(counter);
    }
}

/// Observes how long something took when it is dropped.
pub(crate) struct Took(&'static Histogram, Instant);

impl Took {
    /// It begins now.
    pub(crate) fn new(histogram: &'static Histogram) -> Self {
        Self(histogram, Instant::now())
    }
}

impl Drop for Took {
    fn drop(&mut self) {
        self.0.observe(self.1.elapsed().as_secs_f64());
    }
}

fn seconds(name: &str, help: &str, start: f64) -> Histogram {
    component::metrics::histogram(name, help, &component::metrics::exponential_buckets(start, 2.0, 17))
}

/// Finer than etcd's bounds, which begin at a millisecond, and all of them.
const FLUSH: f64 = 0.000_125;

// One flush makes a batch durable: etcd counts the same under two names, its log's and its backend's.
static COMMIT: LazyLock<Histogram> = LazyLock::new(|| {
    seconds(
        "etcd_disk_wal_fsync_duration_seconds",
        "Seconds until a batch was durable",
        FLUSH,
    )
});
static BACKEND_COMMIT: LazyLock<Histogram> = LazyLock::new(|| {
    seconds(
        "etcd_disk_backend_commit_duration_seconds",
        "The latency distributions of commit called by backend.",
        FLUSH,
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
pub(crate) static DEFRAGMENT: LazyLock<Histogram> = LazyLock::new(|| {
    seconds(
        "etcd_disk_backend_defrag_duration_seconds",
        "The latency distribution of backend defragmentation.",
        0.1,
    )
});
pub(crate) static SNAPSHOT: LazyLock<Histogram> = LazyLock::new(|| {
    seconds(
        "etcd_disk_backend_snapshot_duration_seconds",
        "The latency distribution of backend snapshots.",
        0.01,
    )
});
pub(crate) static HASH: LazyLock<Histogram> = LazyLock::new(|| {
    seconds(
        "etcd_mvcc_hash_rev_duration_seconds",
        "The latency distribution of storage hash by revision operation.",
        0.01,
    )
});

macro_rules! counters {
    ($($name:ident $metric:literal $help:literal;)*) => {
        $(pub(crate) static $name: LazyLock<IntCounter> =
            LazyLock::new(|| component::metrics::counter($metric, $help));)*
    };
}

// Of requests; what ends with a lease is not among the deletions.
counters! {
    PUTS "etcd_mvcc_put_total" "Total number of puts seen by this member.";
    DELETES "etcd_mvcc_delete_total" "Total number of deletes seen by this member.";
    RANGES "etcd_mvcc_range_total" "Total number of ranges seen by this member.";
    TXNS "etcd_mvcc_txn_total" "Total number of txns seen by this member.";
    LEASES_GRANTED "etcd_debugging_lease_granted_total" "The total number of granted leases.";
    LEASES_REVOKED "etcd_debugging_lease_revoked_total" "The total number of revoked leases.";
    LEASES_RENEWED "etcd_debugging_lease_renewed_total" "The number of renewed leases seen by the leader.";
    HEALTH_SUCCESS "etcd_server_health_success" "The total number of successful health checks";
    HEALTH_FAILURES "etcd_server_health_failures" "The total number of failed health checks";
}
