//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext};

use super::options::Options;
use super::windows;
use crate::capabilities;
use crate::check::{descending_path, list, one_of, required, unix_id};
use crate::internal::shown;

/// `validatePodSpecSecurityContext`. Upstream's internal type keeps the host namespaces in the security
/// context, which is why the errors of `shareProcessNamespace` have its path.
pub(super) fn pod_security_context(errs: &mut ErrorList, spec: &PodSpec, path: &Path, options: Options) {
    let none = PodSecurityContext::default();
    let context = spec.security_context.as_ref().unwrap_or(&none);
    unix_id(errs, &path.child("fsGroup"), context.fs_group);
    unix_id(errs, &path.child("runAsUser"), context.run_as_user);
    unix_id(errs, &path.child("runAsGroup"), context.run_as_group);
    for (index, id) in list(&context.supplemental_groups).iter().enumerate() {
        unix_id(errs, &path.child("supplementalGroups").index(index), Some(*id));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let rule = "ShareProcessNamespace and HostPID cannot both be enabled";
        errs.push(Error::invalid(&path.child("shareProcessNamespace"), true, rule));
    }
    sysctls(errs, spec, &path.child("sysctls"), options);
    if let Some(policy) = &context.fs_group_change_policy {
        let path = path.child("fsGroupChangePolicy");
        one_of(errs, &path, policy, &["Always", "OnRootMismatch"]);
    }
    seccomp(errs, context.seccomp_profile.as_ref(), &path.child("seccompProfile"));
    windows::options(errs, context.windows_options.as_ref(), &path.child("windowsOptions"));
    app_armor(errs, context.app_armor_profile.as_ref(), &path.child("appArmorProfile"));
    if let Some(policy) = &context.supplemental_groups_policy {
        let path = path.child("supplementalGroupsPolicy");
        one_of(errs, &path, policy, &["Merge", "Strict"]);
    }
    if let Some(policy) = &context.se_linux_change_policy {
        let known: &[&str] = if options.mount_option {
            &["MountOption", "Recursive"]
        } else {
            &["Recursive"]
        };
        one_of(errs, &path.child("seLinuxChangePolicy"), policy, known);
    }
}

/// `validateSysctls`.
fn sysctls(errs: &mut ErrorList, spec: &PodSpec, path: &Path, options: Options) {
    let sysctls = spec.security_context.as_ref().map_or(&[][..], |c| list(&c.sysctls));
    let mut seen = BTreeSet::new();
    for (index, sysctl) in sysctls.iter().enumerate() {
        let path = path.index(index).child("name");
        let name = sysctl.name.as_str();
        if name.is_empty() {
            required(errs, &path, name);
        } else if !is_sysctl_name(name) {
            let rule = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errs.push(Error::invalid(&path, name, rule));
        } else if seen.contains(name) {
            errs.push(Error::duplicate(&path, name));
        }
        if !options.host_sysctls {
            host_sysctl(errs, name, spec, &path);
        }
        seen.insert(name);
    }
}

/// Sysctls of a namespace that the pod shares with the host.
pub(super) fn host_sysctls(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let context = spec.security_context.as_ref();
    for sysctl in context.map_or(&[][..], |c| list(&c.sysctls)) {
        host_sysctl(errs, &sysctl.name, spec, path);
    }
}

/// `ValidateHostSysctl`.
fn host_sysctl(errs: &mut ErrorList, name: &str, spec: &PodSpec, path: &Path) {
    let dotted = name.replace('/', ".");
    let is_ipc = ["fs.mqueue.", "kernel.shm", "kernel.msg"]
        .iter()
        .any(|prefix| dotted.starts_with(prefix))
        || dotted == "kernel.sem";
    if spec.host_network == Some(true) && dotted.starts_with("net.") {
        let rule = "may not be specified when 'hostNetwork' is true";
        errs.push(Error::invalid(path, name, rule));
    } else if spec.host_ipc == Some(true) && is_ipc {
        let rule = "may not be specified when 'hostIPC' is true";
        errs.push(Error::invalid(path, name, rule));
    }
}

/// `IsValidSysctlName`.
fn is_sysctl_name(name: &str) -> bool {
    let segment = |s: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        s.chars().all(inner) && s.starts_with(edge) && s.ends_with(edge)
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

/// `ValidateSecurityContext`.
pub(super) fn security_context(errs: &mut ErrorList, c: &SecurityContext, host_users: bool, path: &Path) {
    privileged(errs, c, path, capabilities::privileged());
    unix_id(errs, &path.child("runAsUser"), c.run_as_user);
    unix_id(errs, &path.child("runAsGroup"), c.run_as_group);
    if let Some(mount) = &c.proc_mount {
        let path = path.child("procMount");
        one_of(errs, &path, mount, &["Default", "Unmasked"]);
        if host_users && mount == "Unmasked" {
            errs.push(Error::invalid(
                &path,
                BadValue::named(mount),
                "`hostUsers` must be false to use `Unmasked`",
            ));
        }
    }
    seccomp(errs, c.seccomp_profile.as_ref(), &path.child("seccompProfile"));
    if c.allow_privilege_escalation == Some(false) {
        let mut refuse = |what: &str| {
            let rule = format!("cannot set `allowPrivilegeEscalation` to false and {what}");
            errs.push(Error::invalid(path, shown("core.SecurityContext", c), rule));
        };
        if c.privileged == Some(true) {
            refuse("`privileged` to true");
        }
        let added = c.capabilities.as_ref().map_or(&[][..], |c| list(&c.add));
        for _ in added.iter().filter(|c| *c == "CAP_SYS_ADMIN") {
            refuse("`capabilities.Add` CAP_SYS_ADMIN");
        }
    }
    windows::options(errs, c.windows_options.as_ref(), &path.child("windowsOptions"));
    app_armor(errs, c.app_armor_profile.as_ref(), &path.child("appArmorProfile"));
}

/// Privileged containers are for clusters that allow them (`--allow-privileged`).
fn privileged(errs: &mut ErrorList, c: &SecurityContext, path: &Path, allowed: bool) {
    if c.privileged == Some(true) && !allowed {
        errs.push(Error::forbidden(
            &path.child("privileged"),
            "disallowed by cluster policy",
        ));
    }
}

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

/// `validateSeccompProfileField`.
fn seccomp(errs: &mut ErrorList, profile: Option<&SeccompProfile>, path: &Path) {
    let Some(p) = profile else { return };
    if p.type_.is_empty() {
        let rule = "type is required when seccompProfile is set";
        errs.push(Error::required(&path.child("type"), rule));
    } else {
        one_of(errs, &path.child("type"), &p.type_, &PROFILES);
    }
    let local = path.child("localhostProfile");
    match (p.type_ == "Localhost", &p.localhost_profile) {
        (true, None) => {
            errs.push(Error::required(&local, "must be set when seccomp type is Localhost"));
        }
        (true, Some(profile)) => descending_path(errs, &local, profile),
        (false, Some(_)) => {
            let rule = "can only be set when seccomp type is Localhost";
            errs.push(Error::invalid(&local, shown("core.SeccompProfile", p), rule));
        }
        (false, None) => {}
    }
}

/// Longest path of a profile: a path's limit without its end mark.
const APP_ARMOR_MAX: usize = 4095;

/// `ValidateAppArmorProfileField`.
pub(crate) fn app_armor(errs: &mut ErrorList, profile: Option<&AppArmorProfile>, path: &Path) {
    let Some(p) = profile else { return };
    let local = path.child("localhostProfile");
    match (p.type_.as_str(), &p.localhost_profile) {
        ("Localhost", None) => {
            errs.push(Error::required(&local, "must be set when AppArmor type is Localhost"));
        }
        ("Localhost", Some(profile)) => {
            if profile.trim() != profile {
                errs.push(Error::invalid(&local, profile, "must not be padded with whitespace"));
            } else if profile.is_empty() {
                errs.push(Error::required(&local, "must be set when AppArmor type is Localhost"));
            }
            if profile.len() > APP_ARMOR_MAX {
                errs.push(Error::too_long(&local, APP_ARMOR_MAX));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(profile)) => {
            let rule = "can only be set when AppArmor type is Localhost";
            errs.push(Error::invalid(&local, profile, rule));
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            let rule = "type is required when appArmorProfile is set";
            errs.push(Error::required(&path.child("type"), rule));
        }
        (other, _) => one_of(errs, &path.child("type"), other, &PROFILES),
    }
}

/// A seccomp profile as an annotation names it (`ValidateSeccompProfile`).
pub(super) fn seccomp_annotation(errs: &mut ErrorList, value: &str, path: &Path) {
    if matches!(value, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    match value.strip_prefix("localhost/") {
        Some(file) => descending_path(errs, path, file),
        None => errs.push(Error::invalid(path, value, "must be a valid seccomp profile")),
    }
}

/// Annotation and field of one pod or container agree (`validateSeccompAnnotationsAndFieldsMatch`).
pub(super) fn seccomp_matches(errs: &mut ErrorList, annotation: &str, profile: &SeccompProfile, path: &Path) {
    let same = match profile.type_.as_str() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => matches!(annotation, "runtime/default" | "docker/default"),
        "Localhost" => match annotation.strip_prefix("localhost/") {
            Some(file) => {
                if profile.localhost_profile.as_deref() != Some(file) {
                    let rule = "seccomp profile in annotation and field must match";
                    errs.push(Error::forbidden(&path.child("localhostProfile"), rule));
                }
                true
            }
            None => false,
        },
        _ => true,
    };
    if !same {
        let rule = "seccomp type in annotation and field must match";
        errs.push(Error::forbidden(&path.child("type"), rule));
    }
}

/// [`seccomp_matches`] for AppArmor (`validateAppArmorAnnotationsAndFieldsMatchOnCreate`).
pub(super) fn app_armor_matches(errs: &mut ErrorList, annotation: &str, profile: &AppArmorProfile, path: &Path) {
    let same = match profile.type_.as_str() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default",
        "Localhost" => match annotation.strip_prefix("localhost/") {
            Some(name) => {
                if profile.localhost_profile.as_deref() != Some(name) {
                    let rule = "apparmor profile in annotation and field must match";
                    errs.push(Error::forbidden(&path.child("localhostProfile"), rule));
                }
                true
            }
            None => false,
        },
        _ => true,
    };
    if !same {
        let rule = "apparmor type in annotation and field must match";
        errs.push(Error::forbidden(&path.child("type"), rule));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileged_containers_need_a_cluster_that_allows_them() {
        let path = Path::new("spec");
        for (asked, allowed, want) in [
            (Some(true), true, 0),
            (Some(true), false, 1),
            (Some(false), false, 0),
            (None, false, 0),
        ] {
            let context = SecurityContext {
                privileged: asked,
                ..Default::default()
            };
            let mut errs = ErrorList::new();
            privileged(&mut errs, &context, &path, allowed);
            assert_eq!(errs.len(), want, "{asked:?} {allowed}");
            for e in errs {
                assert_eq!(
                    e.to_string(),
                    "spec.privileged: Forbidden: disallowed by cluster policy"
                );
            }
        }
    }
}
