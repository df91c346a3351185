//! Values that were read and written by a rule of the configuration, and how often that was read again.
//!
//! Upstream: `apiserver/pkg/storage/value/metrics.go`, `encryptionconfig/metrics`. The time that single values take is
//! not measured.

use std::sync::LazyLock;

use apimachinery::gvk::GroupResource;
use component::metrics::{counter_vec, gauge_vec};
use jiff::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec};

use super::chain::ENCRYPTED;
use super::rules::resource_at;

static TRANSFORMATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counter_vec(
        "apiserver_storage_transformation_operations_total",
        "Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when the transformation fails. The status, resource, and transformation_type fields can be used for alerting purposes. For example, you can monitor for encryption/decryption failures using the transformation_type (e.g., from_storage for decryption and to_storage for encryption). Additionally, these fields can be used to ensure that the correct transformers are applied to each resource.",
        &["resource", "transformation_type", "transformer_prefix", "status"],
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

/// A value at `path` was read; `None`: it could not be.
pub(super) fn opened(path: &str, stored: Option<&[u8]>) {
    let prefix = match stored {
        Some(stored) if stored.starts_with(ENCRYPTED) => prefix(stored),
        Some(_) => "identity",
        None => "unknown",
    };
    count(path, "from_storage", prefix, stored.is_some());
}

/// A value at `path` was made to be written; `None`: it could not be.
pub(super) fn sealed(path: &str, stored: Option<&[u8]>) {
    let prefix = stored.map_or("unknown", |stored| match stored.starts_with(ENCRYPTED) {
        true => prefix(stored),
        // As upstream has it.
        false => "",
    });
    count(path, "to_storage", prefix, stored.is_some());
}

fn count(path: &str, way: &str, prefix: &str, done: bool) {
    let Some((group, resource)) = resource_at(path) else {
        return;
    };
    let resource = GroupResource::new(group.to_owned(), resource.to_owned()).to_string();
    let status = if done { "OK" } else { "unknown-non-grpc" };
    let labels = [resource.as_str(), way, prefix, status];
    TRANSFORMATIONS.with_label_values(&labels).inc();
}

/// What a provider's values begin with: `k8s:enc:aescbc:v1:`, `k8s:enc:kms:v2:<name>:`.
fn prefix(stored: &[u8]) -> &str {
    let words = if stored[ENCRYPTED.len()..].starts_with(b"kms:") {
        5
    } else {
        4
    };
    let colons = stored.iter().enumerate().filter(|(_, byte)| **byte == b':');
    let end = colons.map(|(i, _)| i + 1).nth(words - 1).unwrap_or(ENCRYPTED.len());
    std::str::from_utf8(&stored[..end]).unwrap_or("unknown")
}

/// The file was taken over, or could not be.
pub(super) fn reloaded(server: &str, done: bool) {
    let labels = [if done { "success" } else { "failure" }, server];
    RELOADS.with_label_values(&labels).inc();
    LAST_RELOAD.with_label_values(&labels).set(Timestamp::now().as_second());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tell_their_provider() {
        for (stored, want) in [
            (&b"k8s:enc:aescbc:v1:key:\0:\xff"[..], "k8s:enc:aescbc:v1:"),
            (b"k8s:enc:kms:v2:a plugin:\n\0", "k8s:enc:kms:v2:a plugin:"),
            (b"k8s:enc:odd", "k8s:enc:"),
        ] {
            assert_eq!(prefix(stored), want);
        }
    }
}
