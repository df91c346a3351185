//! Containers of all three lists (`validateContainers`, `validateInitContainers`,
//! `validateEphemeralContainers`).

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerResizePolicy, EphemeralContainer, PodSpec, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::options::Options;
use super::pod::trimmed_image;
use super::{env, probe, resources, security};
use crate::check::{
    descending_path, dns_label, invalid_each, list, no_backsteps, one_of, port, required, required_one_of, text,
};
use crate::core::v1::MIRROR_ANNOTATION;
use crate::internal::shown;
use crate::meta;

/// What containers may refer to.
pub(super) struct Scope<'a> {
    spec: &'a PodSpec,
    volumes: BTreeMap<&'a str, &'a Volume>,
    claims: BTreeSet<&'a str>,
    options: Options,
}

impl<'a> Scope<'a> {
    pub(super) fn new(spec: &'a PodSpec, volumes: BTreeMap<&'a str, &'a Volume>, options: Options) -> Self {
        let names = list(&spec.resource_claims).iter().map(|c| c.name.as_str());
        Scope {
            spec,
            volumes,
            claims: names.filter(|n| !n.is_empty()).collect(),
            options,
        }
    }

    fn grace_period(&self) -> Option<i64> {
        self.spec.termination_grace_period_seconds
    }
}

/// Each container with its path: init, main, then ephemeral ones (`VisitContainersWithPath`).
pub(super) fn visit(spec: &PodSpec, path: &Path, mut visit: impl FnMut(&Container, &Path)) {
    let lists = [
        ("initContainers", list(&spec.init_containers)),
        ("containers", &spec.containers[..]),
    ];
    for (field, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            visit(container, &path.child(field).index(index));
        }
    }
    for (index, container) in list(&spec.ephemeral_containers).iter().enumerate() {
        let path = path.child("ephemeralContainers").index(index);
        visit(&as_container(container), &path);
    }
}

/// The pod's claims for devices (`validatePodResourceClaims`).
pub(super) fn resource_claims(errs: &mut ErrorList, spec: &PodSpec, metadata: Option<&ObjectMeta>, path: &Path) {
    let annotations = metadata.and_then(|m| m.annotations.as_ref());
    let is_static = annotations.is_some_and(|a| a.contains_key(MIRROR_ANNOTATION));
    let mut names = BTreeSet::new();
    for (index, claim) in list(&spec.resource_claims).iter().enumerate() {
        if is_static {
            let rule = "static pods do not support resource claims";
            errs.push(Error::forbidden(&Path::new("[]"), rule));
            continue;
        }
        let path = path.index(index);
        if claim.name.is_empty() {
            errs.push(Error::required(&path.child("name"), ""));
        } else if !names.insert(claim.name.as_str()) {
            errs.push(Error::duplicate(&path.child("name"), &claim.name));
        } else {
            dns_label(errs, &path.child("name"), &claim.name);
        }
        let sources = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        let rule = match sources.map(|(_, source)| source.is_some()) {
            [true, true] => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            [false, false] => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            _ => "",
        };
        if !rule.is_empty() {
            errs.push(Error::invalid(&path, shown("core.PodResourceClaim", claim), rule));
        }
        for (field, source) in sources {
            if let Some(name) = source {
                invalid_each(errs, &path.child(field), name, meta::name_subdomain(name, false));
            }
        }
    }
}

/// The main containers.
pub(super) fn containers(errs: &mut ErrorList, scope: &Scope<'_>, path: &Path) {
    let containers = &scope.spec.containers;
    if containers.is_empty() {
        errs.push(Error::required(path, ""));
        return;
    }
    let mut names = BTreeSet::new();
    for (index, c) in containers.iter().enumerate() {
        let path = path.index(index);
        common(errs, scope, c, &path);
        if !names.insert(&c.name) {
            errs.push(Error::duplicate(&path.child("name"), &c.name));
        }
        lifecycle_and_probes(errs, scope, c, &path);
        restart_rules(errs, c, &path);
    }
    host_ports(errs, containers, path);
}

/// The init containers; those that restart always are sidecars and may have probes.
pub(super) fn init_containers(errs: &mut ErrorList, scope: &Scope<'_>, path: &Path) {
    let mut names: BTreeSet<_> = scope.spec.containers.iter().map(|c| c.name.as_str()).collect();
    for (index, c) in list(&scope.spec.init_containers).iter().enumerate() {
        let path_of_list = path;
        let path = path.index(index);
        common(errs, scope, c, &path);
        if c.restart_policy.is_some() {
            restart_rules(errs, c, &path);
        } else if !list(&c.restart_policy_rules).is_empty() {
            errs.push(Error::required(&path.child("restartPolicy"), RULES_NEED_POLICY));
        }
        if !names.insert(&c.name) && !c.name.is_empty() {
            errs.push(Error::duplicate(&path.child("name"), &c.name));
        }
        host_ports(errs, std::slice::from_ref(c), path_of_list);
        if c.restart_policy.as_deref() == Some("Always") {
            lifecycle_and_probes(errs, scope, c, &path);
            continue;
        }
        for (field, set) in [
            ("lifecycle", c.lifecycle.is_some()),
            ("livenessProbe", c.liveness_probe.is_some()),
            ("readinessProbe", c.readiness_probe.is_some()),
            ("startupProbe", c.startup_probe.is_some()),
        ] {
            if set {
                let rule = "may not be set for init containers without restartPolicy=Always";
                errs.push(Error::forbidden(&path.child(field), rule));
            }
        }
        if scope.options.restarting_init_resize {
            continue;
        }
        for (index, policy) in list(&c.resize_policy).iter().enumerate() {
            if policy.restart_policy == "RestartContainer" {
                let path = path.child("resizePolicy").index(index).child("restartPolicy");
                let rule = "must not be set to 'RestartContainer' for non-sidecar initContainers";
                errs.push(Error::invalid(&path, &policy.restart_policy, rule));
            }
        }
    }
}

/// Ephemeral containers: debugging aids, so most fields are refused.
pub(super) fn ephemeral_containers(errs: &mut ErrorList, scope: &Scope<'_>, path: &Path) {
    let lasting: BTreeSet<_> = scope
        .spec
        .containers
        .iter()
        .chain(list(&scope.spec.init_containers))
        .map(|c| c.name.as_str())
        .collect();
    let mut names = lasting.clone();
    for (index, e) in list(&scope.spec.ephemeral_containers).iter().enumerate() {
        let path = path.index(index);
        common(errs, scope, &as_container(e), &path);
        trimmed_image(errs, text(&e.image), &path);
        if !names.insert(&e.name) {
            errs.push(Error::duplicate(&path.child("name"), &e.name));
        }
        let target = text(&e.target_container_name);
        if !target.is_empty() && !lasting.contains(target) {
            errs.push(Error::not_found(&path.child("targetContainerName"), target));
        }
        let has_resources = e.resources.as_ref().is_some_and(|r| *r != Default::default());
        for (field, set) in [
            ("ports", e.ports.is_some()),
            ("resources", has_resources),
            ("resizePolicy", e.resize_policy.is_some()),
            ("restartPolicy", e.restart_policy.is_some()),
            ("restartPolicyRules", e.restart_policy_rules.is_some()),
            ("livenessProbe", e.liveness_probe.is_some()),
            ("readinessProbe", e.readiness_probe.is_some()),
            ("startupProbe", e.startup_probe.is_some()),
            ("lifecycle", e.lifecycle.is_some()),
        ] {
            if set {
                errs.push(Error::forbidden(&path.child(field), EPHEMERAL));
            }
        }
        for (index, mount) in list(&e.volume_mounts).iter().enumerate() {
            let path = path.child("volumeMounts").index(index);
            for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
                if !text(value).is_empty() {
                    errs.push(Error::forbidden(&path.child(field), EPHEMERAL));
                }
            }
        }
    }
}

const EPHEMERAL: &str = "cannot be set for an Ephemeral Container";

fn as_container(e: &EphemeralContainer) -> Container {
    Container {
        name: e.name.clone(),
        image: e.image.clone(),
        termination_message_policy: e.termination_message_policy.clone(),
        ports: e.ports.clone(),
        env: e.env.clone(),
        env_from: e.env_from.clone(),
        volume_mounts: e.volume_mounts.clone(),
        volume_devices: e.volume_devices.clone(),
        image_pull_policy: e.image_pull_policy.clone(),
        resources: e.resources.clone(),
        resize_policy: e.resize_policy.clone(),
        security_context: e.security_context.clone(),
        ..Container::default()
    }
}

/// `validateContainerCommon`.
fn common(errs: &mut ErrorList, scope: &Scope<'_>, c: &Container, path: &Path) {
    if c.name.is_empty() {
        errs.push(Error::required(&path.child("name"), ""));
    } else {
        dns_label(errs, &path.child("name"), &c.name);
    }
    required(errs, &path.child("image"), text(&c.image));
    required_one_of(
        errs,
        &path.child("terminationMessagePolicy"),
        text(&c.termination_message_policy),
        &["File", "FallbackToLogsOnError"],
    );
    ports(errs, list(&c.ports), &path.child("ports"));
    env::env(errs, list(&c.env), &path.child("env"));
    env::env_from(errs, list(&c.env_from), &path.child("envFrom"));
    mounts(errs, scope, c, &path.child("volumeMounts"));
    devices(errs, scope, c, &path.child("volumeDevices"));
    pull_policy(errs, text(&c.image_pull_policy), &path.child("imagePullPolicy"));
    if let Some(own) = &c.resources {
        resources::container(errs, own, &path.child("resources"), scope.options);
        resources::claims(
            errs,
            list(&own.claims),
            &scope.claims,
            &path.child("resources").child("claims"),
        );
    }
    resize_policy(errs, scope, list(&c.resize_policy), &path.child("resizePolicy"));
    if let Some(context) = &c.security_context {
        let host_users = scope.spec.host_users != Some(false);
        security::security_context(errs, context, host_users, &path.child("securityContext"));
    }
}

/// `validatePullPolicy`.
pub(super) fn pull_policy(errs: &mut ErrorList, policy: &str, path: &Path) {
    required_one_of(errs, path, policy, &["Always", "IfNotPresent", "Never"]);
}

fn lifecycle_and_probes(errs: &mut ErrorList, scope: &Scope<'_>, c: &Container, path: &Path) {
    if let Some(lifecycle) = &c.lifecycle {
        let os = scope.spec.os.as_ref().map(|os| os.name.as_str());
        probe::lifecycle(errs, lifecycle, scope.grace_period(), os, &path.child("lifecycle"));
    }
    probe::liveness(errs, c.liveness_probe.as_ref(), &path.child("livenessProbe"));
    probe::readiness(errs, c.readiness_probe.as_ref(), &path.child("readinessProbe"));
    probe::startup(errs, c.startup_probe.as_ref(), &path.child("startupProbe"));
}

/// Most restart rules of a container, and most exit codes of a rule.
const MAX_RESTART_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;

const RULES_NEED_POLICY: &str = "must specify restartPolicy when restart rules are used";

/// `validateContainerRestartPolicy` (the gates ContainerRestartRules and
/// RestartAllContainersOnContainerExits are on).
fn restart_rules(errs: &mut ErrorList, c: &Container, path: &Path) {
    let rules = list(&c.restart_policy_rules);
    let policy = path.child("restartPolicy");
    match &c.restart_policy {
        Some(value) => one_of(errs, &policy, value, &["Always", "Never", "OnFailure"]),
        None if rules.is_empty() => return,
        None => {
            errs.push(Error::required(&policy, RULES_NEED_POLICY));
        }
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > MAX_RESTART_RULES {
        errs.push(Error::too_many(&path, rules.len(), MAX_RESTART_RULES));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        let actions = ["Restart", "RestartAllContainers"];
        one_of(errs, &path.child("action"), &rule.action, &actions);
        let path = path.child("exitCodes");
        let Some(codes) = &rule.exit_codes else {
            errs.push(Error::required(&path, "must be specified"));
            continue;
        };
        one_of(errs, &path.child("operator"), &codes.operator, &["In", "NotIn"]);
        let count = list(&codes.values).len();
        if count > MAX_EXIT_CODES {
            errs.push(Error::too_many(&path.child("values"), count, MAX_EXIT_CODES));
        }
    }
}

/// `validateContainerPorts`.
fn ports(errs: &mut ErrorList, ports: &[ContainerPort], path: &Path) {
    let mut names = BTreeSet::new();
    for (index, p) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&p.name);
        if !name.is_empty() {
            let messages = apimachinery::validation::is_valid_port_name(name);
            if !messages.is_empty() {
                crate::check::invalid_each(errs, &path.child("name"), name, messages);
            } else if !names.insert(name) {
                errs.push(Error::duplicate(&path.child("name"), name));
            }
        }
        if p.container_port == 0 {
            errs.push(Error::required(&path.child("containerPort"), ""));
        } else {
            port(errs, &path.child("containerPort"), p.container_port);
        }
        if let Some(host) = p.host_port.filter(|h| *h != 0) {
            port(errs, &path.child("hostPort"), host);
        }
        required_one_of(
            errs,
            &path.child("protocol"),
            text(&p.protocol),
            &["SCTP", "TCP", "UDP"],
        );
    }
}

/// No host port twice (`AccumulateUniqueHostPorts`).
fn host_ports(errs: &mut ErrorList, containers: &[Container], path: &Path) {
    let mut seen = BTreeSet::new();
    for (c, container) in containers.iter().enumerate() {
        for (p, port) in list(&container.ports).iter().enumerate() {
            let Some(number) = port.host_port.filter(|h| *h != 0) else {
                continue;
            };
            let key = format!("{}/{}/{number}", text(&port.protocol), text(&port.host_ip));
            if !seen.insert(key.clone()) {
                let path = path.index(c).child("ports").index(p).child("hostPort");
                errs.push(Error::duplicate(&path, key));
            }
        }
    }
}

/// `ValidateVolumeMounts`.
fn mounts(errs: &mut ErrorList, scope: &Scope<'_>, c: &Container, path: &Path) {
    let mut points = BTreeSet::new();
    for (index, mount) in list(&c.volume_mounts).iter().enumerate() {
        let list_path = path;
        let path = path.index(index);
        required(errs, &path.child("name"), &mount.name);
        if !scope.volumes.contains_key(mount.name.as_str()) {
            errs.push(Error::not_found(&path.child("name"), &mount.name));
        }
        required(errs, &path.child("mountPath"), &mount.mount_path);
        if !points.insert(&mount.mount_path) {
            errs.push(Error::invalid(
                &path.child("mountPath"),
                &mount.mount_path,
                "must be unique",
            ));
        }
        for device in list(&c.volume_devices) {
            if device.name == mount.name {
                let rule = "must not already exist in volumeDevices";
                errs.push(Error::invalid(&path.child("name"), &mount.name, rule));
            }
            if device.device_path == mount.mount_path {
                let rule = "must not already exist as a path in volumeDevices";
                errs.push(Error::invalid(&path.child("mountPath"), &mount.mount_path, rule));
            }
        }
        let (sub, expr) = (text(&mount.sub_path), text(&mount.sub_path_expr));
        if !sub.is_empty() {
            descending_path(errs, &list_path.child("subPath"), sub);
        }
        if !expr.is_empty() {
            if !sub.is_empty() {
                let rule = "subPathExpr and subPath are mutually exclusive";
                errs.push(Error::invalid(&path.child("subPathExpr"), expr, rule));
            }
            descending_path(errs, &list_path.child("subPathExpr"), expr);
        }
        propagation(errs, mount, c, list_path);
    }
}

/// `validateMountPropagation`, `validateMountRecursiveReadOnly`.
fn propagation(errs: &mut ErrorList, mount: &VolumeMount, c: &Container, path: &Path) {
    if let Some(mode) = &mount.mount_propagation {
        let path = path.child("mountPropagation");
        one_of(errs, &path, mode, &["Bidirectional", "HostToContainer", "None"]);
        let privileged = c.security_context.as_ref().is_some_and(|s| s.privileged == Some(true));
        if mode == "Bidirectional" && !privileged {
            let rule = "Bidirectional mount propagation is available only to privileged containers";
            errs.push(Error::forbidden(&path, rule));
        }
    }
    let path = path.child("recursiveReadOnly");
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errs.push(Error::forbidden(&path, "may only be specified when readOnly is true"));
            }
            if mount.mount_propagation.as_deref().is_some_and(|m| m != "None") {
                let rule = "may only be specified when mountPropagation is None or not specified";
                errs.push(Error::forbidden(&path, rule));
            }
        }
        Some(other) => one_of(errs, &path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

/// `ValidateVolumeDevices`.
fn devices(errs: &mut ErrorList, scope: &Scope<'_>, c: &Container, path: &Path) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in list(&c.volume_devices).iter().enumerate() {
        let path = path.index(index);
        let (name, device_path) = (device.name.as_str(), device.device_path.as_str());
        required(errs, &path.child("name"), name);
        if !name.is_empty() && !names.insert(name) {
            errs.push(Error::invalid(&path.child("name"), name, "must be unique"));
        }
        match scope.volumes.get(name) {
            None => errs.push(Error::not_found(&path.child("name"), name)),
            Some(v) if v.persistent_volume_claim.is_none() && v.ephemeral.is_none() => {
                let rule = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errs.push(Error::invalid(&path.child("name"), name, rule));
            }
            Some(_) => {}
        }
        required(errs, &path.child("devicePath"), device_path);
        if paths.contains(device_path) {
            errs.push(Error::invalid(&path.child("devicePath"), device_path, "must be unique"));
        }
        let mut backsteps = ErrorList::new();
        no_backsteps(&mut backsteps, &path, device_path);
        if backsteps.is_empty() {
            paths.insert(device_path);
        } else {
            let rule = "can not contain backsteps ('..')";
            errs.push(Error::invalid(&path.child("devicePath"), device_path, rule));
        }
        for mount in list(&c.volume_mounts) {
            if mount.name == name {
                let rule = "must not already exist in volumeMounts";
                errs.push(Error::invalid(&path.child("name"), name, rule));
            }
            if mount.mount_path == device_path {
                let rule = "must not already exist as a path in volumeMounts";
                errs.push(Error::invalid(&path.child("devicePath"), device_path, rule));
            }
        }
    }
}

/// `validateResizePolicy`.
fn resize_policy(errs: &mut ErrorList, scope: &Scope<'_>, policies: &[ContainerResizePolicy], path: &Path) {
    for (index, p) in policies.iter().enumerate() {
        if policies[..index].iter().any(|o| o.resource_name == p.resource_name) {
            errs.push(Error::duplicate(&path.index(index), &p.resource_name));
        }
        required_one_of(errs, path, &p.resource_name, &["cpu", "memory"]);
        required_one_of(errs, path, &p.restart_policy, &["NotRequired", "RestartContainer"]);
        if text(&scope.spec.restart_policy) == "Never" && p.restart_policy != "NotRequired" {
            let rule = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errs.push(Error::invalid(path, &p.restart_policy, rule));
        }
    }
}
