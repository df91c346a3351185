//! What a kubelet or scheduler may say of a pod.

mod allocatable;

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodExtendedResourceClaimStatus, PodSpec, PodStatus};
use serde_json::json;

use super::pod_update::{annotation_changes, specs};
use crate::check::{
    dns_label, immutable_named, invalid_each, is_dual_stack, legacy_ip, list, one_of, qualified_name, sloppy_ip, text,
    unix_id,
};
use crate::gates::{Gate, on};
use crate::meta;

/// A changed pod status (`ValidatePodStatusUpdate`).
pub fn pod_status_update(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let none = PodStatus::default();
    let (spec, old_spec) = specs(new, old, &empty);
    let status = new.status.as_ref().unwrap_or(&none);
    let before = old.status.as_ref().unwrap_or(&none);
    let mut errs = meta::update(&new.metadata, &old.metadata);
    annotation_changes(&mut errs, new, old, spec);
    let path = Path::new("status");
    conditions(&mut errs, status, &path.child("conditions"));
    node_name(&mut errs, status, before, spec, old_spec, &path);
    if let Some(generation) = status.observed_generation.filter(|g| *g < 0) {
        let path = path.child("observedGeneration");
        errs.push(Error::invalid(&path, generation, NEGATIVE));
    }
    let class = |s: &PodStatus| text(&s.qos_class).to_string();
    immutable_named(&mut errs, &path.child("qosClass"), &class(status), &class(before));
    transitions(&mut errs, status, before, old_spec, &path);
    claim_statuses(&mut errs, status, spec, &path.child("resourceClaimStatuses"));
    if let Some(extended) = &status.extended_resource_claim_status {
        extended_claim(&mut errs, extended, spec, &path.child("extendedResourceClaimStatus"));
    }
    let at = path.child("nodeAllocatableResourceClaimStatuses");
    allocatable::claims(&mut errs, status, spec, &at);
    addresses(&mut errs, status, before, &path);
    let lists = [
        ("containerStatuses", &status.container_statuses),
        ("initContainerStatuses", &status.init_container_statuses),
        ("ephemeralContainerStatuses", &status.ephemeral_container_statuses),
    ];
    let os = spec.os.as_ref().map_or("linux", |os| os.name.as_str());
    for (field, statuses) in lists {
        users(&mut errs, list(statuses), os, &path.child(field));
    }
    allocated(&mut errs, list(lists[0].1), &spec.containers, &path.child(lists[0].0));
    let init = list(&spec.init_containers);
    allocated(&mut errs, list(lists[1].1), init, &path.child(lists[1].0));
    for (index, _) in list(lists[2].1)
        .iter()
        .enumerate()
        .filter(|(_, s)| !list(&s.allocated_resources_status).is_empty())
    {
        let path = path.child(lists[2].0).index(index).child("allocatedResourcesStatus");
        errs.push(Error::forbidden(&path, "must not be specified in container status"));
    }
    errs
}

const NEGATIVE: &str = "must be a non-negative integer";

/// `validatePodConditions`.
fn conditions(errs: &mut ErrorList, status: &PodStatus, path: &Path) {
    for (index, condition) in list(&status.conditions).iter().enumerate() {
        let path = path.index(index);
        if let Some(generation) = condition.observed_generation.filter(|g| *g < 0) {
            errs.push(Error::invalid(&path.child("observedGeneration"), generation, NEGATIVE));
        }
        if !matches!(condition.type_.as_str(), "PodScheduled" | "Ready" | "Initialized") {
            qualified_name(errs, &path.child("Type"), &condition.type_);
        }
    }
}

/// The node is the scheduler's to set; a nomination ends with it
/// (gate ClearingNominatedNodeNameAfterBinding, on).
fn node_name(errs: &mut ErrorList, new: &PodStatus, old: &PodStatus, spec: &PodSpec, old_spec: &PodSpec, path: &Path) {
    if text(&spec.node_name) != text(&old_spec.node_name) {
        errs.push(Error::forbidden(&path.child("nodeName"), "may not be changed directly"));
    }
    let path = path.child("nominatedNodeName");
    let nominated = text(&new.nominated_node_name);
    if nominated.is_empty() || nominated == text(&old.nominated_node_name) {
        return;
    }
    invalid_each(errs, &path, nominated, meta::name_subdomain(nominated, false));
    if on(Gate::ClearingNominatedNodeName) && !text(&old_spec.node_name).is_empty() {
        let rule = "may not be set on pods that are already bound to a node";
        errs.push(Error::forbidden(&path, rule));
    }
}

/// A container that ended for good does not come back (`ValidateContainerStateTransition`).
fn transitions(errs: &mut ErrorList, new: &PodStatus, old: &PodStatus, spec: &PodSpec, path: &Path) {
    let init = list(&spec.init_containers);
    let restarts_all = |c: &Container| {
        list(&c.restart_policy_rules)
            .iter()
            .any(|r| r.action == "RestartAllContainers")
    };
    let all_may = spec.containers.iter().chain(init).any(restarts_all);
    let lists = [
        (
            "containerStatuses",
            &new.container_statuses,
            &old.container_statuses,
            &spec.containers[..],
        ),
        (
            "initContainerStatuses",
            &new.init_container_statuses,
            &old.init_container_statuses,
            init,
        ),
    ];
    for (field, new, old, containers) in lists.into_iter().filter(|_| !all_may) {
        for (index, before) in list(old).iter().enumerate() {
            let Some(code) = exit_code(before) else { continue };
            let container = containers.iter().find(|c| c.name == before.name);
            let may = container.is_some_and(|c| should_restart(c, spec, code));
            if !may && is_back(new, before) {
                stays_ended(errs, &path.child(field).index(index));
            }
        }
    }
    let field = path.child("ephemeralContainerStatuses");
    for (index, before) in list(&old.ephemeral_container_statuses).iter().enumerate() {
        if exit_code(before).is_some() && is_back(&new.ephemeral_container_statuses, before) {
            stays_ended(errs, &field.index(index));
        }
    }
}

fn stays_ended(errs: &mut ErrorList, path: &Path) {
    let rule = "may not be transitioned to non-terminated state";
    errs.push(Error::forbidden(&path.child("state"), rule));
}

fn is_back(new: &Option<Vec<ContainerStatus>>, before: &ContainerStatus) -> bool {
    let found = list(new).iter().find(|s| s.name == before.name);
    found.is_some_and(|s| exit_code(s).is_none())
}

fn exit_code(status: &ContainerStatus) -> Option<i32> {
    let state = status.state.as_ref()?;
    state.terminated.as_ref().map(|t| t.exit_code)
}

/// `ContainerShouldRestart`: its rules first, then its own policy, then the pod's.
fn should_restart(c: &Container, spec: &PodSpec, code: i32) -> bool {
    for rule in list(&c.restart_policy_rules) {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = list(&codes.values).contains(&code);
        if rule.action == "Restart" && listed == (codes.operator == "In") {
            return true;
        }
    }
    match c.restart_policy.as_deref().unwrap_or(text(&spec.restart_policy)) {
        "Never" => false,
        "OnFailure" => code != 0,
        _ => true,
    }
}

/// `validatePodResourceClaimStatuses`.
fn claim_statuses(errs: &mut ErrorList, status: &PodStatus, spec: &PodSpec, path: &Path) {
    let mut names = BTreeSet::new();
    for (index, claim) in list(&status.resource_claim_statuses).iter().enumerate() {
        let path = path.index(index);
        if !list(&spec.resource_claims).iter().any(|c| c.name == claim.name) {
            let rule = "must match the name of an entry in `spec.resourceClaims`";
            errs.push(Error::invalid(&path.child("name"), &claim.name, rule));
        }
        if !names.insert(&claim.name) {
            errs.push(Error::duplicate(&path.child("name"), &claim.name));
        }
        if let Some(name) = &claim.resource_claim_name {
            let path = path.child("resourceClaimName");
            invalid_each(errs, &path, BadValue::named(name), meta::name_subdomain(name, false));
        }
    }
}

/// `validatePodExtendedResourceClaimStatus`.
fn extended_claim(errs: &mut ErrorList, status: &PodExtendedResourceClaimStatus, spec: &PodSpec, path: &Path) {
    let mappings = path.child("requestMappings");
    if status.request_mappings.is_empty() {
        let rule = "at least one request mapping is required";
        errs.push(Error::required(&mappings, rule));
    }
    let mut seen = BTreeSet::new();
    for (index, mapping) in status.request_mappings.iter().enumerate() {
        let at = mappings.index(index);
        let mut all = spec.containers.iter().chain(list(&spec.init_containers));
        match all.find(|c| c.name == mapping.container_name) {
            None => {
                let rule = "must match the name of an entry in spec.initContainers.name or spec.containers.name";
                errs.push(Error::invalid(
                    &at.child("containerName"),
                    &mapping.container_name,
                    rule,
                ));
            }
            Some(c) => {
                let requests = c.resources.as_ref().and_then(|r| r.requests.as_ref());
                if !requests.is_some_and(|r| r.contains_key(&mapping.resource_name)) {
                    let rule = "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
                    errs.push(Error::invalid(&at.child("resourceName"), &mapping.resource_name, rule));
                }
            }
        }
        dns_label(errs, &path.child("requestName"), &mapping.request_name);
        if !seen.insert((&mapping.container_name, &mapping.resource_name, &mapping.request_name)) {
            errs.push(Error::duplicate(&at.child("containerName"), &mapping.container_name));
            errs.push(Error::duplicate(&at.child("resourceName"), &mapping.resource_name));
            errs.push(Error::duplicate(&at.child("requestName"), &mapping.request_name));
        }
    }
    let name = status.resource_claim_name.as_str();
    let path = path.child("resourceClaimName");
    if name.is_empty() {
        errs.push(Error::required(&path, ""));
    } else {
        invalid_each(errs, &path, name, meta::name_subdomain(name, false));
    }
}

/// `validatePodIPs`, `validateHostIPs`.
fn addresses(errs: &mut ErrorList, new: &PodStatus, old: &PodStatus, path: &Path) {
    let pod = |s: &PodStatus| list(&s.pod_ips).iter().map(|i| i.ip.clone()).collect::<Vec<_>>();
    families(errs, &pod(new), &pod(old), &path.child("podIPs"));
    let host = |s: &PodStatus| list(&s.host_ips).iter().map(|i| i.ip.clone()).collect::<Vec<_>>();
    let path = path.child("hostIPs");
    let all = host(new);
    if let Some(first) = all.first().filter(|first| *first != text(&new.host_ip)) {
        let path = path.index(0).child("ip");
        errs.push(Error::invalid(&path, first, "must be equal to `hostIP`"));
    }
    families(errs, &all, &host(old), &path);
}

/// At most one good address of each family.
fn families(errs: &mut ErrorList, new: &[String], old: &[String], path: &Path) {
    let stored: Vec<&str> = old.iter().map(String::as_str).collect();
    for (index, ip) in new.iter().enumerate() {
        legacy_ip(errs, &path.index(index), ip, &stored);
    }
    if new.len() > 1 {
        let unknown = new.iter().position(|ip| sloppy_ip(ip).is_none());
        if let Some(index) = unknown {
            let why = format!(
                "failed to check for dual stack with error:invalid IP[{index}]: {}",
                new[index]
            );
            errs.push(Error::internal(path, why));
        }
        if new.len() > 2 || unknown.is_some() || !is_dual_stack(new.iter().map(String::as_str)) {
            let shown: Vec<_> = new.iter().map(|ip| json!({"IP": ip})).collect();
            let rule = "may specify no more than one IP for each IP family";
            errs.push(Error::invalid(path, BadValue::from(&json!(shown)), rule));
        }
    }
}

/// `validateContainerStatusUsers`.
fn users(errs: &mut ErrorList, statuses: &[ContainerStatus], os: &str, path: &Path) {
    for (index, status) in statuses.iter().enumerate() {
        let Some(user) = status.user.as_ref().and_then(|u| u.linux.as_ref()) else {
            continue;
        };
        let path = path.index(index).child("user").child("linux");
        if os == "windows" {
            errs.push(Error::forbidden(&path, "cannot be set for a windows pod"));
            continue;
        }
        unix_id(errs, &path.child("uid"), Some(user.uid));
        unix_id(errs, &path.child("gid"), Some(user.gid));
        for (index, group) in list(&user.supplemental_groups).iter().enumerate() {
            unix_id(errs, &path.child("supplementalGroups").index(index), Some(*group));
        }
    }
}

/// Longest message on a device's health, in bytes (`ResourceHealthMessageMaxLength`).
const HEALTH_MESSAGE_MAX: usize = 4096;

/// `validateContainerStatusAllocatedResourcesStatus`.
fn allocated(errs: &mut ErrorList, statuses: &[ContainerStatus], containers: &[Container], path: &Path) {
    for (index, status) in statuses.iter().enumerate() {
        let path = path.index(index).child("allocatedResourcesStatus");
        let container = containers.iter().find(|c| c.name == status.name);
        for (index, resource) in list(&status.allocated_resources_status).iter().enumerate() {
            let path = path.index(index);
            if let Some(rule) = container.and_then(|c| unknown_resource(c, &resource.name)) {
                errs.push(Error::invalid(
                    &path.child("name"),
                    BadValue::named(&resource.name),
                    rule,
                ));
            }
            let mut ids = BTreeSet::new();
            for (index, device) in list(&resource.resources).iter().enumerate() {
                let path = path.child("resources").index(index);
                let known = ["Healthy", "Unhealthy", "Unknown"];
                one_of(errs, &path.child("health"), text(&device.health), &known);
                match &device.message {
                    Some(message) if message.is_empty() => {
                        let rule = "must be non-empty if specified";
                        errs.push(Error::required(&path.child("message"), rule));
                    }
                    Some(message) if message.len() > HEALTH_MESSAGE_MAX => {
                        errs.push(Error::too_long(&path.child("message"), HEALTH_MESSAGE_MAX));
                    }
                    _ => {}
                }
                if !ids.insert(&device.resource_id) {
                    errs.push(Error::duplicate(
                        &path.child("resourceID"),
                        BadValue::named(&device.resource_id),
                    ));
                }
            }
        }
    }
}

fn unknown_resource(c: &Container, name: &str) -> Option<&'static str> {
    let resources = c.resources.as_ref();
    if name.starts_with("claim:") {
        let own = |claim: &k8s_openapi::api::core::v1::ResourceClaim| match text(&claim.request) {
            "" => format!("claim:{}", claim.name),
            request => format!("claim:{}/{request}", claim.name),
        };
        let claims = resources.map_or(&[][..], |r| list(&r.claims));
        return (!claims.iter().any(|c| own(c) == name)).then_some(
            "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty",
        );
    }
    let requested = resources
        .and_then(|r| r.requests.as_ref())
        .is_some_and(|r| r.contains_key(name));
    (!requested).then_some("must match one of the container's resource requests")
}
