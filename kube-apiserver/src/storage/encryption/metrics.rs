//! Values that were read and written by a rule of the configuration, and how often that was read again.
//!
//! Upstream: `apiserver/pkg/storage/value/metrics.go`, `encryptionconfig/metrics`. What plugins do is in `kms/metrics`.

use std::sync::LazyLock;
use std::time::Instant;

use apimachinery::gvk::GroupResource;
use component::metrics::{counter_vec, exponential_buckets, gauge_vec, histogram_vec};
use jiff::Timestamp;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::chain::TransformError;
use super::kms;
use super::rules::resource_at;

/// A value is read.
pub(super) const FROM_STORAGE: &str = "from_storage";
/// A value is written.
pub(super) const TO_STORAGE: &str = "to_storage";

static TRANSFORMATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "apiserver_storage_transformation_operations_total",
        "Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when the transformation fails. The status, resource, and transformation_type fields can be used for alerting purposes. For example, you can monitor for encryption/decryption failures using the transformation_type (e.g., from_storage for decryption and to_storage for encryption). Additionally, these fields can be used to ensure that the correct transformers are applied to each resource.",
        &["resource", "transformation_type", "transformer_prefix", "status"],
    )
});
static DURATIONS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram_vec(
        "apiserver_storage_transformation_duration_seconds",
        "Latencies in seconds of value transformation operations.",
        &["transformation_type", "transformer_prefix"],
        &exponential_buckets(5e-6, 2.0, 25),
    )
});
static RELOADS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "apiserver_encryption_config_controller_automatic_reloads_total",
        "Total number of reload successes and failures of encryption configuration split by apiserver identity.",
        &["status", "apiserver_id_hash"],
    )
});
static LAST_RELOAD: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge_vec(
        "apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds",
        "Timestamp of the last successful or failed automatic reload of encryption configuration split by apiserver identity.",
        &["status", "apiserver_id_hash"],
    )
});
static COUNTS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge_vec(
        "apiserver_encryption_config_controller_last_config_info",
        "Information about the last applied encryption configuration with hash as label, split by apiserver identity.",
        &["apiserver_id_hash", "hash"],
    )
});

/// Shows those without labels before anything has happened.
pub(super) fn declare() {
    kms::metrics::declare();
}

/// One value on its way through its chain.
pub(super) struct Passage {
    resource: String,
    way: &'static str,
    begun: Instant,
}

impl Passage {
    /// The value at a path below the prefix of etcd begins it.
    pub(super) fn begin(path: &str, way: &'static str) -> Self {
        let (group, resource) = resource_at(path).unwrap_or_default();
        Passage {
            resource: GroupResource::new(group.to_owned(), resource.to_owned()).to_string(),
            way,
            begun: Instant::now(),
        }
    }

    /// A provider, known by what its values begin with, is done with it. Only what succeeded is timed.
    pub(super) fn end(&self, prefix: &str, error: Option<&TransformError>) {
        let status = match error {
            None => "OK".to_owned(),
            Some(error) => error
                .call()
                .map_or_else(|| "unknown-non-grpc".to_owned(), kms::plugin::spelled),
        };
        let labels = [&self.resource, self.way, prefix, &status];
        TRANSFORMATIONS.with_label_values(&labels).inc();
        if error.is_none() {
            let took = self.begun.elapsed().as_secs_f64();
            DURATIONS.with_label_values(&[self.way, prefix]).observe(took);
        }
    }
}

/// The file was taken over, or could not be; `server` is the hash of this server's identity.
pub(super) fn reloaded(server: &str, done: bool) {
    let labels = [if done { "success" } else { "failure" }, server];
    RELOADS.with_label_values(&labels).inc();
    LAST_RELOAD.with_label_values(&labels).set(Timestamp::now().as_second());
}

/// The file with this hash counts now, and no other.
pub(super) fn counts(server: &str, hash: &str) {
    COUNTS.reset();
    COUNTS.with_label_values(&[server, hash]).set(1);
}
