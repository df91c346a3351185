//! Containers of all three lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apimachinery::field::{Path, quote};
use k8s_openapi::api::core::v1::{
    AppArmorProfile, ContainerPort, EnvVar, PodSpec, ResourceRequirements, SecurityContext,
};

use super::{APP_ARMOR, BYTES, SECCOMP_CONTAINER, app_armor_field, fractions, no_app_armor, no_seccomp};
use crate::check::{list, text};

/// What the rules see of a container, whichever list it is in.
pub(super) struct Container<'a> {
    path: Path,
    name: &'a str,
    env: &'a [EnvVar],
    ports: &'a [ContainerPort],
    resources: Option<&'a ResourceRequirements>,
    security: Option<&'a SecurityContext>,
}

/// The containers in upstream's order (`VisitContainersWithPath`).
pub(super) fn all<'a>(pod: &'a PodSpec, spec: &Path) -> Vec<Container<'a>> {
    let mut out = vec![];
    macro_rules! add {
        ($containers:expr, $field:literal) => {
            for (index, c) in $containers.iter().enumerate() {
                out.push(Container {
                    path: spec.child($field).index(index),
                    name: &c.name,
                    env: list(&c.env),
                    ports: list(&c.ports),
                    resources: c.resources.as_ref(),
                    security: c.security_context.as_ref(),
                });
            }
        };
    }
    add!(list(&pod.init_containers), "initContainers");
    add!(pod.containers, "containers");
    add!(list(&pod.ephemeral_containers), "ephemeralContainers");
    out
}

impl Container<'_> {
    /// Profiles by annotation where there is no field. Of a pod's AppArmor its strategy says it.
    pub(super) fn annotations(
        &self,
        out: &mut Vec<String>,
        path: &Path,
        annotations: &BTreeMap<String, String>,
        template: bool,
        of_pod: Option<&AppArmorProfile>,
    ) {
        let key = format!("{SECCOMP_CONTAINER}{}", self.name);
        if self.security.is_none_or(|s| s.seccomp_profile.is_none()) && annotations.contains_key(&key) {
            out.push(no_seccomp(&path.key(&key)));
        }
        let key = format!("{APP_ARMOR}{}", self.name);
        let has_field = self.security.is_some_and(|s| s.app_armor_profile.is_some());
        let Some(annotation) = annotations.get(&key).filter(|_| template && !has_field) else {
            return;
        };
        if of_pod.is_none() || of_pod != app_armor_field(annotation).as_ref() {
            out.push(no_app_armor(&path.key(&key)));
        }
    }

    /// Amounts that are no whole bytes.
    pub(super) fn amounts(&self, out: &mut Vec<String>) {
        let Some(resources) = self.resources else { return };
        let path = self.path.child("resources");
        for resource in BYTES {
            let one = &[resource];
            fractions(out, &path.child("limits"), resources.limits.as_ref(), one);
            fractions(out, &path.child("requests"), resources.requests.as_ref(), one);
        }
    }

    /// Variables that replace one of the same name and do not build on it.
    pub(super) fn environment(&self, out: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for (index, item) in self.env.iter().enumerate() {
            if seen.insert(item.name.as_str()) {
                continue;
            }
            let reference = format!("$({})", item.name);
            let value = text(&item.value);
            if item.value_from.is_some() || value == reference || !value.contains(&reference) {
                out.push(format!(
                    "{}: hides previous definition of {}, which may be dropped when using apply",
                    self.path.child("env").index(index),
                    quote(&item.name)
                ));
            }
        }
    }

    fn ports(&self) -> impl Iterator<Item = (Path, &ContainerPort)> {
        let ports = self.ports.iter().enumerate();
        ports.map(|(index, port)| (self.path.child("ports").index(index), port))
    }
}

/// Ports of all containers that are in each other's way; then names that are taken.
pub(super) fn ports(out: &mut Vec<String>, containers: &[Container<'_>]) {
    let mut known: HashMap<(i32, &str), Vec<(Path, &ContainerPort)>> = HashMap::new();
    for (path, port) in containers.iter().flat_map(Container::ports) {
        let (ip, host) = (text(&port.host_ip), port.host_port.unwrap_or(0));
        if !ip.is_empty() && host == 0 {
            out.push(format!("{path}: hostIP set without hostPort: {}", go_format(port)));
        }
        let others = known.entry((port.container_port, text(&port.protocol))).or_default();
        for (at, other) in others.iter() {
            let (other_ip, other_host) = (text(&other.host_ip), other.host_port.unwrap_or(0));
            let what = if (ip, host) == (other_ip, other_host) {
                "duplicate"
            } else if host == 0 || other_host == 0 {
                "overlapping"
            } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            out.push(format!("{path}: {what} port definition with {at}"));
        }
        others.push((path, port));
    }
    let mut names: HashMap<&str, Path> = HashMap::new();
    for (path, port) in containers.iter().flat_map(Container::ports) {
        let name = text(&port.name);
        if name.is_empty() {
            continue;
        }
        if let Some(other) = names.get(name) {
            out.push(format!(
                "{path}: duplicate port name {} with {other}, services and probes that select ports by name will use {other}",
                quote(name)
            ));
        } else {
            names.insert(name, path);
        }
    }
}

/// The port as Go's `%+v` prints it.
fn go_format(port: &ContainerPort) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(&port.name),
        port.host_port.unwrap_or(0),
        port.container_port,
        text(&port.protocol),
        text(&port.host_ip)
    )
}
