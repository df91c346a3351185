//! What the client needs to know of a kind: where its objects live and how to reach their metadata.

use std::any::TypeId;
use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use k8s_openapi::{Metadata, NamespaceResourceScope};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An object the informers can hold: every k8s-openapi kind with `ObjectMeta`, and [`PartialObjectMetadata`].
pub trait Object: Metadata<Ty = ObjectMeta> + DeserializeOwned + Clone + Send + Sync + 'static {}

impl<T> Object for T where T: Metadata<Ty = ObjectMeta> + DeserializeOwned + Clone + Send + Sync + 'static {}

/// `namespace/name`, or `name` for a cluster-scoped object. Upstream: client-go `MetaNamespaceKeyFunc`.
pub fn key_of<K: Object>(object: &K) -> String {
    let meta = object.metadata();
    key(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

/// The key of a namespace (empty for none) and a name.
pub fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

/// The namespace (empty for none) and name of a key.
pub fn split_key(key: &str) -> (&str, &str) {
    key.split_once('/').unwrap_or(("", key))
}

/// A resource type: group, version, plural name, kind and scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: Cow<'static, str>,
    /// Version in the group.
    pub version: Cow<'static, str>,
    /// Plural name as in the URL.
    pub plural: Cow<'static, str>,
    /// Kind of its objects.
    pub kind: Cow<'static, str>,
    /// Its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// A resource known by name.
    pub fn new(
        group: impl Into<Cow<'static, str>>,
        version: impl Into<Cow<'static, str>>,
        plural: impl Into<Cow<'static, str>>,
        kind: impl Into<Cow<'static, str>>,
        namespaced: bool,
    ) -> Self {
        Resource {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            kind: kind.into(),
            namespaced,
        }
    }

    /// The resource of a typed kind.
    pub fn of<K: k8s_openapi::Resource>() -> Self
    where
        K::Scope: 'static,
    {
        let namespaced = TypeId::of::<K::Scope>() == TypeId::of::<NamespaceResourceScope>();
        Resource::new(K::GROUP, K::VERSION, K::URL_PATH_SEGMENT, K::KIND, namespaced)
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// URL path of the collection, in a namespace or across all of them (`None`).
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace {
            Some(ns) if self.namespaced && !ns.is_empty() => format!("{root}/namespaces/{ns}/{}", self.plural),
            _ => format!("{root}/{}", self.plural),
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// A list answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de>"))]
pub struct ObjectList<K> {
    /// Revision of the list and where to continue.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects. `null` reads as empty.
    #[serde(default = "Vec::new", deserialize_with = "null_is_empty")]
    pub items: Vec<K>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, K: Deserialize<'de>>(d: D) -> Result<Vec<K>, D::Error> {
    Ok(Option::<Vec<K>>::deserialize(d)?.unwrap_or_default())
}

/// An object of any kind cut down to its metadata (`meta.k8s.io/v1`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PartialObjectMetadata {
    /// `PartialObjectMetadata`'s own, or the object's when the server did not transform it.
    pub api_version: String,
    /// See `api_version`.
    pub kind: String,
    /// The metadata.
    pub metadata: ObjectMeta,
}

impl k8s_openapi::Resource for PartialObjectMetadata {
    const API_VERSION: &'static str = "meta.k8s.io/v1";
    const GROUP: &'static str = "meta.k8s.io";
    const KIND: &'static str = "PartialObjectMetadata";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "";
    type Scope = NamespaceResourceScope;
}

impl Metadata for PartialObjectMetadata {
    type Ty = ObjectMeta;
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::Node;

    #[test]
    fn paths_follow_group_and_scope() {
        assert_eq!(
            Resource::of::<Deployment>().path(Some("ns")),
            "/apis/apps/v1/namespaces/ns/deployments"
        );
        assert_eq!(Resource::of::<Deployment>().path(None), "/apis/apps/v1/deployments");
        assert_eq!(Resource::of::<Node>().path(Some("ns")), "/api/v1/nodes");
        assert_eq!(split_key("a/b"), ("a", "b"));
        assert_eq!(split_key("b"), ("", "b"));
    }
}
