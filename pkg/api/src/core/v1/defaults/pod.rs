//! Defaults of pods and pod templates.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EphemeralContainer, HTTPGetAction, Lifecycle, LifecycleHandler, Pod, PodIP,
    PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::{or, or_number, pod_level, volume};
use crate::check::{canonical_list, list, text};
use crate::gates::{Gate, on};

/// A pod: the spec's defaults, requests that follow limits, host ports, service links
/// (`SetDefaults_Pod`, `Convert_v1_Pod_To_core_Pod`).
pub fn pod(obj: &mut Pod) {
    let spec = obj.spec.get_or_insert_default();
    pod_spec(spec);
    // A negative period has meant one second ever since it was let in (`Convert_v1_Pod_To_core_Pod`).
    spec.termination_grace_period_seconds = spec.termination_grace_period_seconds.map(|s| if s < 0 { 1 } else { s });
    for container in spec
        .containers
        .iter_mut()
        .chain(spec.init_containers.iter_mut().flatten())
    {
        if let Some(resources) = &mut container.resources {
            requests_from_limits(resources);
        }
    }
    if on(Gate::PodLevelResources) {
        pod_level::resources(spec);
    }
    spec.enable_service_links.get_or_insert(true);
    if spec.host_network == Some(true) {
        let init = spec.init_containers.iter_mut().flatten();
        for port in spec
            .containers
            .iter_mut()
            .chain(init)
            .flat_map(|c| c.ports.iter_mut().flatten())
        {
            or_number(&mut port.host_port, port.container_port);
        }
    }
    let status = obj.status.get_or_insert_default();
    match status.pod_ip.as_deref().filter(|ip| !ip.is_empty()) {
        Some(ip) if list(&status.pod_ips).first().map(|p| p.ip.as_str()) != Some(ip) => {
            status.pod_ips = Some(vec![PodIP { ip: ip.to_string() }]);
        }
        Some(_) => {}
        None => {
            let first = list(&status.pod_ips).first().map(|p| p.ip.clone());
            status.pod_ip = first.filter(|ip| !ip.is_empty());
        }
    }
    // Go always writes the states, of which all, some or none are set.
    let lists = [
        &mut status.container_statuses,
        &mut status.init_container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for container in lists.into_iter().flatten().flatten() {
        container.state.get_or_insert_default();
        container.last_state.get_or_insert_default();
    }
}

/// The template of a workload (generated `SetObjectDefaults_PodTemplate`).
pub fn pod_template_spec(template: &mut PodTemplateSpec) {
    template.metadata.get_or_insert_default();
    pod_spec(template.spec.get_or_insert_default());
}

/// A pod spec, wherever it is (`SetDefaults_PodSpec` and the parts below it).
pub fn pod_spec(spec: &mut PodSpec) {
    or(&mut spec.dns_policy, "ClusterFirst");
    or(&mut spec.restart_policy, "Always");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(30);
    or(&mut spec.scheduler_name, "default-scheduler");
    // The deprecated field mirrors serviceAccountName (Convert_core_PodSpec_To_v1_PodSpec).
    if text(&spec.service_account_name).is_empty() {
        spec.service_account_name = spec.service_account.take();
    }
    spec.service_account = spec.service_account_name.clone();
    for volume in spec.volumes.iter_mut().flatten() {
        volume::volume(volume);
    }
    for container in spec
        .containers
        .iter_mut()
        .chain(spec.init_containers.iter_mut().flatten())
    {
        self::container(container);
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        ephemeral(container);
    }
    canonical_list(&mut spec.overhead);
    if let Some(resources) = &mut spec.resources {
        canonical_list(&mut resources.requests);
        canonical_list(&mut resources.limits);
    }
}

fn container(c: &mut Container) {
    common(
        &c.image,
        &mut c.image_pull_policy,
        &mut c.termination_message_path,
        &mut c.termination_message_policy,
    );
    ports(&mut c.ports);
    env(&mut c.env);
    resources(&mut c.resources);
    for p in [&mut c.liveness_probe, &mut c.readiness_probe, &mut c.startup_probe] {
        probe(p);
    }
    lifecycle(&mut c.lifecycle);
}

fn ephemeral(c: &mut EphemeralContainer) {
    common(
        &c.image,
        &mut c.image_pull_policy,
        &mut c.termination_message_path,
        &mut c.termination_message_policy,
    );
    ports(&mut c.ports);
    env(&mut c.env);
    resources(&mut c.resources);
    for p in [&mut c.liveness_probe, &mut c.readiness_probe, &mut c.startup_probe] {
        probe(p);
    }
    lifecycle(&mut c.lifecycle);
}

/// `SetDefaults_Container`.
fn common(
    image: &Option<String>,
    pull_policy: &mut Option<String>,
    message_path: &mut Option<String>,
    message_policy: &mut Option<String>,
) {
    or(pull_policy, default_pull_policy(text(image)));
    or(message_path, "/dev/termination-log");
    or(message_policy, "File");
}

/// Always for the tag `latest` (explicit or implied), IfNotPresent otherwise, also for what names no image
/// (`parsers.ParseImageName`).
pub(super) fn default_pull_policy(image: &str) -> &'static str {
    if !is_image(image) {
        return "IfNotPresent";
    }
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rsplit('/').next().unwrap_or("");
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if digest.is_none() => "Always",
        _ => "IfNotPresent",
    }
}

/// Whether a text is an image reference: `[domain[:port]/]path[:tag][@digest]`
/// (distribution `reference.ParseNormalizedNamed`).
fn is_image(image: &str) -> bool {
    let (name, digest) = image.split_once('@').unwrap_or((image, "a:0"));
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let (last, tag) = name[slash..].split_once(':').unwrap_or((&name[slash..], "a"));
    let name = &name[..slash + last.len()];
    let path = match name.split_once('/') {
        Some((domain, path))
            if domain == "localhost" || domain.contains(['.', ':']) || domain != domain.to_lowercase() =>
        {
            if !domain.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') {
                return false;
            }
            path
        }
        _ => name,
    };
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let component = |part: &str| {
        let separators = part.split(alnum).filter(|s| !s.is_empty());
        let good = |s: &str| matches!(s, "." | "_" | "__") || s.chars().all(|c| c == '-');
        part.starts_with(alnum) && part.ends_with(alnum) && separators.into_iter().all(good)
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let tagged = tag.starts_with(word) && tag.len() <= 128 && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    path.len() <= 255 && path.split('/').all(component) && tagged && digest.contains(':')
}

fn ports(ports: &mut Option<Vec<ContainerPort>>) {
    for port in ports.iter_mut().flatten() {
        or(&mut port.protocol, "TCP");
    }
}

fn env(vars: &mut Option<Vec<EnvVar>>) {
    for source in vars.iter_mut().flatten().filter_map(|v| v.value_from.as_mut()) {
        if let Some(field) = &mut source.field_ref {
            or(&mut field.api_version, "v1");
        }
        if let Some(divisor) = source.resource_field_ref.as_mut().map(|r| &mut r.divisor) {
            divisor.get_or_insert_with(|| RawQuantity("0".to_string()));
        }
        if let Some(file) = &mut source.file_key_ref {
            file.optional.get_or_insert(false);
        }
    }
}

/// Go writes the struct even when it is empty.
fn resources(resources: &mut Option<ResourceRequirements>) {
    let resources = resources.get_or_insert_default();
    canonical_list(&mut resources.requests);
    canonical_list(&mut resources.limits);
}

/// `SetDefaults_Probe`, `SetDefaults_HTTPGetAction`.
fn probe(probe: &mut Option<Probe>) {
    let Some(probe) = probe else { return };
    or_number(&mut probe.timeout_seconds, 1);
    or_number(&mut probe.period_seconds, 10);
    or_number(&mut probe.success_threshold, 1);
    or_number(&mut probe.failure_threshold, 3);
    if let Some(get) = &mut probe.http_get {
        http_get(get);
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn http_get(get: &mut HTTPGetAction) {
    or(&mut get.path, "/");
    or(&mut get.scheme, "HTTP");
}

fn lifecycle(lifecycle: &mut Option<Lifecycle>) {
    let Some(lifecycle) = lifecycle else { return };
    for handler in [&mut lifecycle.post_start, &mut lifecycle.pre_stop] {
        if let Some(LifecycleHandler {
            http_get: Some(get), ..
        }) = handler
        {
            http_get(get);
        }
    }
}

/// Requests that are not given equal the limits.
fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    if limits.is_empty() {
        return;
    }
    let requests = resources.requests.get_or_insert_default();
    for (name, amount) in limits {
        requests.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}
