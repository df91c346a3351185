//! What a pod's operating system allows, and the options of Windows.

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation as rules;
use k8s_openapi::api::core::v1::{PodSpec, WindowsSecurityContextOptions};

use super::container;
use crate::capabilities;
use crate::check::{invalid_each, list};

/// Fields that make no sense on the pod's operating system (`validateLinux`, `validateWindows`).
pub(super) fn os_fields(errs: &mut ErrorList, spec: &PodSpec, os: &str, path: &Path) {
    if os == "linux" {
        let rule = "windows options cannot be set for a linux pod";
        let context = spec.security_context.as_ref();
        if context.is_some_and(|c| c.windows_options.is_some()) {
            let path = path.child("securityContext").child("windowsOptions");
            errs.push(Error::forbidden(&path, rule));
        }
        container::visit(spec, path, |c, path| {
            if c.security_context.as_ref().is_some_and(|c| c.windows_options.is_some()) {
                let path = path.child("securityContext").child("windowsOptions");
                errs.push(Error::forbidden(&path, rule));
            }
        });
        return;
    }
    let none = Default::default();
    let c = spec.security_context.as_ref().unwrap_or(&none);
    let context = path.child("securityContext");
    refuse(
        errs,
        &[
            (context.child("appArmorProfile"), c.app_armor_profile.is_some()),
            (context.child("seLinuxOptions"), c.se_linux_options.is_some()),
            (path.child("hostUsers"), spec.host_users.is_some()),
            (path.child("hostPID"), spec.host_pid == Some(true)),
            (path.child("hostIPC"), spec.host_ipc == Some(true)),
            (context.child("seccompProfile"), c.seccomp_profile.is_some()),
            (context.child("fsGroup"), c.fs_group.is_some()),
            (context.child("fsGroupChangePolicy"), c.fs_group_change_policy.is_some()),
            (context.child("sysctls"), !list(&c.sysctls).is_empty()),
            (
                path.child("shareProcessNamespace"),
                spec.share_process_namespace.is_some(),
            ),
            (context.child("runAsUser"), c.run_as_user.is_some()),
            (context.child("runAsGroup"), c.run_as_group.is_some()),
            (context.child("supplementalGroups"), c.supplemental_groups.is_some()),
            (
                context.child("supplementalGroupsPolicy"),
                c.supplemental_groups_policy.is_some(),
            ),
            (context.child("seLinuxChangePolicy"), c.se_linux_change_policy.is_some()),
        ],
    );
    container::visit(spec, path, |c, path| {
        let Some(c) = &c.security_context else { return };
        let path = path.child("securityContext");
        refuse(
            errs,
            &[
                (path.child("appArmorProfile"), c.app_armor_profile.is_some()),
                (path.child("seLinuxOptions"), c.se_linux_options.is_some()),
                (path.child("seccompProfile"), c.seccomp_profile.is_some()),
                (path.child("capabilities"), c.capabilities.is_some()),
                (
                    path.child("readOnlyRootFilesystem"),
                    c.read_only_root_filesystem.is_some(),
                ),
                (path.child("privileged"), c.privileged.is_some()),
                (
                    path.child("allowPrivilegeEscalation"),
                    c.allow_privilege_escalation.is_some(),
                ),
                (path.child("procMount"), c.proc_mount.is_some()),
                (path.child("runAsUser"), c.run_as_user.is_some()),
                (path.child("runAsGroup"), c.run_as_group.is_some()),
            ],
        );
    });
}

fn refuse(errs: &mut ErrorList, fields: &[(Path, bool)]) {
    for (path, _) in fields.iter().filter(|(_, set)| *set) {
        errs.push(Error::forbidden(path, "cannot be set for a windows pod"));
    }
}

/// Containers that run as processes of a Windows host do so all together
/// (`validateWindowsHostProcessPod`).
pub(super) fn host_process(errs: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let pod = spec.security_context.as_ref().and_then(|c| c.windows_options.as_ref());
    let pod = pod.and_then(|w| w.host_process);
    let (mut all, mut on_host) = (0, 0);
    container::visit(spec, path, |c, path| {
        all += 1;
        let options = c.security_context.as_ref().and_then(|c| c.windows_options.as_ref());
        let own = options.and_then(|w| w.host_process);
        if let (Some(pod), Some(own)) = (pod, own)
            && pod != own
        {
            let path = path
                .child("securityContext")
                .child("windowsOptions")
                .child("hostProcess");
            let rule = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errs.push(Error::invalid(&path, own, rule));
        }
        on_host += usize::from(own.or(pod) == Some(true));
    });
    if on_host == 0 {
        return;
    }
    if on_host != all {
        let rule = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errs.push(Error::invalid(path, "", rule));
    }
    if spec.host_network != Some(true) {
        let rule = "hostNetwork must be true if pod contains any hostProcess containers";
        errs.push(Error::invalid(&path.child("hostNetwork"), false, rule));
    }
    if !capabilities::privileged() {
        let rule = "hostProcess containers are disallowed by cluster policy";
        errs.push(Error::forbidden(path, rule));
    }
}

/// Largest credential spec in bytes, and the longest parts of a user's name.
const CREDENTIAL_MAX: usize = 64 * 1024;
const DOMAIN_MAX: usize = 256;
const USER_MAX: usize = 104;

/// `validateWindowsSecurityContextOptions`.
pub(super) fn options(errs: &mut ErrorList, options: Option<&WindowsSecurityContextOptions>, path: &Path) {
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        let path = path.child("gmsaCredentialSpecName");
        invalid_each(errs, &path, BadValue::named(name), rules::is_dns1123_subdomain(name));
    }
    if let Some(spec) = &options.gmsa_credential_spec {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errs.push(Error::invalid(
                &path,
                BadValue::named(spec),
                "gmsaCredentialSpec cannot be an empty string",
            ));
        } else if spec.len() > CREDENTIAL_MAX {
            errs.push(Error::invalid(
                &path,
                BadValue::named(spec),
                "gmsaCredentialSpec size must be under 64 KiB",
            ));
        }
    }
    if let Some(name) = &options.run_as_user_name {
        for rule in user_name(name) {
            errs.push(Error::invalid(
                &path.child("runAsUserName"),
                BadValue::named(name),
                rule,
            ));
        }
    }
}

/// What is wrong with `user` or `domain\user`.
fn user_name(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts[..] {
        _ if name.is_empty() => return vec!["runAsUserName cannot be an empty string".to_string()],
        _ if name.chars().any(|c| c.is_ascii_control()) => {
            return vec!["runAsUserName cannot contain control characters".to_string()];
        }
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return vec!["runAsUserName cannot contain more than one backslash".to_string()],
    };
    let mut out = vec![];
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_MAX {
            out.push(format!(
                "runAsUserName's Domain length must be under {DOMAIN_MAX} characters"
            ));
        }
        if !is_net_bios(domain) && !is_dns(domain) {
            out.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_string());
        }
    }
    if user.is_empty() {
        out.push("runAsUserName's User cannot be empty".to_string());
    } else if user.len() > USER_MAX {
        out.push(format!(
            "runAsUserName's User length must not be longer than {USER_MAX} characters"
        ));
    }
    if !user.is_empty() && user.chars().all(|c| c == '.' || c == ' ') {
        out.push("runAsUserName's User cannot contain only periods or spaces".to_string());
    }
    if user.contains(|c| "\"/\\:;|=,+*?<>@[]".contains(c)) {
        out.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]".to_string());
    }
    out
}

fn is_net_bios(domain: &str) -> bool {
    let good = |c: char| !"\\/:*?\"<>|".contains(c);
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && domain.chars().all(good)
}

fn is_dns(domain: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.starts_with(edge)
            && label.ends_with(edge)
            && label.chars().all(|c| edge(c) || c == '-')
    })
}
