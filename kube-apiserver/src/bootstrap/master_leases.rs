//! Which API servers are alive: `/registry/masterleases/<ip>`, rewritten every ten seconds, gone
//! fifteen seconds after the last write.
//!
//! Upstream: `pkg/controlplane/reconcilers/lease.go`. The value is an Endpoints with one address.

use std::time::Duration;

use apimachinery::status::ApiError;
use serde_json::{Value, json};

use crate::objects::text;
use crate::registry::{Registry, codec};
use crate::resources;
use crate::storage::{ListRequest, StorageError, Write};

const TTL: Duration = Duration::from_secs(15);
const PREFIX: &str = "masterleases/";

fn failed(e: StorageError) -> ApiError {
    ApiError::internal(e)
}

/// Writes this server's lease.
pub(crate) async fn renew(registry: &Registry, ip: &str) -> Result<(), ApiError> {
    let row = resources::find("", "v1", "endpoints").ok_or_else(ApiError::path_not_found)?;
    let key = registry.key(&format!("{PREFIX}{ip}"));
    for _ in 0..3 {
        let (old, _) = registry.storage().get(&key).await.map_err(failed)?;
        let generation = old
            .as_ref()
            .and_then(|kv| codec::decode(row, &kv.value).ok())
            .and_then(|v| v.pointer("/metadata/generation").and_then(Value::as_i64))
            .unwrap_or(0);
        let value = codec::encode(row, registry.form(), &mut lease(ip, generation + 1))?.bytes;
        let written = match old {
            None => registry.storage().create(&key, value, Some(TTL)).await,
            Some(kv) => registry.storage().update(&key, value, kv.mod_rev, Some(TTL)).await,
        };
        if let Write::Done(_) = written.map_err(failed)? {
            return Ok(());
        }
    }
    Ok(())
}

fn lease(ip: &str, generation: i64) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "", "namespace": "", "generation": generation},
        "subsets": [{"addresses": [{"ip": ip}]}],
    })
}

/// Addresses of the servers alive, sorted.
pub(crate) async fn list(registry: &Registry) -> Result<Vec<String>, ApiError> {
    let row = resources::find("", "v1", "endpoints").ok_or_else(ApiError::path_not_found)?;
    let request = ListRequest {
        prefix: registry.key(PREFIX),
        ..Default::default()
    };
    let page = registry.storage().list(&request).await.map_err(failed)?;
    let mut ips: Vec<String> = page
        .items
        .iter()
        .filter_map(|kv| codec::decode(row, &kv.value).ok())
        .map(|v| text(&v, "/subsets/0/addresses/0/ip").to_owned())
        .filter(|ip| !ip.is_empty())
        .collect();
    ips.sort();
    ips.dedup();
    Ok(ips)
}

/// Takes this server's lease away, at shutdown.
pub(crate) async fn remove(registry: &Registry, ip: &str) -> Result<(), ApiError> {
    let key = registry.key(&format!("{PREFIX}{ip}"));
    if let (Some(kv), _) = registry.storage().get(&key).await.map_err(failed)? {
        registry.storage().delete(&key, kv.mod_rev).await.map_err(failed)?;
    }
    Ok(())
}
