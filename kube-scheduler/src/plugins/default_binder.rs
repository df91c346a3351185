//! Binds by POST to the pod's `binding` subresource (upstream `defaultbinder`).

use std::sync::Arc;

use async_trait::async_trait;
use client::{Api, Client};
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::Handle;
use crate::framework::plugin::{Bind, Plugin};
use crate::framework::pod_info::PodInfo;
use crate::framework::status::Status;

pub(super) const NAME: &str = "DefaultBinder";

pub(super) fn new(handle: &Handle, _: &Value) -> Result<Plugin, String> {
    Ok(Plugin {
        bind: Some(Arc::clone(&handle.binder)),
        ..Plugin::named(NAME)
    })
}

/// The binder of a running scheduler.
pub(crate) struct ApiBinder {
    pub(crate) client: Client,
}

#[async_trait]
impl Bind for ApiBinder {
    async fn bind(&self, pod: &PodInfo, node: &str) -> Option<Result<(), Status>> {
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(pod.name.to_string()),
                namespace: Some(pod.namespace.to_string()),
                uid: Some(pod.uid.to_string()),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        let pods = Api::<Pod>::namespaced(self.client.clone(), &pod.namespace);
        let outcome: Result<Value, _> = pods.create_subresource(&pod.name, "binding", &binding).await;
        Some(
            outcome
                .map(drop)
                .map_err(|error| Status::error(NAME, error.to_string())),
        )
    }
}
