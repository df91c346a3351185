//! Configurations of kubelets that nodes of old name (`validateNodeConfigSourceSpec`, `validateNodeConfigStatus`).

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::validation::is_config_map_key;
use k8s_openapi::api::core::v1::{ConfigMapNodeConfigSource, Node, NodeConfigSource};

use crate::check::{dns_label, dns_subdomain, invalid_each, required, text};
use crate::internal::shown;

/// What a node should use, and what it says it uses.
pub(super) fn configurations(errs: &mut ErrorList, obj: &Node) {
    if let Some(wanted) = obj.spec.as_ref().and_then(|s| s.config_source.as_ref()) {
        let path = Path::new("spec").child("configSource");
        source(errs, wanted, &path, |errs, map, path| {
            for (field, value) in [
                ("uid", text(&map.uid)),
                ("resourceVersion", text(&map.resource_version)),
            ] {
                if !value.is_empty() {
                    let rule = format!("{field} must not be set in spec");
                    errs.push(Error::forbidden(&path.child(field), rule));
                }
            }
        });
    }
    let Some(used) = obj.status.as_ref().and_then(|s| s.config.as_ref()) else {
        return;
    };
    let path = Path::new("status").child("config");
    for (field, one) in [
        ("assigned", &used.assigned),
        ("active", &used.active),
        ("lastKnownGood", &used.last_known_good),
    ] {
        if let Some(one) = one {
            source(errs, one, &path.child(field), |errs, map, path| {
                required(errs, &path.child("uid"), text(&map.uid));
                required(errs, &path.child("resourceVersion"), text(&map.resource_version));
            });
        }
    }
}

/// A source is a ConfigMap; `version` checks which one of its versions.
fn source(
    errs: &mut ErrorList,
    source: &NodeConfigSource,
    path: &Path,
    version: impl Fn(&mut ErrorList, &ConfigMapNodeConfigSource, &Path),
) {
    let Some(map) = &source.config_map else {
        let rule = "exactly one reference subfield must be non-nil";
        errs.push(Error::invalid(path, shown("core.NodeConfigSource", source), rule));
        return;
    };
    let path = path.child("configMap");
    version(errs, map, &path);
    let named = |errs: &mut ErrorList, field: &str, value: &str, rule: fn(&mut ErrorList, &Path, &str)| {
        let path = path.child(field);
        if value.is_empty() {
            errs.push(Error::required(&path, ""));
        } else {
            rule(errs, &path, value);
        }
    };
    named(errs, "namespace", &map.namespace, dns_label);
    named(errs, "name", &map.name, dns_subdomain);
    named(errs, "kubeletConfigKey", &map.kubelet_config_key, |errs, path, key| {
        invalid_each(errs, path, key, is_config_map_key(key));
    });
}
