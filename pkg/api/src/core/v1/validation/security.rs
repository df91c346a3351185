//! Security contexts of pods and containers.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{AppArmorProfile, PodSpec, SeccompProfile, SecurityContext};
use serde_json::Value;

use crate::check::{descending_path, list, one_of, required, text, to_value, unix_id};

/// `validatePodSpecSecurityContext`.
pub(super) fn pod_security_context(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let rule = "ShareProcessNamespace and HostPID cannot both be enabled";
        errs.push(Error::invalid(&path.child("shareProcessNamespace"), true, rule));
    }
    let Some(context) = &spec.security_context else { return };
    unix_id(errs, &path.child("fsGroup"), context.fs_group);
    unix_id(errs, &path.child("runAsUser"), context.run_as_user);
    unix_id(errs, &path.child("runAsGroup"), context.run_as_group);
    for (index, id) in list(&context.supplemental_groups).iter().enumerate() {
        unix_id(errs, &path.child("supplementalGroups").index(index), Some(*id));
    }
    sysctls(errs, spec, &path.child("sysctls"));
    for (field, value, allowed) in [
        (
            "fsGroupChangePolicy",
            &context.fs_group_change_policy,
            ["Always", "OnRootMismatch"],
        ),
        (
            "supplementalGroupsPolicy",
            &context.supplemental_groups_policy,
            ["Merge", "Strict"],
        ),
        (
            "seLinuxChangePolicy",
            &context.se_linux_change_policy,
            ["MountOption", "Recursive"],
        ),
    ] {
        if let Some(value) = value {
            one_of(errs, &path.child(field), value, &allowed);
        }
    }
    profiles(
        errs,
        context.seccomp_profile.as_ref(),
        context.app_armor_profile.as_ref(),
        path,
    );
}

/// `validateSysctls`.
fn sysctls(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
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
        } else if !seen.insert(name) {
            errs.push(Error::duplicate(&path, name));
        }
        let dotted = name.replace('/', ".");
        let is_ipc = dotted.starts_with("fs.mqueue.")
            || dotted.starts_with("kernel.shm")
            || dotted.starts_with("kernel.msg")
            || dotted == "kernel.sem";
        if spec.host_network == Some(true) && dotted.starts_with("net.") {
            errs.push(Error::invalid(
                &path,
                name,
                "may not be specified when 'hostNetwork' is true",
            ));
        } else if spec.host_ipc == Some(true) && is_ipc {
            errs.push(Error::invalid(
                &path,
                name,
                "may not be specified when 'hostIPC' is true",
            ));
        }
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

/// `ValidateSecurityContext`. Privileged containers are allowed, as with `--allow-privileged`.
pub(super) fn security_context(errs: &mut ErrorList, c: &SecurityContext, host_users: bool, path: &Path) {
    unix_id(errs, &path.child("runAsUser"), c.run_as_user);
    unix_id(errs, &path.child("runAsGroup"), c.run_as_group);
    if let Some(mount) = &c.proc_mount {
        let path = path.child("procMount");
        one_of(errs, &path, mount, &["Default", "Unmasked"]);
        if host_users && mount == "Unmasked" {
            errs.push(Error::invalid(
                &path,
                mount,
                "`hostUsers` must be false to use `Unmasked`",
            ));
        }
    }
    profiles(errs, c.seccomp_profile.as_ref(), c.app_armor_profile.as_ref(), path);
    if c.allow_privilege_escalation == Some(false) {
        let value = to_value(c);
        if c.privileged == Some(true) {
            let rule = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errs.push(Error::invalid(path, &value, rule));
        }
        let added = c.capabilities.as_ref().map_or(&[][..], |c| list(&c.add));
        if added.iter().any(|c| c == "CAP_SYS_ADMIN") {
            let rule = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errs.push(Error::invalid(path, &value, rule));
        }
    }
}

fn profiles(errs: &mut ErrorList, seccomp: Option<&SeccompProfile>, app_armor: Option<&AppArmorProfile>, path: &Path) {
    if let Some(p) = seccomp {
        let path = path.child("seccompProfile");
        profile_type(errs, &p.type_, "type is required when seccompProfile is set", &path);
        let local = path.child("localhostProfile");
        match (p.type_ == "Localhost", &p.localhost_profile) {
            (true, None) => {
                errs.push(Error::required(&local, "must be set when seccomp type is Localhost"));
            }
            (true, Some(profile)) => descending_path(errs, &local, profile),
            (false, Some(_)) => {
                let rule = "can only be set when seccomp type is Localhost";
                errs.push(Error::invalid(&local, &to_value(p), rule));
            }
            (false, None) => {}
        }
    }
    if let Some(p) = app_armor {
        let path = path.child("appArmorProfile");
        profile_type(errs, &p.type_, "type is required when appArmorProfile is set", &path);
        let local = path.child("localhostProfile");
        let profile = text(&p.localhost_profile);
        if p.type_ == "Localhost" {
            if profile.trim() != profile {
                errs.push(Error::invalid(&local, profile, "must not be padded with whitespace"));
            } else if profile.is_empty() {
                errs.push(Error::required(&local, "must be set when AppArmor type is Localhost"));
            }
            if profile.len() > 4095 {
                errs.push(Error::too_long(&local, 4095));
            }
        } else if p.localhost_profile.is_some() {
            let rule = "can only be set when AppArmor type is Localhost";
            errs.push(Error::invalid(&local, profile, rule));
        }
    }
}

fn profile_type(errs: &mut ErrorList, type_: &str, missing: &str, path: &Path) {
    let path = path.child("type");
    if type_.is_empty() {
        errs.push(Error::required(&path, missing));
    } else {
        one_of(errs, &path, type_, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
}

/// Fields that make no sense on the pod's operating system (`validateLinux`, `validateWindows`).
pub(super) fn os_fields(errs: &mut ErrorList, spec: &PodSpec, os: &str, path: &Path) {
    const WINDOWS_POD: [&str; 11] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    const WINDOWS_CONTAINER: [&str; 10] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    let (pod, container, rule): (&[&str], &[&str], _) = match os {
        "windows" => (&WINDOWS_POD, &WINDOWS_CONTAINER, "cannot be set for a windows pod"),
        "linux" => (
            &["windowsOptions"],
            &["windowsOptions"],
            "windows options cannot be set for a linux pod",
        ),
        _ => return,
    };
    let mut refuse = |context: &Value, fields: &[&str], path: &Path| {
        for field in fields.iter().filter(|f| context.get(**f).is_some_and(|v| !v.is_null())) {
            errs.push(Error::forbidden(&path.child(field), rule));
        }
    };
    refuse(&to_value(&spec.security_context), pod, &path.child("securityContext"));
    if os == "windows" {
        let spec = to_value(spec);
        for field in ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"] {
            let set = match field {
                "hostPID" | "hostIPC" => spec.get(field) == Some(&Value::Bool(true)),
                _ => spec.get(field).is_some(),
            };
            if set {
                refuse(&spec, &[field], path);
            }
        }
    }
    for (name, containers) in [
        ("containers", &spec.containers[..]),
        ("initContainers", list(&spec.init_containers)),
    ] {
        for (index, c) in containers.iter().enumerate() {
            let path = path.child(name).index(index).child("securityContext");
            refuse(&to_value(&c.security_context), container, &path);
        }
    }
}
