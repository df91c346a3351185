//! DefaultStorageClass and DefaultIngressClass: what names no class gets the one marked as default.
//!
//! Upstream: `plugin/pkg/admission/storage/storageclass/setdefault`, `plugin/pkg/admission/network/defaultingressclass`.

use std::sync::Arc;

use apimachinery::status::ApiError;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Attributes, Operation, Plugin, World};
use crate::objects::{Objects, text};

/// Sets `spec.storageClassName` of claims.
pub(crate) struct DefaultStorageClass {
    objects: Arc<dyn Objects>,
}

/// Sets `spec.ingressClassName` of ingresses.
pub(crate) struct DefaultIngressClass {
    objects: Arc<dyn Objects>,
}

impl DefaultStorageClass {
    /// Looks classes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        DefaultStorageClass {
            objects: world.objects.clone(),
        }
    }
}

impl DefaultIngressClass {
    /// Looks classes up in `world`.
    pub(crate) fn new(world: &World) -> Self {
        DefaultIngressClass {
            objects: world.objects.clone(),
        }
    }
}

#[async_trait]
impl Plugin for DefaultStorageClass {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(&self, a: &Attributes<'_>, claim: &mut Value) -> Result<(), ApiError> {
        let has_class = claim.pointer("/spec/storageClassName").is_some_and(Value::is_string)
            || annotation(claim, "volume.beta.kubernetes.io/storage-class").is_some();
        if !a.is("", "persistentvolumeclaims", "") || has_class {
            return Ok(());
        }
        let keys = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ];
        let mut all = defaults(&*self.objects, "storage.k8s.io", "storageclasses", &keys).await?;
        if let Some(name) = all.pop() {
            claim["spec"]["storageClassName"] = json!(name);
        }
        Ok(())
    }
}

#[async_trait]
impl Plugin for DefaultIngressClass {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    async fn admit(&self, a: &Attributes<'_>, ingress: &mut Value) -> Result<(), ApiError> {
        let has_class = ingress.pointer("/spec/ingressClassName").is_some_and(Value::is_string)
            || annotation(ingress, "kubernetes.io/ingress.class").is_some();
        if !a.is("networking.k8s.io", "ingresses", "") || has_class {
            return Ok(());
        }
        let keys = ["ingressclass.kubernetes.io/is-default-class"];
        let mut all = defaults(&*self.objects, "networking.k8s.io", "ingressclasses", &keys).await?;
        if let Some(name) = all.pop() {
            ingress["spec"]["ingressClassName"] = json!(name);
        }
        Ok(())
    }
}

/// Names of the classes marked as default, the one to take last: the newest, of equals the first by name.
async fn defaults(objects: &dyn Objects, group: &str, resource: &str, keys: &[&str]) -> Result<Vec<String>, ApiError> {
    let mut all: Vec<Arc<Value>> = objects
        .list(group, resource, "")
        .await?
        .into_iter()
        .filter(|c| keys.iter().any(|k| annotation(c, k) == Some("true")))
        .collect();
    all.sort_by(|a, b| {
        text(a, "/metadata/creationTimestamp")
            .cmp(text(b, "/metadata/creationTimestamp"))
            .then_with(|| text(b, "/metadata/name").cmp(text(a, "/metadata/name")))
    });
    Ok(all.iter().map(|c| text(c, "/metadata/name").to_owned()).collect())
}

fn annotation<'a>(obj: &'a Value, key: &str) -> Option<&'a str> {
    obj.get("metadata")?.get("annotations")?.get(key)?.as_str()
}
