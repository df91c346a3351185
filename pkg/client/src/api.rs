//! The verbs of one kind. `Api<Pod>` for typed kinds, [`crate::DynamicApi`] for kinds known at run time.

use std::marker::PhantomData;

use futures::stream::BoxStream;
use http::Method;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, build};
use crate::codec;
use crate::error::{Error, Result};
use crate::object::{ObjectList, Resource};
use crate::params::{DeleteOptions, ListParams, Patch, PatchParams, escape};
use crate::watch::{self, WatchEvent};

/// Requests for the objects of one kind, in one namespace or across all.
#[derive(Debug)]
pub struct Api<K> {
    client: Client,
    resource: Resource,
    namespace: Option<String>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Api {
            client: self.client.clone(),
            resource: self.resource.clone(),
            namespace: self.namespace.clone(),
            kind: PhantomData,
        }
    }
}

impl<K: k8s_openapi::Resource> Api<K>
where
    K::Scope: 'static,
{
    /// Objects of one namespace.
    pub fn namespaced(client: Client, namespace: &str) -> Self {
        Api::of_resource(client, Resource::of::<K>(), Some(namespace))
    }

    /// Cluster-scoped objects, or those of all namespaces (list, watch and delete_collection only).
    pub fn all(client: Client) -> Self {
        Api::of_resource(client, Resource::of::<K>(), None)
    }
}

impl<K> Api<K> {
    /// Objects of a resource known at run time, decoded as `K`.
    pub fn of_resource(client: Client, resource: Resource, namespace: Option<&str>) -> Self {
        Api {
            client,
            resource,
            namespace: namespace.map(str::to_owned),
            kind: PhantomData,
        }
    }

    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The resource this is for.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    fn collection(&self) -> String {
        self.resource.path(self.namespace.as_deref())
    }

    fn item(&self, name: &str, subresource: Option<&str>) -> Result<String> {
        if name.is_empty() {
            return Err(Error::InvalidRequest("resource name may not be empty".into()));
        }
        if self.resource.namespaced && self.namespace.as_deref().unwrap_or_default().is_empty() {
            return Err(Error::InvalidRequest(
                "an empty namespace may not be set when a resource name is provided".into(),
            ));
        }
        let mut path = self.collection();
        path.push('/');
        escape(name, &mut path);
        if let Some(subresource) = subresource {
            path.push('/');
            path.push_str(subresource);
        }
        Ok(path)
    }
}

impl<K: DeserializeOwned> Api<K> {
    /// Reads one object.
    pub async fn get(&self, name: &str) -> Result<K> {
        self.client.get(&self.item(name, None)?).await
    }

    /// Reads one object, `None` if there is none.
    pub async fn get_opt(&self, name: &str) -> Result<Option<K>> {
        match self.get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a subresource (`scale`, `status`).
    pub async fn get_subresource<O: DeserializeOwned>(&self, name: &str, subresource: &str) -> Result<O> {
        self.client.get(&self.item(name, Some(subresource))?).await
    }

    /// One page (all of them without a limit).
    pub async fn list(&self, params: &ListParams) -> Result<ObjectList<K>> {
        self.client
            .get(&format!("{}{}", self.collection(), params.query(false).as_str()))
            .await
    }

    /// Every page, 500 objects at a time.
    pub async fn list_all(&self, params: &ListParams) -> Result<Vec<K>> {
        let mut params = ListParams {
            limit: Some(params.limit.unwrap_or(500)),
            ..params.clone()
        };
        let mut items = Vec::new();
        loop {
            let page = self.list(&params).await?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|c| !c.is_empty()) {
                Some(token) => {
                    params.continue_token = Some(token);
                    params.resource_version = None;
                    params.resource_version_match = None;
                }
                None => return Ok(items),
            }
        }
    }

    /// Changes as they happen, until the server ends the request.
    pub async fn watch(&self, params: &ListParams) -> Result<BoxStream<'static, Result<WatchEvent<K>>>>
    where
        K: Send + 'static,
    {
        watch::watch(&self.client, &self.collection(), params, codec::ACCEPT).await
    }

    /// Changes one object. `subresource` is `Some("status")` and the like.
    pub async fn patch(&self, name: &str, patch: &Patch, subresource: Option<&str>) -> Result<K> {
        self.patch_with(name, patch, subresource, &PatchParams::default()).await
    }

    /// [`Api::patch`] with options.
    pub async fn patch_with(
        &self,
        name: &str,
        patch: &Patch,
        subresource: Option<&str>,
        params: &PatchParams,
    ) -> Result<K> {
        self.send_patch(&self.item(name, subresource)?, patch, params).await
    }

    /// Changes a subresource whose answer is another kind (`scale`).
    pub async fn patch_subresource<O: DeserializeOwned>(
        &self,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<O> {
        self.send_patch(&self.item(name, Some(subresource))?, patch, &PatchParams::default())
            .await
    }

    async fn send_patch<O: DeserializeOwned>(&self, path: &str, patch: &Patch, params: &PatchParams) -> Result<O> {
        let path = format!("{path}{}", params.query().as_str());
        let body = codec::encode(patch.body())?;
        let request = build(Method::PATCH, &path, codec::ACCEPT, Some(patch.content_type()), body)?;
        codec::decode(&self.client.send(request).await?)
    }

    /// Deletes one object. The answer (the object or a `Status`) is dropped.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<()> {
        let body = codec::encode(options)?;
        let request = build(
            Method::DELETE,
            &self.item(name, None)?,
            codec::ACCEPT,
            Some(codec::CONTENT_TYPE),
            body,
        )?;
        self.client.send(request).await.map(drop)
    }

    /// Deletes all objects the parameters select.
    pub async fn delete_collection(&self, options: &DeleteOptions, params: &ListParams) -> Result<()> {
        let path = format!("{}{}", self.collection(), params.query(false).as_str());
        let body = codec::encode(options)?;
        let request = build(Method::DELETE, &path, codec::ACCEPT, Some(codec::CONTENT_TYPE), body)?;
        self.client.send(request).await.map(drop)
    }

    /// Posts to a subresource (`binding`, `eviction`, `token`).
    pub async fn create_subresource<I: Serialize, O: DeserializeOwned>(
        &self,
        name: &str,
        subresource: &str,
        body: &I,
    ) -> Result<O> {
        self.client
            .exchange_json(Method::POST, &self.item(name, Some(subresource))?, body)
            .await
    }

    /// Replaces a subresource (`scale`, `finalize`).
    pub async fn update_subresource<I: Serialize, O: DeserializeOwned>(
        &self,
        name: &str,
        subresource: &str,
        body: &I,
    ) -> Result<O> {
        self.client
            .exchange_json(Method::PUT, &self.item(name, Some(subresource))?, body)
            .await
    }
}

impl<K> Api<K>
where
    K: Metadata<Ty = ObjectMeta> + Serialize + DeserializeOwned,
{
    /// Creates an object; the answer is what was stored.
    pub async fn create(&self, object: &K) -> Result<K> {
        self.client
            .exchange_json(Method::POST, &self.collection(), object)
            .await
    }

    /// Replaces an object; its resource version, when set, must be the current one.
    pub async fn update(&self, object: &K) -> Result<K> {
        let name = object.metadata().name.as_deref().unwrap_or_default();
        self.client
            .exchange_json(Method::PUT, &self.item(name, None)?, object)
            .await
    }

    /// Replaces an object's status.
    pub async fn update_status(&self, object: &K) -> Result<K> {
        let name = object.metadata().name.as_deref().unwrap_or_default();
        self.client
            .exchange_json(Method::PUT, &self.item(name, Some("status"))?, object)
            .await
    }
}

/// The API version and kind of a typed kind, for references to it.
pub fn type_of<K: k8s_openapi::Resource>() -> (&'static str, &'static str) {
    (K::API_VERSION, K::KIND)
}
