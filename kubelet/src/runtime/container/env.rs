//! Environment of a container (upstream: kubelet_pods.go `makeEnvironmentVariables`,
//! pkg/kubelet/envvars, third_party/forked/golang/expansion).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, Service};

use crate::downward::{self, Addresses, Allocatable};
use crate::pods::PodExt;
use crate::volumes::objects::Objects;

/// What variables can be made of besides the pod itself.
pub(crate) struct Sources<'a> {
    pub(crate) objects: &'a Objects,
    /// Services visible to the pod.
    pub(crate) services: &'a [Arc<Service>],
    pub(crate) addresses: &'a Addresses,
    pub(crate) allocatable: Allocatable,
}

/// The container's variables in order, the spec's before those of services.
pub(crate) async fn environment(
    pod: &Pod,
    container: &Container,
    sources: &Sources<'_>,
) -> Result<Vec<(String, String)>, String> {
    let mut services = service_variables(sources.services);
    let mut result: Vec<(String, String)> = Vec::new();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |known: &mut BTreeMap<String, String>, name: String, value: String| {
        services.retain(|(service, _)| *service != name);
        match result.iter_mut().find(|(existing, _)| *existing == name) {
            Some(entry) => entry.1.clone_from(&value),
            None => result.push((name.clone(), value.clone())),
        }
        known.insert(name, value);
    };
    let all_services: BTreeMap<String, String> = service_variables(sources.services).into_iter().collect();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let data: BTreeMap<String, Vec<u8>> = if let Some(source) = &from.config_map_ref {
            let found = sources.objects.config_map(pod.namespace(), &source.name).await?;
            match found {
                Some(map) => map
                    .data
                    .iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), v.clone().into_bytes()))
                    .collect(),
                None if source.optional == Some(true) => continue,
                None => return Err(not_found("configmap", &source.name)),
            }
        } else if let Some(source) = &from.secret_ref {
            match sources.objects.secret(pod.namespace(), &source.name).await? {
                Some(secret) => secret
                    .data
                    .iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), v.0.clone()))
                    .collect(),
                None if source.optional == Some(true) => continue,
                None => return Err(not_found("secret", &source.name)),
            }
        } else {
            continue;
        };
        for (key, value) in data {
            let name = format!("{prefix}{key}");
            if valid_name(&name) {
                set(&mut known, name, String::from_utf8_lossy(&value).into_owned());
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => Some(expand(value, &|name| {
                known.get(name).or_else(|| all_services.get(name)).cloned()
            })),
            (_, Some(_)) => from_source(pod, container, variable, sources).await?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            set(&mut known, variable.name.clone(), value);
        }
    }
    result.extend(services);
    Ok(result)
}

/// The value behind `valueFrom`; `None` leaves the variable out.
async fn from_source(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    sources: &Sources<'_>,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(None);
    };
    let namespace = pod.namespace();
    if let Some(field) = &from.field_ref {
        return downward::field(pod, &field.field_path, sources.addresses).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return downward::resource(pod, Some(container), resource, sources.allocatable).map(Some);
    }
    if let Some(key) = &from.config_map_key_ref {
        let optional = key.optional == Some(true);
        let Some(map) = sources.objects.config_map(namespace, &key.name).await? else {
            return if optional {
                Ok(None)
            } else {
                Err(not_found("configmap", &key.name))
            };
        };
        return match map.data.as_ref().and_then(|d| d.get(&key.key)) {
            Some(value) => Ok(Some(value.clone())),
            None if optional => Ok(None),
            None => Err(format!(
                "couldn't find key {} in ConfigMap {namespace}/{}",
                key.key, key.name
            )),
        };
    }
    if let Some(key) = &from.secret_key_ref {
        let optional = key.optional == Some(true);
        let Some(secret) = sources.objects.secret(namespace, &key.name).await? else {
            return if optional {
                Ok(None)
            } else {
                Err(not_found("secret", &key.name))
            };
        };
        return match secret.data.as_ref().and_then(|d| d.get(&key.key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None if optional => Ok(None),
            None => Err(format!(
                "couldn't find key {} in Secret {namespace}/{}",
                key.key, key.name
            )),
        };
    }
    Ok(None)
}

fn not_found(kind: &str, name: &str) -> String {
    format!("{kind} \"{name}\" not found")
}

/// Printable ASCII without `=` (RelaxedEnvironmentVariableValidation).
fn valid_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=')
}

/// Replaces `$(NAME)`; `$$` is a dollar; what is not known stays as it is.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => result.push_str(&value),
                None => {
                    result.push_str("$(");
                    result.push_str(name);
                    result.push(')');
                }
            }
            rest = after;
        } else {
            result.push('$');
        }
    }
    result.push_str(rest);
    result
}

/// Variables that tell where services are (upstream: envvars.go `FromServices`).
fn service_variables(services: &[Arc<Service>]) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for service in services {
        let Some(spec) = &service.spec else { continue };
        let ip = spec.cluster_ip.as_deref().unwrap_or_default();
        let ports = spec.ports.as_deref().unwrap_or_default();
        if ip.is_empty() || ip == "None" || ports.is_empty() {
            continue;
        }
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let name = name.to_uppercase().replace('-', "_");
        let host = if ip.contains(':') {
            format!("[{ip}]")
        } else {
            ip.to_owned()
        };
        let mut add = |key: String, value: String| variables.push((key, value));
        add(format!("{name}_SERVICE_HOST"), ip.to_owned());
        add(format!("{name}_SERVICE_PORT"), ports[0].port.to_string());
        for port in ports {
            if let Some(port_name) = port.name.as_deref().filter(|n| !n.is_empty()) {
                let port_name = port_name.to_uppercase().replace('-', "_");
                add(format!("{name}_SERVICE_PORT_{port_name}"), port.port.to_string());
            }
        }
        for (index, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
            if index == 0 {
                add(format!("{name}_PORT"), url.clone());
            }
            let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
            add(prefix.clone(), url);
            add(format!("{prefix}_PROTO"), protocol.to_lowercase());
            add(format!("{prefix}_PORT"), port.port.to_string());
            add(format!("{prefix}_ADDR"), ip.to_owned());
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn expansion_follows_the_published_rules() {
        let lookup = |name: &str| (name == "A").then(|| "x".to_owned());
        for (text, expected) in [
            ("$(A)-$(A)", "x-x"),
            ("$$(A)", "$(A)"),
            ("$(B) stays", "$(B) stays"),
            ("$$$$ $", "$$ $"),
            ("$(A", "$(A"),
            ("$A $()", "$A $()"),
        ] {
            assert_eq!(expand(text, &lookup), expected, "{text}");
        }
    }

    #[test]
    fn services_appear_as_docker_links() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "foo-svc"},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "web", "port": 80}]},
        }))
        .unwrap();
        let variables = service_variables(&[Arc::new(service)]);
        let text: Vec<String> = variables.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            text,
            [
                "FOO_SVC_SERVICE_HOST=10.0.0.1",
                "FOO_SVC_SERVICE_PORT=80",
                "FOO_SVC_SERVICE_PORT_WEB=80",
                "FOO_SVC_PORT=tcp://10.0.0.1:80",
                "FOO_SVC_PORT_80_TCP=tcp://10.0.0.1:80",
                "FOO_SVC_PORT_80_TCP_PROTO=tcp",
                "FOO_SVC_PORT_80_TCP_PORT=80",
                "FOO_SVC_PORT_80_TCP_ADDR=10.0.0.1",
            ]
        );
    }

    #[tokio::test]
    async fn variables_see_earlier_ones_and_services() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [{"name": "c", "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "value": "$(A)$(C)"},
                {"name": "C", "value": "2"},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ]}]},
        }))
        .unwrap();
        let objects = Objects::none();
        let sources = Sources {
            objects: &objects,
            services: &[],
            addresses: &Addresses::default(),
            allocatable: Allocatable::default(),
        };
        let variables = environment(&pod, &pod.spec().containers[0], &sources).await.unwrap();
        let text: Vec<String> = variables.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(text, ["A=1", "B=1$(C)", "C=2", "NAME=p"]);
    }
}
