//! Which providers a key of etcd has.
//!
//! Upstream: `encryptionconfig/config.go` `getTransformerOverridesAndKMSPluginProbes`, `transformerFromOverrides`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::gvk::GroupResource;
use tokio_util::sync::CancellationToken;

use super::chain::{Chain, Provider};
use super::config::{self, Configuration, Kms};
use super::keys::{KeyRing, Kind};
use super::kms::Envelope;
use super::kms::plugin::Plugin;
use super::kms::probe::Probe;
use crate::resources;

/// A provider with what its values begin with.
type Prefixed = (Vec<u8>, Arc<Provider>);

/// The chain of every resource.
pub(super) struct Rules {
    chains: HashMap<GroupResource, Arc<Chain>>,
    plain: Arc<Chain>,
}

impl Rules {
    /// The chain of the resource that a path below the prefix of etcd belongs to. What is no resource of the API (the
    /// ranges of Services, the leases of servers) is kept plain: no migration could write it again.
    pub(super) fn at(&self, path: &str) -> &Arc<Chain> {
        match resource_at(path) {
            Some((group, resource)) => self.of(group, resource),
            None => &self.plain,
        }
    }

    fn of(&self, group: &str, resource: &str) -> &Arc<Chain> {
        let find = |group: &str, resource: &str| self.chains.get(&gr(group, resource));
        find(group, resource)
            .or_else(|| find(group, "*"))
            .or_else(|| find("*", "*"))
            .unwrap_or(&self.plain)
    }
}

fn gr(group: &str, resource: &str) -> GroupResource {
    GroupResource::new(group.to_owned(), resource.to_owned())
}

/// Group and resource of a path: of the table, or a custom resource, whose group is a domain.
pub(super) fn resource_at(path: &str) -> Option<(&str, &str)> {
    if let Some(known) = resources::stored_at(path) {
        return Some(known);
    }
    let mut words = path.split('/');
    let (group, resource) = (words.next()?, words.next()?);
    words.next()?;
    group.contains('.').then_some((group, resource))
}

/// What a configuration makes.
pub(super) struct Built {
    pub(super) rules: Rules,
    /// Its plugins, looked after until the token is cancelled.
    pub(super) probes: Vec<Arc<Probe>>,
    /// The time limits of all plugins together.
    pub(super) timeouts: Duration,
}

/// Makes the chains of a configuration that was checked, for the server with this hash of its identity. Plugins are asked
/// how they are, which takes as long as they take; it is no error if they are not there yet.
///
/// # Errors
/// Upstream's texts: a rule that can never count, a provider that is not offered.
pub(super) async fn build(
    configuration: &Configuration,
    kms_v1: bool,
    server: &str,
    stop: &CancellationToken,
) -> Result<Built, String> {
    let mut all: HashMap<GroupResource, Vec<Prefixed>> = HashMap::new();
    let (mut probes, mut timeouts) = (vec![], Duration::ZERO);
    for list in &configuration.resources {
        let mut providers = vec![];
        for one in &list.providers {
            if let Some(kms) = &one.kms {
                let (provider, probe) = plugin(kms, kms_v1, server, stop).await?;
                providers.push(provider);
                probes.push(probe);
                timeouts += timeout(kms);
            } else {
                providers.push(provider(one)?);
            }
        }
        for name in &list.resources {
            let resource = GroupResource::parse(name);
            for wild in [gr(&resource.group, "*"), gr("*", "*")] {
                if all.contains_key(&wild) {
                    return Err(format!(
                        "resource {:?} is masked by earlier rule {:?}",
                        spelled(&resource),
                        spelled(&wild)
                    ));
                }
            }
            all.entry(resource).or_default().extend(providers.iter().cloned());
        }
    }
    let chains = all
        .into_iter()
        .map(|(resource, chain)| (resource, Arc::new(Chain::new(chain))));
    let rules = Rules {
        chains: chains.collect(),
        plain: Arc::new(Chain::plain()),
    };
    Ok(Built {
        rules,
        probes,
        timeouts,
    })
}

/// As it stands in a file (upstream `grYAMLString`).
fn spelled(resource: &GroupResource) -> String {
    if resource.group.is_empty() && resource.resource == "*" {
        "*.".to_owned()
    } else {
        resource.to_string()
    }
}

fn provider(one: &config::Provider) -> Result<Prefixed, String> {
    let with_keys = |kind: Kind, keys: &config::Keys| {
        let ring = KeyRing::new(kind, &keys.keys).map_err(|why| why.to_string())?;
        Ok((kind.prefix().to_vec(), Arc::new(Provider::Keys(ring))))
    };
    if let Some(keys) = &one.aesgcm {
        with_keys(Kind::Gcm, keys)
    } else if let Some(keys) = &one.aescbc {
        with_keys(Kind::Cbc, keys)
    } else if let Some(keys) = &one.secretbox {
        with_keys(Kind::Secretbox, keys)
    } else {
        Ok((vec![], Arc::new(Provider::Identity)))
    }
}

fn timeout(kms: &Kms) -> Duration {
    Duration::from_nanos(kms.timeout.0.unsigned_abs())
}

async fn plugin(kms: &Kms, v1: bool, server: &str, stop: &CancellationToken) -> Result<(Prefixed, Arc<Probe>), String> {
    if kms.api_version != "v2" {
        return Err(if v1 {
            format!(
                "could not configure KMS plugin {:?}, KMSv1 is not offered by this server",
                kms.name
            )
        } else {
            "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  Set --feature-gates=KMSv1=true to use the deprecated KMSv1 feature.".to_owned()
        });
    }
    let plugin = Plugin::new(&kms.name, &kms.endpoint, timeout(kms))
        .map_err(|why| format!("could not configure KMSv2-Plugin's probe {:?}, error: {why}", kms.name))?;
    let probe = Arc::new(Probe::new(plugin, server));
    // The first key, before anything is written; errors are for the one who looks after it.
    let _ = probe.check().await;
    let (looked_after, stop) = (probe.clone(), stop.clone());
    tokio::spawn(async move { looked_after.look_after(stop).await });
    let prefix = format!("k8s:enc:kms:v2:{}:", kms.name);
    let provider = Provider::Kms(Arc::new(Envelope::new(probe.clone())));
    Ok(((prefix.into_bytes(), Arc::new(provider)), probe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_resource() {
        for (path, want) in [
            ("secrets/ns/a", Some(("", "secrets"))),
            ("deployments/ns/a", Some(("apps", "deployments"))),
            ("services/specs/ns/a", Some(("", "services"))),
            ("events/ns/a", Some(("", "events"))),
            ("example.com/pandas/ns/a", Some(("example.com", "pandas"))),
            (
                "apiregistration.k8s.io/apiservices/v1.",
                Some(("apiregistration.k8s.io", "apiservices")),
            ),
            ("ranges/serviceips", None),
            ("masterleases/10.0.0.1", None),
            ("example.com/odd", None),
            ("", None),
        ] {
            assert_eq!(resource_at(path), want, "{path}");
        }
    }
}
