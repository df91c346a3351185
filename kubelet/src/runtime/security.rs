//! Security settings of sandboxes and containers (upstream: kuberuntime/security_context.go,
//! pkg/securitycontext).

use cri_proto::v1;
use cri_proto::v1::security_profile::ProfileType;
use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};

use crate::pods::PodExt;

const MASKED_PATHS: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READONLY_PATHS: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The user an image runs as, when nothing else is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImageUser {
    pub(crate) uid: Option<i64>,
    pub(crate) name: String,
}

/// The namespaces a pod's sandbox has, or a container of it, `target` being the container whose
/// processes an ephemeral container sees.
pub(crate) fn namespaces(pod: &Pod, target: Option<&str>) -> v1::NamespaceOption {
    use v1::NamespaceMode as Mode;
    let spec = pod.spec();
    let pid = if spec.host_pid == Some(true) {
        Mode::Node
    } else if spec.share_process_namespace == Some(true) {
        Mode::Pod
    } else if target.is_some() {
        Mode::Target
    } else {
        Mode::Container
    };
    let node_or_pod = |node: bool| if node { Mode::Node } else { Mode::Pod } as i32;
    v1::NamespaceOption {
        network: node_or_pod(pod.host_network()),
        pid: pid as i32,
        ipc: node_or_pod(spec.host_ipc == Some(true)),
        target_id: target.filter(|_| pid == Mode::Target).unwrap_or_default().to_owned(),
        userns_options: None,
    }
}

/// Settings of the sandbox's own process.
pub(crate) fn sandbox(pod: &Pod) -> v1::LinuxSandboxSecurityContext {
    let context = pod.spec().security_context.clone().unwrap_or_default();
    v1::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod, None)),
        run_as_user: context.run_as_user.map(|value| v1::Int64Value { value }),
        run_as_group: context.run_as_group.map(|value| v1::Int64Value { value }),
        supplemental_groups: groups(&context),
        privileged: is_privileged(pod),
        seccomp: Some(profile(ProfileType::RuntimeDefault)),
        ..Default::default()
    }
}

fn is_privileged(pod: &Pod) -> bool {
    let spec = pod.spec();
    spec.containers
        .iter()
        .chain(pod.init_containers())
        .any(|c| c.security_context.as_ref().is_some_and(|s| s.privileged == Some(true)))
}

fn groups(context: &PodSecurityContext) -> Vec<i64> {
    let mut groups: Vec<i64> = context.fs_group.into_iter().collect();
    groups.extend(context.supplemental_groups.iter().flatten());
    groups
}

/// Settings of a container. `seccomp_default`: containers that say nothing get the runtime's
/// profile.
///
/// # Errors
/// The text of a `CreateContainerConfigError` when `runAsNonRoot` is not met.
pub(crate) fn container(
    pod: &Pod,
    container: &Container,
    image: &ImageUser,
    target: Option<&str>,
    seccomp_default: bool,
    seccomp_root: &std::path::Path,
) -> Result<v1::LinuxContainerSecurityContext, String> {
    let of_pod = pod.spec().security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let run_as_user = own.run_as_user.or(of_pod.run_as_user);
    let run_as_group = own.run_as_group.or(of_pod.run_as_group);
    verify_non_root(pod, container, run_as_user, &own, &of_pod, image)?;
    let privileged = own.privileged == Some(true);
    let unmasked = own.proc_mount.as_deref() == Some("Unmasked") || privileged;
    let paths = |paths: &[&str]| {
        if unmasked {
            Vec::new()
        } else {
            paths.iter().map(|p| (*p).to_owned()).collect()
        }
    };
    let apparmor = own.app_armor_profile.as_ref().or(of_pod.app_armor_profile.as_ref());
    let seccomp = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
    let (user, username) = match (run_as_user, image.uid) {
        (Some(uid), _) | (None, Some(uid)) => (Some(uid), String::new()),
        (None, None) => (None, image.name.clone()),
    };
    let strict = of_pod.supplemental_groups_policy.as_deref() == Some("Strict");
    Ok(v1::LinuxContainerSecurityContext {
        capabilities: own.capabilities.as_ref().map(|capabilities| v1::Capability {
            add_capabilities: capabilities.add.clone().unwrap_or_default(),
            drop_capabilities: capabilities.drop.clone().unwrap_or_default(),
            add_ambient_capabilities: Vec::new(),
        }),
        privileged,
        namespace_options: Some(namespaces(pod, target)),
        selinux_options: own
            .se_linux_options
            .as_ref()
            .or(of_pod.se_linux_options.as_ref())
            .map(selinux),
        run_as_user: user.map(|value| v1::Int64Value { value }),
        run_as_group: run_as_group.map(|value| v1::Int64Value { value }),
        run_as_username: username,
        readonly_rootfs: own.read_only_root_filesystem == Some(true),
        supplemental_groups: groups(&of_pod),
        supplemental_groups_policy: i32::from(strict),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        masked_paths: paths(MASKED_PATHS),
        readonly_paths: paths(READONLY_PATHS),
        seccomp: Some(seccomp_profile(seccomp, seccomp_default, seccomp_root)),
        apparmor: apparmor.map(apparmor_profile),
        ..Default::default()
    })
}

/// Upstream: kuberuntime/security_context.go `verifyRunAsNonRoot`.
fn verify_non_root(
    pod: &Pod,
    container: &Container,
    run_as_user: Option<i64>,
    own: &SecurityContext,
    of_pod: &PodSecurityContext,
    image: &ImageUser,
) -> Result<(), String> {
    if own.run_as_non_root.or(of_pod.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let whose = format!(
        "(pod: \"{}_{}({})\", container: {})",
        pod.name(),
        pod.namespace(),
        pod.uid(),
        container.name
    );
    match (run_as_user, image.uid) {
        (Some(0), _) => Err(format!("container's runAsUser breaks non-root policy {whose}")),
        (Some(_), _) => Ok(()),
        (None, Some(0)) => Err(format!("container has runAsNonRoot and image will run as root {whose}")),
        (None, None) if !image.name.is_empty() => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {whose}",
            image.name
        )),
        _ => Ok(()),
    }
}

fn selinux(options: &SELinuxOptions) -> v1::SeLinuxOption {
    v1::SeLinuxOption {
        user: options.user.clone().unwrap_or_default(),
        role: options.role.clone().unwrap_or_default(),
        r#type: options.type_.clone().unwrap_or_default(),
        level: options.level.clone().unwrap_or_default(),
    }
}

fn apparmor_profile(given: &AppArmorProfile) -> v1::SecurityProfile {
    match (given.type_.as_str(), &given.localhost_profile) {
        ("Localhost", Some(name)) => v1::SecurityProfile {
            profile_type: ProfileType::Localhost as i32,
            localhost_ref: name.clone(),
        },
        ("RuntimeDefault", _) => profile(ProfileType::RuntimeDefault),
        _ => profile(ProfileType::Unconfined),
    }
}

fn profile(kind: ProfileType) -> v1::SecurityProfile {
    v1::SecurityProfile {
        profile_type: kind as i32,
        localhost_ref: String::new(),
    }
}

fn seccomp_profile(
    given: Option<&SeccompProfile>,
    default_to_runtime: bool,
    root: &std::path::Path,
) -> v1::SecurityProfile {
    match given.map(|g| (g.type_.as_str(), g.localhost_profile.as_deref())) {
        Some(("RuntimeDefault", _)) => profile(ProfileType::RuntimeDefault),
        Some(("Localhost", Some(file))) => v1::SecurityProfile {
            profile_type: ProfileType::Localhost as i32,
            localhost_ref: root.join(file).to_string_lossy().into_owned(),
        },
        Some(_) => profile(ProfileType::Unconfined),
        None if default_to_runtime => profile(ProfileType::RuntimeDefault),
        None => profile(ProfileType::Unconfined),
    }
}
