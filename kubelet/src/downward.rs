//! Values of a pod that it can ask for itself, in variables and files: `fieldRef` and
//! `resourceFieldRef` (upstream: pkg/fieldpath, pkg/api/v1/resource helpers.go).

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use crate::pods::{PodExt, find_container};

/// Addresses a pod can ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses {
    pub(crate) pod_ips: Vec<String>,
    pub(crate) host_ips: Vec<String>,
}

/// Milli-CPUs and bytes the node can give to pods; limits that are not set count as these.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allocatable {
    pub(crate) milli_cpu: i64,
    pub(crate) memory: i64,
    pub(crate) ephemeral: i64,
}

/// The value of a field path.
pub(crate) fn field(pod: &Pod, path: &str, addresses: &Addresses) -> Result<String, String> {
    let metadata = &pod.metadata;
    let entry = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default()
    };
    if let Some((map, key)) = subscript(path) {
        return match map {
            "metadata.labels" => Ok(entry(&metadata.labels, key)),
            "metadata.annotations" => Ok(entry(&metadata.annotations, key)),
            _ => Err(format!("fieldPath \"{path}\" does not support subscript")),
        };
    }
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    let account = || {
        let spec = pod.spec();
        spec.service_account_name
            .clone()
            .or_else(|| spec.service_account.clone())
    };
    Ok(match path {
        "metadata.name" => pod.name().to_owned(),
        "metadata.namespace" => pod.namespace().to_owned(),
        "metadata.uid" => pod.uid().to_owned(),
        "metadata.labels" => format_map(metadata.labels.as_ref()),
        "metadata.annotations" => format_map(metadata.annotations.as_ref()),
        "spec.nodeName" => pod.spec().node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => account().unwrap_or_default(),
        "status.hostIP" => first(&addresses.host_ips),
        "status.hostIPs" => addresses.host_ips.join(","),
        "status.podIP" => first(&addresses.pod_ips),
        "status.podIPs" => addresses.pod_ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// `metadata.labels['x']` as map and key.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// Lines `key="value"`, sorted, values quoted as Go's `%q`.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", go_quote(v)))
        .collect();
    lines.join("\n")
}

fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                quoted.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The value of a resource of a container, in units of the divisor, rounded up.
pub(crate) fn resource(
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
    node: Allocatable,
) -> Result<String, String> {
    let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let found;
    let container = match (named, own) {
        (Some(name), _) => {
            found = find_container(pod, name).ok_or_else(|| format!("container {name} not found"))?;
            &found
        }
        (None, Some(own)) => own,
        (None, None) => return Err("container name is required".to_owned()),
    };
    let divisor = selector
        .divisor
        .as_ref()
        .and_then(|d| Quantity::from_api(d).ok())
        .filter(|d| !d.is_zero());
    let (list, name) = selector
        .resource
        .split_once('.')
        .ok_or_else(|| format!("unsupported container resource : {}", selector.resource))?;
    let amount = |limits: bool| {
        let resources = container.resources.as_ref()?;
        let list = if limits {
            resources.limits.as_ref()
        } else {
            resources.requests.as_ref()
        };
        Quantity::from_api(list?.get(name)?).ok().filter(|q| !q.is_zero())
    };
    let limits = list == "limits";
    let quantity = amount(limits);
    if name == "cpu" {
        let milli = quantity.map_or(if limits { node.milli_cpu } else { 0 }, |q| q.milli_value());
        let divisor = divisor.map_or(1000, |d| d.milli_value());
        return Ok(ceil_div(milli, divisor).to_string());
    }
    let fallback = match (limits, name) {
        (true, "memory") => node.memory,
        (true, "ephemeral-storage") => node.ephemeral,
        _ => 0,
    };
    let bytes = quantity.map_or(fallback, |q| q.value());
    Ok(ceil_div(bytes, divisor.map_or(1, |d| d.value())).to_string())
}

fn ceil_div(value: i64, divisor: i64) -> i64 {
    let divisor = divisor.max(1);
    value / divisor + i64::from(value % divisor > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u",
                "labels": {"b": "2", "a": "say \"hi\""}, "annotations": {"x/y": "z"}},
            "spec": {"nodeName": "node", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "33Mi"}}},
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn fields_and_maps_read_as_upstream_formats_them() {
        let (pod, none) = (pod(), Addresses::default());
        assert_eq!(
            field(&pod, "metadata.labels", &none).unwrap(),
            "a=\"say \\\"hi\\\"\"\nb=\"2\""
        );
        assert_eq!(field(&pod, "metadata.annotations['x/y']", &none).unwrap(), "z");
        assert_eq!(field(&pod, "metadata.labels['nope']", &none).unwrap(), "");
        assert!(field(&pod, "spec.containers", &none).is_err());
    }

    #[test]
    fn resources_round_up_and_fall_back_to_the_node() {
        let pod = pod();
        let node = Allocatable {
            milli_cpu: 2000,
            memory: 1 << 30,
            ephemeral: 0,
        };
        let get = |resource: &str, divisor: Option<&str>| {
            let selector: ResourceFieldSelector =
                serde_json::from_value(json!({"resource": resource, "containerName": "c", "divisor": divisor}))
                    .unwrap();
            super::resource(&pod, None, &selector, node).unwrap()
        };
        assert_eq!(get("limits.cpu", None), "2");
        assert_eq!(get("limits.cpu", Some("1m")), "1500");
        assert_eq!(get("requests.memory", Some("1Mi")), "33");
        assert_eq!(get("limits.memory", None), (1u64 << 30).to_string());
        assert_eq!(get("requests.cpu", None), "0");
    }
}
