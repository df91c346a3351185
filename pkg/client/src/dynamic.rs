//! Requests for kinds known only at run time, on JSON values.

use http::Method;
use serde_json::Value;

use crate::api::Api;
use crate::client::Client;
use crate::error::Result;
use crate::object::Resource;

/// [`Api`] on JSON values: same verbs, resource given at run time.
pub type DynamicApi = Api<Value>;

impl DynamicApi {
    /// Objects of a resource in a namespace, or cluster-wide for `None`.
    pub fn new(client: Client, resource: &Resource, namespace: Option<&str>) -> Self {
        Api::of_resource(client, resource.clone(), namespace)
    }

    /// Creates an object.
    pub async fn create_value(&self, object: &Value) -> Result<Value> {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str);
        let path = self.resource().path(namespace.or_else(|| self.namespace_name()));
        self.client().exchange_json(Method::POST, &path, object).await
    }

    /// Replaces an object.
    pub async fn update_value(&self, object: &Value) -> Result<Value> {
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        self.client()
            .exchange_json(Method::PUT, &self.item_path(name)?, object)
            .await
    }
}
