//! Names of groups, versions, kinds and resources (upstream: apimachinery `runtime/schema/group_version.go`).

use std::borrow::Cow;
use std::fmt;

/// A string that is a literal for built-in names and owned for names learned at run time.
pub type Name = Cow<'static, str>;

/// An API group and version, as in an object's `apiVersion`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersion {
    /// Group; empty for the core group.
    pub group: Name,
    /// Version such as `v1` or `v2beta1`.
    pub version: Name,
}

/// A group, a version and a kind: the type of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// Group; empty for the core group.
    pub group: Name,
    /// Version such as `v1`.
    pub version: Name,
    /// Kind in CamelCase, such as `Pod`.
    pub kind: Name,
}

/// A group, a version and a resource: the collection a request is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionResource {
    /// Group; empty for the core group.
    pub group: Name,
    /// Version such as `v1`.
    pub version: Name,
    /// Plural lower-case resource name, such as `pods`.
    pub resource: Name,
}

/// A group and a resource, whatever the version. What errors and RBAC speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// Group; empty for the core group.
    pub group: Name,
    /// Plural lower-case resource name, such as `pods`.
    pub resource: Name,
}

/// A group and a kind, whatever the version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// Group; empty for the core group.
    pub group: Name,
    /// Kind in CamelCase, such as `Pod`.
    pub kind: Name,
}

// === impl GroupVersion ===

impl GroupVersion {
    /// Builds a group and version.
    pub fn new(group: impl Into<Name>, version: impl Into<Name>) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
        }
    }

    /// Parses an `apiVersion`: `v1` or `apps/v1`. The empty string and `/` are the empty group version.
    ///
    /// # Errors
    /// Upstream's text when there is more than one slash.
    pub fn parse(api_version: &str) -> Result<Self, String> {
        if api_version.is_empty() || api_version == "/" {
            return Ok(Self::default());
        }
        let mut parts = api_version.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(version), None, _) => Ok(Self::new("", version.to_owned())),
            (Some(group), Some(version), None) => Ok(Self::new(group.to_owned(), version.to_owned())),
            _ => Err(format!("unexpected GroupVersion string: {api_version}")),
        }
    }

    /// This group version with a kind.
    pub fn with_kind(&self, kind: impl Into<Name>) -> GroupVersionKind {
        GroupVersionKind {
            group: self.group.clone(),
            version: self.version.clone(),
            kind: kind.into(),
        }
    }

    /// Whether both parts are empty.
    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.version.is_empty()
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.version)
        } else {
            write!(f, "{}/{}", self.group, self.version)
        }
    }
}

// === impl GroupVersionKind ===

impl GroupVersionKind {
    /// Builds a group, version and kind.
    pub fn new(group: impl Into<Name>, version: impl Into<Name>, kind: impl Into<Name>) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// Parses an `apiVersion` and adds the kind.
    ///
    /// # Errors
    /// When the `apiVersion` has more than one slash.
    pub fn from_api_version(api_version: &str, kind: &str) -> Result<Self, String> {
        Ok(GroupVersion::parse(api_version)?.with_kind(kind.to_owned()))
    }

    /// The `apiVersion` of an object of this kind.
    pub fn api_version(&self) -> String {
        self.group_version().to_string()
    }

    /// The group and version.
    pub fn group_version(&self) -> GroupVersion {
        GroupVersion {
            group: self.group.clone(),
            version: self.version.clone(),
        }
    }
}

impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

// === impl GroupVersionResource ===

impl GroupVersionResource {
    /// Builds a group, version and resource.
    pub fn new(group: impl Into<Name>, version: impl Into<Name>, resource: impl Into<Name>) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
        }
    }

    /// The group and version.
    pub fn group_version(&self) -> GroupVersion {
        GroupVersion {
            group: self.group.clone(),
            version: self.version.clone(),
        }
    }

    /// The group and resource.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource {
            group: self.group.clone(),
            resource: self.resource.clone(),
        }
    }
}

impl fmt::Display for GroupVersionResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Resource={}", self.group, self.version, self.resource)
    }
}

// === impl GroupResource ===

impl GroupResource {
    /// Builds a group and resource.
    pub fn new(group: impl Into<Name>, resource: impl Into<Name>) -> Self {
        Self {
            group: group.into(),
            resource: resource.into(),
        }
    }

    /// Parses `deployments.apps` (first dot splits) or `pods`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('.') {
            Some((resource, group)) => Self::new(group.to_owned(), resource.to_owned()),
            None => Self::new("", text.to_owned()),
        }
    }

    /// Whether both parts are empty.
    pub fn is_empty(&self) -> bool {
        self.group.is_empty() && self.resource.is_empty()
    }

    /// This resource at a version.
    pub fn with_version(&self, version: impl Into<Name>) -> GroupVersionResource {
        GroupVersionResource {
            group: self.group.clone(),
            version: version.into(),
            resource: self.resource.clone(),
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.resource, &self.group)
    }
}

// === impl GroupKind ===

impl GroupKind {
    /// Builds a group and kind.
    pub fn new(group: impl Into<Name>, kind: impl Into<Name>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// This kind at a version.
    pub fn with_version(&self, version: impl Into<Name>) -> GroupVersionKind {
        GroupVersionKind {
            group: self.group.clone(),
            version: version.into(),
            kind: self.kind.clone(),
        }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.kind, &self.group)
    }
}

fn dotted(f: &mut fmt::Formatter<'_>, head: &str, group: &str) -> fmt::Result {
    if group.is_empty() {
        f.write_str(head)
    } else {
        write!(f, "{head}.{group}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_are_upstreams() {
        assert_eq!(
            GroupResource::new("apps", "deployments").to_string(),
            "deployments.apps"
        );
        assert_eq!(GroupKind::new("", "Pod").to_string(), "Pod");
        assert_eq!(
            GroupVersionKind::new("apps", "v1", "Deployment").to_string(),
            "apps/v1, Kind=Deployment"
        );
        assert_eq!(GroupVersion::parse("apps/v1").unwrap().to_string(), "apps/v1");
        assert_eq!(GroupVersion::parse("v1").unwrap(), GroupVersion::new("", "v1"));
        assert_eq!(
            GroupVersion::parse("a/b/c").unwrap_err(),
            "unexpected GroupVersion string: a/b/c"
        );
    }
}
