//! What the apiserver serves: its resources, preferred versions first. One request per root with the aggregated
//! format, one per group version with servers that do not know it.
//!
//! Upstream: client-go `discovery.DiscoveryClient` (`ServerPreferredResources`, `GroupsAndMaybeResources`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use serde::Deserialize;

use crate::client::Client;
use crate::codec;
use crate::error::Result;
use crate::object::Resource;

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// A resource and what can be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The resource.
    pub resource: Resource,
    /// Verbs it supports.
    pub verbs: Vec<String>,
    /// The version is the group's preferred one among those that have this resource.
    pub preferred: bool,
}

impl Discovered {
    /// All of the verbs are supported.
    pub fn supports(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|v| v == verb))
    }
}

/// Resources of every group version. A group that cannot be read (an aggregated API that is down) is in `failed`.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// What was found, in the server's order of groups and versions.
    pub resources: Vec<Discovered>,
    /// Group versions that could not be read, and why.
    pub failed: Vec<(String, String)>,
}

impl Discovery {
    /// Each resource once, in its preferred version.
    pub fn preferred(&self) -> impl Iterator<Item = &Discovered> {
        self.resources.iter().filter(|r| r.preferred)
    }

    /// The resource of a kind in a group version.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Discovered> {
        self.resources
            .iter()
            .find(|r| r.resource.kind == kind && r.resource.api_version() == api_version)
    }

    fn mark_preferred(&mut self) {
        // The server lists preferred versions first, so the first one that has the resource wins.
        let mut seen = std::collections::HashSet::new();
        for found in &mut self.resources {
            found.preferred = seen.insert((found.resource.group.clone(), found.resource.plural.clone()));
        }
    }
}

/// Asks the apiserver.
pub async fn discover(client: &Client) -> Result<Discovery> {
    let mut discovery = Discovery::default();
    for root in ["/api", "/apis"] {
        let bytes = client.get_bytes(root, ACCEPT).await?;
        match codec::decode::<Aggregated>(&bytes) {
            Ok(list) if list.kind == "APIGroupDiscoveryList" => aggregated(list, &mut discovery),
            _ if root == "/api" => legacy_group(client, "", "v1", &mut discovery).await,
            _ => {
                let groups: APIGroupList = codec::decode(&bytes)?;
                for group in groups.groups {
                    let preferred = group
                        .preferred_version
                        .as_ref()
                        .map(|v| v.version.clone())
                        .unwrap_or_default();
                    let mut versions: Vec<String> = group.versions.into_iter().map(|v| v.version).collect();
                    versions.sort_by_key(|v| *v != preferred);
                    for version in versions {
                        legacy_group(client, &group.name, &version, &mut discovery).await;
                    }
                }
            }
        }
    }
    discovery.mark_preferred();
    Ok(discovery)
}

#[derive(Deserialize)]
struct Aggregated {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    items: Vec<AggregatedGroup>,
}

#[derive(Deserialize)]
struct AggregatedGroup {
    metadata: AggregatedMeta,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Deserialize)]
struct AggregatedMeta {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct AggregatedVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    resource: String,
    #[serde(default)]
    response_kind: AggregatedKind,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Default, Deserialize)]
struct AggregatedKind {
    #[serde(default)]
    kind: String,
}

fn aggregated(list: Aggregated, discovery: &mut Discovery) {
    for group in list.items {
        for version in group.versions {
            if version.freshness == "Stale" {
                let name = format!("{}/{}", group.metadata.name, version.version);
                discovery.failed.push((name, "stale".to_owned()));
            }
            for resource in version.resources {
                let namespaced = resource.scope == "Namespaced";
                discovery.resources.push(Discovered {
                    resource: Resource::new(
                        group.metadata.name.clone(),
                        version.version.clone(),
                        resource.resource,
                        resource.response_kind.kind,
                        namespaced,
                    ),
                    verbs: resource.verbs,
                    preferred: false,
                });
            }
        }
    }
}

async fn legacy_group(client: &Client, group: &str, version: &str, discovery: &mut Discovery) {
    let path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let list: APIResourceList = match client.get(&path).await {
        Ok(list) => list,
        Err(error) => {
            discovery.failed.push((format!("{group}/{version}"), error.chain()));
            return;
        }
    };
    for resource in list.resources.into_iter().filter(|r| !r.name.contains('/')) {
        discovery.resources.push(Discovered {
            resource: Resource::new(
                group.to_owned(),
                version.to_owned(),
                resource.name,
                resource.kind,
                resource.namespaced,
            ),
            verbs: resource.verbs,
            preferred: false,
        });
    }
}
