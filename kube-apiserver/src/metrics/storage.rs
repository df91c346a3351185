//! The store seen from here: how long its answers take, how many objects it holds.
//!
//! Upstream: `apiserver/pkg/storage/etcd3/metrics`.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};
use tokio_util::sync::CancellationToken;

use crate::resources;
use crate::storage::{CompactTurn, KeyValue, ListPage, ListRequest, Storage, StorageError, WatchStream, Write};

const OPERATION: [&str; 3] = ["operation", "group", "resource"];

static DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    component::metrics::histogram_vec(
        "etcd_request_duration_seconds",
        "Etcd request latency in seconds for each operation and object type.",
        &OPERATION,
        &super::LATENCY,
    )
});
static REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "etcd_requests_total",
        "Etcd request counts for each operation and object type.",
        &OPERATION,
    )
});
static ERRORS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    component::metrics::counter_vec(
        "etcd_request_errors_total",
        "Etcd failed request counts for each operation and object type.",
        &OPERATION,
    )
});
static OBJECTS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_resource_objects",
        "Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
        &["group", "resource"],
    )
});
static OLD_OBJECTS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    component::metrics::gauge_vec(
        "apiserver_storage_objects",
        "[DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
        &["resource"],
    )
});

/// Which resource a key is about; empty when none.
fn about(prefix: &str, key: &str) -> (&'static str, &'static str) {
    let path = key.strip_prefix(prefix).unwrap_or(key).trim_start_matches('/');
    resources::stored_at(path).unwrap_or(("", ""))
}

/// A store whose answers are measured.
pub(crate) struct Measured {
    inner: Arc<dyn Storage>,
    prefix: String,
}

impl Measured {
    /// Measures `inner`, whose keys begin with `prefix`.
    pub(crate) fn new(inner: Arc<dyn Storage>, prefix: &str) -> Arc<Self> {
        Arc::new(Measured {
            inner,
            prefix: prefix.to_owned(),
        })
    }

    async fn timed<T>(
        &self,
        operation: &str,
        key: &str,
        call: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let begun = Instant::now();
        let answer = call.await;
        let (group, resource) = about(&self.prefix, key);
        let labels = [operation, group, resource];
        DURATION
            .with_label_values(&labels)
            .observe(begun.elapsed().as_secs_f64());
        REQUESTS.with_label_values(&labels).inc();
        if answer.is_err() {
            ERRORS.with_label_values(&labels).inc();
        }
        answer
    }
}

#[async_trait]
impl Storage for Measured {
    async fn get(&self, key: &str) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        self.timed("get", key, self.inner.get(key)).await
    }

    async fn get_from(&self, key: &str, at_least: i64) -> Result<(Option<Arc<KeyValue>>, i64), StorageError> {
        self.timed("get", key, self.inner.get_from(key, at_least)).await
    }

    async fn list(&self, req: &ListRequest) -> Result<ListPage, StorageError> {
        self.timed("list", &req.prefix, self.inner.list(req)).await
    }

    async fn count(&self, prefix: &str) -> Result<i64, StorageError> {
        self.timed("listWithCount", prefix, self.inner.count(prefix)).await
    }

    async fn current_revision(&self) -> Result<i64, StorageError> {
        self.inner.current_revision().await
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<Write, StorageError> {
        self.timed("create", key, self.inner.create(key, value, ttl)).await
    }

    async fn update(
        &self,
        key: &str,
        value: Bytes,
        expected: i64,
        ttl: Option<Duration>,
    ) -> Result<Write, StorageError> {
        self.timed("update", key, self.inner.update(key, value, expected, ttl))
            .await
    }

    async fn delete(&self, key: &str, expected: i64) -> Result<Write, StorageError> {
        self.timed("delete", key, self.inner.delete(key, expected)).await
    }

    async fn watch(&self, prefix: &str, after: i64) -> Result<WatchStream, StorageError> {
        self.inner.watch(prefix, after).await
    }

    async fn compact(&self, rev: i64) -> Result<(), StorageError> {
        self.inner.compact(rev).await
    }

    async fn compact_turn(&self, version: i64, rev: i64) -> Result<CompactTurn, StorageError> {
        self.inner.compact_turn(version, rev).await
    }

    async fn health(&self) -> Result<(), StorageError> {
        self.inner.health().await
    }
}

/// Counts the objects of every kind so often, until `shutdown`; never if `every` is zero
/// (`--etcd-count-metric-poll-period`). `place`: the store of a group's resource.
pub(crate) async fn count(
    place: impl Fn(&str, &str) -> Arc<dyn Storage>,
    prefix: String,
    every: Duration,
    shutdown: CancellationToken,
) {
    while !every.is_zero() {
        for (words, (group, resource)) in resources::stored() {
            let counted = place(group, resource).count(&format!("{prefix}/{words}/")).await;
            let count = counted.unwrap_or(-1);
            OBJECTS.with_label_values(&[group, resource]).set(count);
            let long = if group.is_empty() {
                resource.to_owned()
            } else {
                format!("{resource}.{group}")
            };
            OLD_OBJECTS.with_label_values(&[long.as_str()]).set(count);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_resource() {
        for (key, want) in [
            ("/registry/pods/ns/p", ("", "pods")),
            ("/registry/services/specs/ns/s", ("", "services")),
            ("/registry/minions/n", ("", "nodes")),
            ("/registry/deployments/ns/d", ("apps", "deployments")),
            ("/registry/leases/", ("coordination.k8s.io", "leases")),
            ("/registry/events/ns/e", ("", "events")),
            ("compact_rev_key", ("", "")),
        ] {
            assert_eq!(about("/registry", key), want, "{key}");
        }
    }
}
