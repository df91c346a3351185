//! What a pod's sandbox is made of (upstream: kuberuntime_sandbox.go `generatePodSandboxConfig`).

pub(crate) mod dns;

use cri_proto::v1;
use k8s_openapi::api::core::v1::Pod;

use super::{annotations, security};
use crate::pods::{CONFIG_SOURCE, PodExt};
use crate::shared::Shared;

/// The longest host name the kernel takes.
const MAX_HOSTNAME: usize = 63;

/// The configuration of sandbox number `attempt` of a pod.
pub(crate) fn config(shared: &Shared, pod: &Pod, attempt: u32) -> v1::PodSandboxConfig {
    let mut annotations: std::collections::HashMap<String, String> = pod
        .metadata
        .annotations
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    if !annotations.contains_key(CONFIG_SOURCE) {
        annotations.insert(CONFIG_SOURCE.to_owned(), "api".to_owned());
    }
    let hostname = if pod.host_network() {
        String::new()
    } else {
        hostname(pod, &shared.config.file.cluster_domain)
    };
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: pod.name().to_owned(),
            uid: pod.uid().to_owned(),
            namespace: pod.namespace().to_owned(),
            attempt,
        }),
        hostname,
        log_directory: shared.log_dir(pod).to_string_lossy().into_owned(),
        dns_config: Some(dns::config(pod, &shared.config.file)),
        port_mappings: if pod.host_network() {
            Vec::new()
        } else {
            port_mappings(pod)
        },
        labels: annotations::sandbox_labels(pod),
        annotations,
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: shared.cgroups.parent_of(pod),
            security_context: Some(security::sandbox(pod)),
            sysctls: sysctls(pod),
            overhead: None,
            resources: Some(shared.cgroups.sandbox_resources(pod)),
        }),
    }
}

/// The host name in the pod and, with a subdomain, its domain (upstream: kubelet_pods.go
/// `GeneratePodHostNameAndDomain`).
pub(crate) fn hostname_and_domain(pod: &Pod, cluster_domain: &str) -> (String, String) {
    let spec = pod.spec();
    if let Some(name) = spec.hostname_override.as_deref().filter(|n| !n.is_empty()) {
        return (name.to_owned(), String::new());
    }
    let name = spec.hostname.as_deref().filter(|n| !n.is_empty()).unwrap_or(pod.name());
    let mut cut = name.len().min(MAX_HOSTNAME);
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    let name = name[..cut].trim_end_matches(['-', '.']).to_owned();
    let domain = match spec.subdomain.as_deref().filter(|s| !s.is_empty()) {
        Some(subdomain) => format!("{subdomain}.{}.svc.{cluster_domain}", pod.namespace()),
        None => String::new(),
    };
    (name, domain)
}

fn hostname(pod: &Pod, cluster_domain: &str) -> String {
    let (name, domain) = hostname_and_domain(pod, cluster_domain);
    if pod.spec().set_hostname_as_fqdn == Some(true) && !domain.is_empty() {
        format!("{name}.{domain}")
    } else {
        name
    }
}

fn port_mappings(pod: &Pod) -> Vec<v1::PortMapping> {
    let containers = pod.spec().containers.iter().chain(
        pod.init_containers()
            .iter()
            .filter(|c| rules::resources::is_restartable_init_container(c)),
    );
    containers
        .flat_map(|c| c.ports.iter().flatten())
        .map(|port| v1::PortMapping {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => v1::Protocol::Udp,
                Some("SCTP") => v1::Protocol::Sctp,
                _ => v1::Protocol::Tcp,
            } as i32,
            container_port: port.container_port,
            host_port: port.host_port.unwrap_or_default(),
            host_ip: port.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}

fn sysctls(pod: &Pod) -> std::collections::HashMap<String, String> {
    let context = pod.spec().security_context.as_ref();
    let given = context.and_then(|c| c.sysctls.as_ref()).into_iter().flatten();
    given.map(|s| (s.name.replace('/', "."), s.value.clone())).collect()
}
