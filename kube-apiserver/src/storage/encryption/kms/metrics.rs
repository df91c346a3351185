//! What plugins are asked and how they answer, and which of their keys are in use.
//!
//! Upstream: `apiserver/pkg/storage/value/encrypt/envelope/metrics/metrics.go`, and of keys that are made and opened
//! `apiserver/pkg/storage/value/metrics.go`. The two of KMS v1 (`dek_cache_*`) are not here: it is not offered.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use component::metrics::{counter, counter_vec, exponential_buckets, gauge_vec, histogram, histogram_vec};
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};
use tonic::Code;

use super::super::id_hash;
use super::TransformError;
use super::plugin::spelled;

/// Keys whose series are kept (upstream `cacheSize`): those of a plugin that always changes its key must not pile up.
const KEPT: usize = 100;

static CALLS: LazyLock<HistogramVec> = LazyLock::new(|| {
    histogram_vec(
        "apiserver_envelope_encryption_kms_operations_latency_seconds",
        "KMS operation duration with gRPC error code status total.",
        &["provider_name", "method_name", "grpc_status_code"],
        &exponential_buckets(0.0001, 2.0, 20),
    )
});
static USES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "apiserver_envelope_encryption_key_id_hash_total",
        "Number of times a keyID is used split by transformation type, provider, and apiserver identity.",
        &USED,
    )
});
static LAST_USES: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge_vec(
        "apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds",
        "The last time in seconds when a keyID was used.",
        &USED,
    )
});
static LAST_SEEN: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge_vec(
        "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds",
        "The last time in seconds when a keyID was returned by the Status RPC call.",
        &["provider_name", "key_id_hash", "apiserver_id_hash"],
    )
});
static INVALID: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "apiserver_envelope_encryption_invalid_key_id_from_status_total",
        "Number of times an invalid keyID is returned by the Status RPC call split by error.",
        &["provider_name", "error"],
    )
});
static OPENED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauge_vec(
        "apiserver_envelope_encryption_dek_source_cache_size",
        "Number of records in data encryption key (DEK) source cache. On a restart, this value is an approximation of the number of decrypt RPC calls the server will make to the KMS plugin.",
        &["provider_name"],
    )
});
static MISSES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "apiserver_storage_envelope_transformation_cache_misses_total",
        "Total number of cache misses while accessing key decryption key(KEK).",
    )
});
static MADE: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "apiserver_storage_data_key_generation_duration_seconds",
        "Latencies in seconds of data encryption key(DEK) generation operations.",
        &exponential_buckets(5e-6, 2.0, 14),
    )
});
static NOT_MADE: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "apiserver_storage_data_key_generation_failures_total",
        "Total number of failed data encryption key(DEK) generation operations.",
    )
});

const USED: [&str; 4] = [
    "transformation_type",
    "provider_name",
    "key_id_hash",
    "apiserver_id_hash",
];

/// Shows those without labels before anything has happened.
pub(in crate::storage::encryption) fn declare() {
    for counter in [&MISSES, &NOT_MADE] {
        LazyLock::force(counter);
    }
    LazyLock::force(&MADE);
}

/// A call of a plugin ended.
pub(super) fn called(provider: &str, method: &str, code: Code, took: Duration) {
    let method = format!("/v2.KeyManagementService/{method}");
    let labels = [provider, &method, &spelled(code)];
    CALLS.with_label_values(&labels).observe(took.as_secs_f64());
}

/// A plugin must be asked to open a key.
pub(super) fn asked_for_key() {
    MISSES.inc();
}

/// Makes a key, and measures that.
pub(super) fn data_key<T>(make: impl FnOnce() -> Result<T, TransformError>) -> Result<T, TransformError> {
    let begun = Instant::now();
    let made = make();
    match &made {
        Ok(_) => MADE.observe(begun.elapsed().as_secs_f64()),
        Err(_) => NOT_MADE.inc(),
    }
    made
}

/// So many opened keys of a provider are kept.
pub(super) fn keys_kept(provider: &str, keys: usize) {
    OPENED.with_label_values(&[provider]).set(keys as i64);
}

/// A plugin said that this is its key, which it cannot be.
pub(super) fn invalid_key(provider: &str, id: &str) {
    let error = if id.is_empty() { "empty" } else { "too_long" };
    INVALID.with_label_values(&[provider, error]).inc();
}

/// A plugin said that this is its key; `server` is the hash of this server's identity.
pub(super) fn key_seen(provider: &str, id: &str, server: &str) {
    static LATELY: Mutex<VecDeque<[String; 3]>> = Mutex::new(VecDeque::new());
    let labels = [provider, &id_hash(id), server];
    let mut lately = LATELY.lock();
    if let Some(old) = note(&mut lately, &labels) {
        // An error says that it is gone already.
        let _ = LAST_SEEN.remove_label_values(&old.each_ref().map(String::as_str));
    }
    LAST_SEEN.with_label_values(&labels).set(now());
}

/// A value was read or written under a key of a plugin.
pub(super) fn key_used(way: &str, provider: &str, id: &str, server: &str) {
    static LATELY: Mutex<VecDeque<[String; 4]>> = Mutex::new(VecDeque::new());
    let labels = [way, provider, &id_hash(id), server];
    let mut lately = LATELY.lock();
    if let Some(old) = note(&mut lately, &labels) {
        let old = old.each_ref().map(String::as_str);
        let _ = USES.remove_label_values(&old);
        let _ = LAST_USES.remove_label_values(&old);
    }
    USES.with_label_values(&labels).inc();
    LAST_USES.with_label_values(&labels).set(now());
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Makes `labels` the newest; returns those that were used least lately when they are too many.
fn note<const N: usize>(lately: &mut VecDeque<[String; N]>, labels: &[&str; N]) -> Option<[String; N]> {
    let known = lately.iter().rposition(|one| one == labels);
    let this = known.and_then(|at| lately.remove(at));
    lately.push_back(this.unwrap_or_else(|| labels.map(str::to_owned)));
    if lately.len() > KEPT { lately.pop_front() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_key_that_was_not_used_lately_goes() {
        let mut lately = VecDeque::new();
        let names: Vec<String> = (0..KEPT).map(|number| number.to_string()).collect();
        assert!(names.iter().all(|name| note(&mut lately, &[name]).is_none()));
        assert_eq!(note(&mut lately, &["0"]), None);
        assert_eq!(note(&mut lately, &["new"]), Some(["1".to_owned()]));
        assert_eq!(lately.len(), KEPT);
    }
}
