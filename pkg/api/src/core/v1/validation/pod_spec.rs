//! The pod spec as a whole; its parts have files of their own.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{container, resources, scheduling, security, volume};
use crate::check::{dns_label, dns_subdomain, invalid_each, ip, list, one_of, qualified_name, required_one_of, text};
use crate::meta;

/// Where the spec is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// In a pod, as opposed to a template (`PodValidationOptions.ResourceIsPod`).
    pub is_pod: bool,
}

/// Everything in a pod spec at `path` (`ValidatePodSpec`). The pod's metadata is given for real
/// pods only.
pub fn pod_spec(errs: &mut ErrorList, spec: &PodSpec, metadata: Option<&ObjectMeta>, path: &Path, options: Options) {
    if spec.termination_grace_period_seconds.is_none() {
        errs.push(Error::required(&path.child("terminationGracePeriodSeconds"), ""));
    }
    let volumes = volume::volumes(errs, list(&spec.volumes), metadata, &path.child("volumes"), options);
    let scope = container::Scope::new(errs, spec, volumes, path);
    container::containers(errs, &scope, &path.child("containers"));
    container::init_containers(errs, &scope, &path.child("initContainers"));
    container::ephemeral_containers(errs, &scope, &path.child("ephemeralContainers"));
    resources::pod_level(errs, spec, &path.child("resources"));
    host_network_ports(errs, spec, path, options);
    let policy = text(&spec.restart_policy);
    required_one_of(
        errs,
        &path.child("restartPolicy"),
        policy,
        &["Always", "OnFailure", "Never"],
    );
    required_one_of(
        errs,
        &path.child("dnsPolicy"),
        text(&spec.dns_policy),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    meta::labels(errs, spec.node_selector.as_ref(), &path.child("nodeSelector"));
    security::pod_security_context(errs, spec, &path.child("securityContext"));
    if let Some(affinity) = &spec.affinity {
        scheduling::affinity(errs, affinity, &path.child("affinity"));
    }
    dns_config(
        errs,
        spec.dns_config.as_ref(),
        text(&spec.dns_policy),
        &path.child("dnsConfig"),
    );
    for (index, gate) in list(&spec.readiness_gates).iter().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        qualified_name(errs, &path, &gate.condition_type);
    }
    scheduling_gates(errs, spec, &path.child("schedulingGates"));
    let spread = path.child("topologySpreadConstraints");
    scheduling::topology_spread(errs, list(&spec.topology_spread_constraints), &spread);
    host_users(errs, spec, path);
    names(errs, spec, path);
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let rule = apimachinery::validation::inclusive_range_error(1, i64::from(i32::MAX));
        errs.push(Error::invalid(&path.child("activeDeadlineSeconds"), seconds, rule));
    }
    scheduling::tolerations(errs, list(&spec.tolerations), &path.child("tolerations"));
    for (index, alias) in list(&spec.host_aliases).iter().enumerate() {
        let path = path.child("hostAliases").index(index);
        ip(errs, &path.child("ip"), &alias.ip);
        for (index, name) in list(&alias.hostnames).iter().enumerate() {
            dns_subdomain(errs, &path.child("hostnames").index(index), name);
        }
    }
    if let Some(policy) = &spec.preemption_policy {
        let path = path.child("preemptionPolicy");
        required_one_of(errs, &path, policy, &["PreemptLowerPriority", "Never"]);
    }
    if spec.overhead.is_some() {
        let limits = k8s_openapi::api::core::v1::ResourceRequirements {
            limits: spec.overhead.clone(),
            ..Default::default()
        };
        resources::container(errs, &limits, &path.child("overhead"));
    }
    if let Some(os) = &spec.os {
        required_one_of(errs, &path.child("os").child("name"), &os.name, &["linux", "windows"]);
        security::os_fields(errs, spec, &os.name, path);
    }
}

/// Names of other objects the spec mentions.
fn names(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    for (field, value) in [
        ("serviceAccountName", &spec.service_account_name),
        ("nodeName", &spec.node_name),
        ("priorityClassName", &spec.priority_class_name),
    ] {
        let value = text(value);
        if !value.is_empty() {
            invalid_each(errs, &path.child(field), value, meta::name_subdomain(value, false));
        }
    }
    if let Some(class) = &spec.runtime_class_name {
        let path = path.child("runtimeClassName");
        invalid_each(errs, &path, class, meta::name_subdomain(class, false));
    }
    for (field, value) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        let value = text(value);
        if !value.is_empty() {
            dns_label(errs, &path.child(field), value);
        }
    }
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
fn host_users(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    if spec.host_users != Some(false) {
        return;
    }
    for (field, set) in [
        ("hostNetwork", spec.host_network),
        ("HostPID", spec.host_pid),
        ("HostIPC", spec.host_ipc),
    ] {
        if set == Some(true) {
            errs.push(Error::forbidden(
                &path.child(field),
                "when `pod.Spec.HostUsers` is false",
            ));
        }
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
        errs.push(Error::invalid(&servers_path, &crate::check::to_value(&servers), rule));
    }
    for (index, server) in servers.iter().enumerate() {
        ip(errs, &servers_path.index(index), server);
    }
    let searches = list(&config.searches);
    let searches_path = path.child("searches");
    let value = crate::check::to_value(&searches);
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
        // An underscore is allowed here, and nowhere else in a subdomain.
        let name = search.strip_suffix('.').unwrap_or(search);
        dns_subdomain(errs, &searches_path.index(index), &name.replace('_', "a"));
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

/// `validateRestartPolicy` of a workload that allows only some values.
pub(crate) fn restart_policy_among(errs: &mut ErrorList, spec: Option<&PodSpec>, path: &Path, allowed: &[&str]) {
    let policy = spec.map_or("", |s| text(&s.restart_policy));
    one_of(errs, &path.child("spec").child("restartPolicy"), policy, allowed);
}
