//! `componentstatuses`: what the neighbours of this server answer when asked how they are. Deprecated
//! since 1.19, still served.
//!
//! Upstream: `pkg/registry/core/componentstatus`, `core/rest/storage_core.go` `serversToValidate`.

use apimachinery::gvk::GroupResource;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Call, respond};
use crate::proxy::{Target, Trust, probe};
use crate::registry::Entry;
use crate::registry::options::ListOptions;
use crate::registry::store::List;
use crate::registry::strategy::RAW;

/// Components that are asked at their default ports on this machine.
const LOCAL: [(&str, u16); 2] = [("controller-manager", 10257), ("scheduler", 10259)];
/// The store; upstream has one entry per `--etcd-servers`.
const STORE: &str = "etcd-0";

/// All statuses that the selectors leave.
pub(super) async fn list(call: &Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let options = ListOptions::parse(&call.query, false)?;
    let no_labels = Default::default();
    let mut items = vec![];
    for name in LOCAL.iter().map(|(name, _)| *name).chain([STORE]) {
        let by_name = |field: &str| if field == "metadata.name" { name } else { "" };
        let wanted = options.labels.as_ref().is_none_or(|s| s.matches(&no_labels))
            && options.fields.as_ref().is_none_or(|s| s.matches(by_name));
        if wanted {
            items.push(Entry::new(call.row, &RAW, 0, status(call, name).await?));
        }
    }
    let list = List {
        items,
        ..Default::default()
    };
    respond::list(&out, &call.query, call.row, &list)
}

/// One status.
pub(super) async fn get(call: &Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let status = status(call, &call.ctx.info.name).await?;
    let entry = Entry::new(call.row, &RAW, 0, status);
    respond::object(StatusCode::OK, &out, &call.query, call.row, &entry)
}

async fn status(call: &Call, name: &str) -> Result<Value> {
    let (healthy, message, error) = if name == STORE {
        match call.api.registry.storage().health().await {
            Ok(()) => (true, "ok".to_owned(), String::new()),
            Err(e) => (false, String::new(), e.to_string()),
        }
    } else {
        let Some((_, port)) = LOCAL.iter().find(|(n, _)| *n == name) else {
            return Err(ApiError::not_found(&GroupResource::new("", "componentstatus"), name));
        };
        let target = Target {
            secure: true,
            trust: Trust::Endpoint,
            host: "127.0.0.1".to_owned(),
            port: *port,
            path: "/healthz".to_owned(),
            query: String::new(),
        };
        match probe(&call.api.nodes, &target).await {
            Ok(text) => (true, text, String::new()),
            Err(why) => (false, why, String::new()),
        }
    };
    let mut condition = json!({"type": "Healthy", "status": if healthy { "True" } else { "False" }});
    for (field, text) in [("message", message), ("error", error)] {
        if !text.is_empty() {
            condition[field] = text.into();
        }
    }
    Ok(json!({"apiVersion": "v1", "kind": "ComponentStatus", "metadata": {"name": name}, "conditions": [condition]}))
}
