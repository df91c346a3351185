//! Flags of the store: where the objects are, and in which form.
//!
//! Upstream: `apiserver/pkg/server/options/etcd.go`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use component::flags::Values;

use crate::registry::Settings;
use crate::registry::codec::Form;
use crate::storage::etcd::TlsFiles;
use crate::storage::memory::Memory;
use crate::storage::{Storage as _, encryption};

/// Where the objects are kept.
#[derive(Debug, Clone)]
pub(crate) enum StorageOptions {
    /// `--etcd-servers` and its TLS files.
    Etcd {
        /// Endpoints.
        servers: Vec<String>,
        /// Certificates.
        tls: TlsFiles,
        /// `--lease-reuse-duration-seconds`.
        lease_reuse: Duration,
    },
    /// In this process, forgotten at exit: for tests.
    Memory(InMemory),
}

/// Objects in this process, which outlive the servers over them: for tests.
#[derive(Clone, Default)]
pub struct InMemory(pub(crate) Memory);

impl InMemory {
    /// What is stored under a key.
    pub async fn stored(&self, key: &str) -> Option<Vec<u8>> {
        // The memory has no errors.
        let (kv, _) = self.0.get(key).await.ok()?;
        kv.map(|kv| kv.value.to_vec())
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

/// Other servers for the objects of a resource (`--etcd-servers-overrides`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    /// API group, empty for core.
    pub(crate) group: String,
    /// Plural name.
    pub(crate) resource: String,
    /// Endpoints.
    pub(crate) servers: Vec<String>,
}

impl StorageOptions {
    pub(super) fn from_values(v: &Values, errors: &mut Vec<String>) -> Self {
        let path = |name: &str| v.non_empty(name).map(PathBuf::from);
        let servers = v.strings("etcd-servers");
        if servers.is_empty() {
            errors.push("--etcd-servers must be specified".to_owned());
        }
        if let Some(backend) = v.non_empty("storage-backend").filter(|b| b != "etcd3") {
            errors.push(format!("--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3' (got {backend:?})"));
        }
        let media = v.string("storage-media-type");
        if Form::of(&media).is_none() {
            errors.push(format!(
                "--storage-media-type {media:?} invalid, allowed values: application/json, application/vnd.kubernetes.protobuf, application/yaml"
            ));
        }
        let tls = TlsFiles {
            ca: path("etcd-cafile"),
            cert: path("etcd-certfile"),
            key: path("etcd-keyfile"),
        };
        // A negative duration is none at all.
        let lease_reuse = u64::try_from(v.int("lease-reuse-duration-seconds")).unwrap_or(0);
        StorageOptions::Etcd {
            servers,
            tls,
            lease_reuse: Duration::from_secs(lease_reuse),
        }
    }
}

/// What the flags say of every store.
pub(super) fn settings(v: &Values) -> Settings {
    Settings {
        form: Form::of(&v.string("storage-media-type")).unwrap_or_default(),
        delete_workers: usize::try_from(v.int("delete-collection-workers")).unwrap_or(1),
        garbage_collector: v.bool("enable-garbage-collector"),
    }
}

/// Where the configuration of encryption is, if it is asked for.
pub(super) fn encryption(
    v: &Values,
    features: &BTreeMap<String, String>,
    errors: &mut Vec<String>,
) -> Option<encryption::Options> {
    let path = v.non_empty("encryption-provider-config").map(PathBuf::from);
    let reload = v.bool("encryption-provider-config-automatic-reload");
    if path.is_none() && reload {
        errors.push(
            "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config".to_owned(),
        );
    }
    Some(encryption::Options {
        path: path?,
        reload,
        kms_v1: component::features::enabled(features, "KMSv1"),
    })
}

/// Group and resource of those whose size in `--watch-cache-sizes` is 0 (upstream `ParseWatchCacheSizes`); other sizes
/// say nothing.
pub(super) fn uncached(v: &Values, errors: &mut Vec<String>) -> Vec<(String, String)> {
    let mut all = vec![];
    for text in v.strings("watch-cache-sizes") {
        let parts: Vec<&str> = text.split('#').collect();
        let [resource, size] = parts[..] else {
            errors.push(format!("invalid value of watch cache size: {text}"));
            continue;
        };
        match size.parse::<i64>() {
            Err(_) => errors.push(format!("invalid size of watch cache size: {text}")),
            Ok(..=-1) => errors.push(format!("watch cache size cannot be negative: {text}")),
            Ok(0) => {
                let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
                all.push((group.to_owned(), resource.to_owned()));
            }
            Ok(_) => tracing::warn!("Dropping watch-cache-size for {resource} - watchCache size is now dynamic"),
        }
    }
    all
}

/// Reads `group/resource#servers` texts; malformed ones go to `errors`.
pub(super) fn overrides(v: &Values, errors: &mut Vec<String>) -> Vec<Override> {
    let texts = v.strings("etcd-servers-overrides");
    let parsed = texts.iter().filter_map(|text| {
        let parsed = parse(text);
        if parsed.is_none() {
            errors.push("--etcd-servers-overrides invalid, must be of format: group/resource#servers, where servers are URLs, semicolon separated".to_owned());
        }
        parsed
    });
    parsed.collect()
}

fn parse(text: &str) -> Option<Override> {
    let [place, servers] = text.split('#').collect::<Vec<_>>()[..] else {
        return None;
    };
    let [group, resource] = place.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(Override {
        group: group.to_owned(),
        resource: resource.to_owned(),
        servers: servers.split(';').map(str::to_owned).collect(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_is_read_again_must_be_given() {
        let read = |args: &[&str]| {
            let mut errors = vec![];
            let values = crate::options::table().parse(args.iter().copied()).unwrap();
            let options = encryption(&values, &BTreeMap::new(), &mut errors);
            (options.map(|o| (o.path.display().to_string(), o.reload)), errors)
        };
        const RELOAD: &str = "--encryption-provider-config-automatic-reload";
        assert_eq!(read(&[]), (None, vec![]));
        let both = read(&["--encryption-provider-config=/e", RELOAD]);
        assert_eq!(both, (Some(("/e".to_owned(), true)), vec![]));
        let why = format!("{RELOAD} must be set with --encryption-provider-config");
        assert_eq!(read(&[RELOAD]), (None, vec![why]));
    }

    #[test]
    fn an_unknown_media_type_is_refused() {
        let values = crate::options::table()
            .parse(["--etcd-servers=http://a", "--storage-media-type=foo"])
            .unwrap();
        let mut errors = vec![];
        StorageOptions::from_values(&values, &mut errors);
        assert_eq!(
            errors,
            [
                "--storage-media-type \"foo\" invalid, allowed values: application/json, application/vnd.kubernetes.protobuf, application/yaml"
            ]
        );
    }

    #[test]
    fn malformed_sizes_of_watch_caches_are_refused() {
        for (text, want) in [
            ("pods", "invalid value of watch cache size: pods"),
            ("pods#a", "invalid size of watch cache size: pods#a"),
            ("pods#-1", "watch cache size cannot be negative: pods#-1"),
        ] {
            let flag = format!("--watch-cache-sizes={text}");
            let values = crate::options::table().parse([flag]).unwrap();
            let mut errors = vec![];
            uncached(&values, &mut errors);
            assert_eq!(errors, [want]);
        }
    }

    #[test]
    fn overrides_name_a_resource_and_its_servers() {
        let events = parse("/events#https://a:2379;https://b:2379").unwrap();
        assert_eq!((events.group.as_str(), events.resource.as_str()), ("", "events"));
        assert_eq!(events.servers, ["https://a:2379", "https://b:2379"]);
        for bad in ["x", "events#a", "a/b/c#d", "a/b#c#d"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
