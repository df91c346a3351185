//! Requests for kinds known only at run time, on JSON values.

use serde_json::Value;

use crate::api::Api;
use crate::client::Client;
use crate::object::Resource;

/// [`Api`] on JSON values: same verbs, resource given at run time.
pub type DynamicApi = Api<Value>;

impl DynamicApi {
    /// Objects of a resource in a namespace, or cluster-wide for `None`.
    pub fn new(client: Client, resource: &Resource, namespace: Option<&str>) -> Self {
        Api::of_resource(client, resource.clone(), namespace)
    }
}
