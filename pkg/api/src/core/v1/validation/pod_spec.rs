//! The pod spec as a whole; its parts have files of their own.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::options::Options;
use super::{container, env, resources, scheduling, security, volume, windows};
use crate::check::{
    dns_label, dns_subdomain, invalid_each, legacy_ip, list, qualified_name, required_one_of, text, to_value,
};
use crate::meta;

/// Everything in a pod spec at `path` (`ValidatePodSpec`). The pod's metadata is given for real
/// pods only.
pub fn pod_spec(errs: &mut ErrorList, spec: &PodSpec, metadata: Option<&ObjectMeta>, path: &Path, options: Options) {
    if spec.termination_grace_period_seconds.is_none() {
        errs.push(Error::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let volumes = volume::volumes(errs, list(&spec.volumes), metadata, &path.child("volumes"), options);
    container::resource_claims(errs, spec, metadata, &path.child("resourceClaims"));
    let scope = container::Scope::new(spec, volumes, options);
    container::containers(errs, &scope, &path.child("containers"));
    container::init_containers(errs, &scope, &path.child("initContainers"));
    container::ephemeral_containers(errs, &scope, &path.child("ephemeralContainers"));
    resources::pod_level(errs, spec, &path.child("resources"), options);
    host_network_ports(errs, spec, path, options);
    required_one_of(
        errs,
        &path.child("restartPolicy"),
        text(&spec.restart_policy),
        &["Always", "OnFailure", "Never"],
    );
    required_one_of(
        errs,
        &path.child("dnsPolicy"),
        text(&spec.dns_policy),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    meta::labels(errs, spec.node_selector.as_ref(), &path.child("nodeSelector"));
    security::pod_security_context(errs, spec, &path.child("securityContext"), options);
    if let Some(affinity) = &spec.affinity {
        scheduling::affinity(errs, affinity, &path.child("affinity"), options);
    }
    let policy = text(&spec.dns_policy);
    dns_config(errs, spec.dns_config.as_ref(), policy, &path.child("dnsConfig"));
    for (index, gate) in list(&spec.readiness_gates).iter().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        qualified_name(errs, &path, &gate.condition_type);
    }
    scheduling_gates(errs, spec, &path.child("schedulingGates"));
    let spread = path.child("topologySpreadConstraints");
    scheduling::topology_spread(errs, list(&spec.topology_spread_constraints), &spread, options);
    windows::host_process(errs, spec, path);
    host_users(errs, spec, path, options);
    hostname_override(errs, spec, &path.child("hostnameOverride"));
    names(errs, spec, path, options);
    if spec.overhead.is_some() {
        resources::overhead(errs, &spec.overhead, &path.child("overhead"), options);
    }
    if let Some(os) = &spec.os {
        let path_of = path.child("os");
        if os.name.is_empty() {
            errs.push(Error::required(&path_of.child("name"), ""));
        } else if !matches!(os.name.as_str(), "linux" | "windows") {
            let known = ["linux", "windows"];
            errs.push(Error::not_supported(&path_of, BadValue::named(&os.name), &known));
        } else {
            windows::os_fields(errs, spec, &os.name, path);
        }
    }
    if let Some(group) = &spec.scheduling_group {
        let path = path.child("schedulingGroup").child("podGroupName");
        match &group.pod_group_name {
            None => {
                let rule = "must specify one of: `podGroupName`";
                errs.push(Error::invalid(&path, &serde_json::Value::Null, rule));
            }
            Some(name) => invalid_each(errs, &path, name, meta::name_subdomain(name, false)),
        }
    }
    env::file_key_volumes(errs, spec, path);
}

/// Names of other objects, the host's names and what lies between them in upstream's order.
fn names(errs: &mut ErrorList, spec: &PodSpec, path: &Path, options: Options) {
    let object_name = |errs: &mut ErrorList, field: &str, value: &str| {
        if !value.is_empty() {
            invalid_each(errs, &path.child(field), value, meta::name_subdomain(value, false));
        }
    };
    object_name(errs, "serviceAccountName", text(&spec.service_account_name));
    object_name(errs, "nodeName", text(&spec.node_name));
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let rule = apimachinery::validation::inclusive_range_error(1, i64::from(i32::MAX));
        errs.push(Error::invalid(&path.child("activeDeadlineSeconds"), seconds, rule));
    }
    for (field, value) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        let value = text(value);
        if !value.is_empty() {
            dns_label(errs, &path.child(field), value);
        }
    }
    let tolerations = list(&spec.tolerations);
    let at = path.child("tolerations");
    scheduling::stored_tolerations(errs, tolerations, &at, options.comparing_tolerations);
    for (index, alias) in list(&spec.host_aliases).iter().enumerate() {
        let path = path.child("hostAliases").index(index);
        legacy_ip(errs, &path.child("ip"), &alias.ip, &[]);
        for (index, name) in list(&alias.hostnames).iter().enumerate() {
            dns_subdomain(errs, &path.child("hostnames").index(index), name);
        }
    }
    object_name(errs, "priorityClassName", text(&spec.priority_class_name));
    if let Some(class) = &spec.runtime_class_name {
        let path = path.child("runtimeClassName");
        invalid_each(errs, &path, class, meta::name_subdomain(class, false));
    }
    if let Some(policy) = &spec.preemption_policy {
        let path = path.child("preemptionPolicy");
        required_one_of(errs, &path, policy, &["PreemptLowerPriority", "Never"]);
    }
}

/// `validatePodHostName`.
fn hostname_override(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let Some(name) = &spec.hostname_override else { return };
    for (set, what) in [
        (spec.set_hostname_as_fqdn, "setHostnameAsFQDN"),
        (spec.host_network, "hostNetwork"),
    ] {
        if set == Some(true) {
            let rule = format!("may not be specified when {what} is true");
            errs.push(Error::forbidden(path, rule));
        }
    }
    if name.len() > 64 {
        errs.push(Error::too_long(path, 64));
    }
    dns_subdomain(errs, path, name);
}

/// On the host network every port is the host's (`validatePodHostNetworkDeps`).
fn host_network_ports(errs: &mut ErrorList, spec: &PodSpec, path: &Path, options: Options) {
    if spec.host_network != Some(true) {
        return;
    }
    for (c, container) in spec.containers.iter().enumerate() {
        for (p, port) in list(&container.ports).iter().enumerate() {
            let host = port.host_port.unwrap_or(0);
            if (options.is_pod || host != 0) && host != port.container_port {
                let path = path.child("containers").index(c).child("ports").index(p);
                let rule = "must match `containerPort` when `hostNetwork` is true";
                errs.push(Error::invalid(&path.child("hostPort"), host, rule));
            }
        }
    }
}

/// `validateHostUsers`.
fn host_users(errs: &mut ErrorList, spec: &PodSpec, path: &Path, options: Options) {
    const RULE: &str = "when `hostUsers` is false";
    if spec.host_users != Some(false) {
        return;
    }
    for (field, set) in [
        ("hostNetwork", spec.host_network.filter(|_| !options.host_network_users)),
        ("HostPID", spec.host_pid),
        ("HostIPC", spec.host_ipc),
    ] {
        if set == Some(true) {
            errs.push(Error::forbidden(&path.child(field), RULE));
        }
    }
    if !options.devices_of_users {
        container::visit(spec, path, |c, path| {
            if !list(&c.volume_devices).is_empty() {
                errs.push(Error::forbidden(&path.child("volumeDevices"), RULE));
            }
        });
    }
}

/// `validateSchedulingGates`.
fn scheduling_gates(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let gates = list(&spec.scheduling_gates);
    for (index, gate) in gates.iter().enumerate() {
        let path = path.index(index);
        qualified_name(errs, &path, &gate.name);
        if gates[..index].iter().any(|g| g.name == gate.name) {
            errs.push(Error::duplicate(&path, &gate.name));
        }
    }
}

/// Limits of the resolver: servers, search domains, characters of the search list.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// `validatePodDNSConfig`.
fn dns_config(errs: &mut ErrorList, config: Option<&PodDNSConfig>, policy: &str, path: &Path) {
    if policy == "None" {
        let Some(config) = config else {
            let rule = "must provide `dnsConfig` when `dnsPolicy` is None";
            errs.push(Error::required(path, rule));
            return;
        };
        if list(&config.nameservers).is_empty() {
            let rule = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errs.push(Error::required(&path.child("nameservers"), rule));
            return;
        }
    }
    let Some(config) = config else { return };
    let servers = list(&config.nameservers);
    let servers_path = path.child("nameservers");
    if servers.len() > MAX_NAMESERVERS {
        let rule = format!("must not have more than {MAX_NAMESERVERS} nameservers");
        errs.push(Error::invalid(&servers_path, &to_value(&servers), rule));
    }
    for (index, server) in servers.iter().enumerate() {
        legacy_ip(errs, &servers_path.index(index), server, &[]);
    }
    let searches = list(&config.searches);
    let searches_path = path.child("searches");
    let value = to_value(&searches);
    if searches.len() > MAX_SEARCHES {
        let rule = format!("must not have more than {MAX_SEARCHES} search paths");
        errs.push(Error::invalid(&searches_path, &value, rule));
    }
    if searches.join(" ").len() > MAX_SEARCH_CHARS {
        let rule =
            format!("must not have more than {MAX_SEARCH_CHARS} characters (including spaces) in the search list");
        errs.push(Error::invalid(&searches_path, &value, rule));
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, s)| *s != ".") {
        let name = search.strip_suffix('.').unwrap_or(search);
        for message in search_domain(name) {
            errs.push(Error::invalid(&searches_path.index(index), name, message));
        }
    }
    for (index, option) in list(&config.options).iter().enumerate() {
        if text(&option.name).is_empty() {
            errs.push(Error::required(
                &path.child("options").index(index),
                "must not be empty",
            ));
        }
    }
}

/// A subdomain that may have underscores (`IsDNS1123SubdomainWithUnderscore`).
fn search_domain(name: &str) -> Vec<String> {
    let mut out = vec![];
    if name.len() > 253 {
        out.push(apimachinery::validation::max_len_error(253));
    }
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        let label = label.strip_prefix('_').unwrap_or(label);
        let inner = |c: char| edge(c) || c == '-' || c == '_';
        label.starts_with(edge) && label.ends_with(edge) && label.chars().all(inner)
    };
    if !name.split('.').all(label) {
        out.push(apimachinery::validation::regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    out
}
