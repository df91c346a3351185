//! What is mounted into a container: its volume mounts, /etc/hosts and the termination log
//! (upstream: kubelet_pods.go `makeMounts`, kuberuntime_container.go `makeMounts`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cri_proto::v1;
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::pods::PodExt;
use crate::runtime::container::Inputs;
use crate::runtime::container::env::expand;
use crate::runtime::sandbox::hostname_and_domain;
use crate::shared::Shared;

const ETC_HOSTS: &str = "/etc/hosts";

/// All mounts of a container. `lookup` finds its variables, for `subPathExpr`.
///
/// # Errors
/// The message of a `CreateContainerConfigError`.
pub(crate) fn of_container(
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    inputs: &Inputs<'_>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<v1::Mount>, String> {
    let mut mounts = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let volume = inputs.volumes.get(&mount.name).ok_or_else(|| {
            format!(
                "cannot find volume \"{}\" to mount into container \"{}\"",
                mount.name, container.name
            )
        })?;
        let mut host_path = volume.path.clone();
        let sub_path = sub_path(mount, lookup)?;
        if !sub_path.is_empty() {
            let place = shared
                .pod_dir(pod.uid())
                .join("volume-subpaths")
                .join(&mount.name)
                .join(&container.name)
                .join(index.to_string());
            host_path = bind_sub_path(&volume.path, &sub_path, &place).map_err(|error| {
                format!(
                    "failed to prepare subPath for volumeMount \"{}\" of container \"{}\": {error}",
                    mount.name, container.name
                )
            })?;
        }
        let path = if mount.mount_path.starts_with('/') {
            mount.mount_path.clone()
        } else {
            format!("/{}", mount.mount_path)
        };
        mounts.push(v1::Mount {
            container_path: path,
            host_path: host_path.to_string_lossy().into_owned(),
            readonly: mount.read_only == Some(true) || volume.read_only,
            propagation: match mount.mount_propagation.as_deref() {
                Some("HostToContainer") => v1::MountPropagation::PropagationHostToContainer,
                Some("Bidirectional") => v1::MountPropagation::PropagationBidirectional,
                _ => v1::MountPropagation::PropagationPrivate,
            } as i32,
            ..Default::default()
        });
    }
    let text = |error: io::Error| error.to_string();
    let has_hosts = mounts.iter().any(|m| m.container_path == ETC_HOSTS);
    if !has_hosts && (pod.host_network() || !inputs.addresses.pod_ips.is_empty()) {
        let path = write_hosts(shared, pod, &inputs.addresses.pod_ips).map_err(text)?;
        mounts.push(bind(ETC_HOSTS, &path));
    }
    let message_path = container.termination_message_path.as_deref().unwrap_or_default();
    if !message_path.is_empty() {
        let path = termination_log(shared, pod, container).map_err(text)?;
        mounts.push(bind(message_path, &path));
    }
    Ok(mounts)
}

fn bind(container_path: &str, host_path: &Path) -> v1::Mount {
    v1::Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.to_string_lossy().into_owned(),
        ..Default::default()
    }
}

fn sub_path(mount: &VolumeMount, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let expression = mount.sub_path_expr.as_deref().unwrap_or_default();
    let path = if expression.is_empty() {
        mount.sub_path.clone().unwrap_or_default()
    } else {
        let missing = std::cell::Cell::new(false);
        let path = expand(expression, &|name| {
            let value = lookup(name);
            missing.set(missing.get() || value.is_none());
            value
        });
        if missing.get() {
            return Err(format!(
                "missing value for \"{}\"",
                expression.trim_start_matches("$(").trim_end_matches(')')
            ));
        }
        path
    };
    if path.starts_with('/') {
        return Err(format!("error SubPath `{path}` must not be an absolute path"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("unable to provision SubPath `{path}`: must not contain '..'"));
    }
    Ok(path)
}

/// Opens `sub_path` without ever leaving `volume`, makes it when it is missing, and binds what was
/// opened to `place`: what a container does to the volume meanwhile cannot lead elsewhere
/// (upstream: pkg/volume/util/subpath `doBindSubPath`).
fn bind_sub_path(volume: &Path, sub_path: &str, place: &Path) -> io::Result<PathBuf> {
    if super::is_mount_point(place) {
        // A restart of the container: what the path means now counts.
        rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH)?;
    }
    let found = open_beneath(volume, sub_path)?;
    let is_dir = rustix::fs::fstat(&found)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if is_dir {
        std::fs::create_dir_all(place)?;
    } else if !place.exists() {
        std::fs::write(place, b"")?;
    }
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::mount::mount_bind(source, place)?;
    Ok(place.to_path_buf())
}

fn open_beneath(volume: &Path, sub_path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let volume_fd = rustix::fs::open(volume, flags | OFlags::DIRECTORY, Mode::empty())?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&volume_fd, sub_path, flags, Mode::empty(), beneath) {
        Err(rustix::io::Errno::NOENT) => {}
        other => return Ok(other?),
    }
    let mut current = volume_fd;
    for part in sub_path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match rustix::fs::mkdirat(&current, part, Mode::from_raw_mode(0o750)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        current = rustix::fs::openat2(&current, part, flags | OFlags::DIRECTORY, Mode::empty(), beneath)?;
        let fd = format!("/proc/self/fd/{}", current.as_raw_fd());
        std::fs::set_permissions(fd, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(current)
}

/// Makes the file a container's termination message is read from.
fn termination_log(shared: &Shared, pod: &Pod, container: &Container) -> io::Result<PathBuf> {
    let directory = shared.pod_dir(pod.uid()).join("containers").join(&container.name);
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{:08x}", rand::random::<u32>()));
    std::fs::write(&path, b"")?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    Ok(path)
}

/// Writes the pod's hosts file (upstream: kubelet_pods.go `ensureHostsFile`).
fn write_hosts(shared: &Shared, pod: &Pod, ips: &[String]) -> io::Result<PathBuf> {
    let path = shared.pod_dir(pod.uid()).join("etc-hosts");
    let mut text = if pod.host_network() {
        let own = std::fs::read_to_string(ETC_HOSTS).unwrap_or_default();
        format!("# Kubernetes-managed hosts file (host network).\n{own}")
    } else {
        let (name, domain) = hostname_and_domain(pod, &shared.config.file.cluster_domain);
        managed_hosts(ips, &name, &domain)
    };
    text.push_str(&aliases(pod));
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(path);
    }
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
    Ok(path)
}

fn managed_hosts(ips: &[String], name: &str, domain: &str) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    for ip in ips {
        if domain.is_empty() {
            text.push_str(&format!("{ip}\t{name}\n"));
        } else {
            text.push_str(&format!("{ip}\t{name}.{domain}\t{name}\n"));
        }
    }
    text
}

fn aliases(pod: &Pod) -> String {
    let aliases = pod.spec().host_aliases.as_deref().unwrap_or_default();
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        text.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sub_paths_stay_inside_their_volume() {
        let volume = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", volume.path().join("out")).unwrap();
        assert!(open_beneath(volume.path(), "out/passwd").is_err());
        open_beneath(volume.path(), "a/b").unwrap();
        assert!(volume.path().join("a/b").is_dir());
    }

    #[test]
    fn sub_path_expressions_need_all_their_variables() {
        let mount = |expression: &str| VolumeMount {
            sub_path_expr: Some(expression.to_owned()),
            ..VolumeMount::default()
        };
        let lookup = |name: &str| (name == "A").then(|| "x".to_owned());
        assert_eq!(sub_path(&mount("$(A)/y"), &lookup).unwrap(), "x/y");
        assert!(sub_path(&mount("$(B)"), &lookup).is_err());
        assert!(sub_path(&mount("../$(A)"), &lookup).is_err());
        assert!(sub_path(&mount("/$(A)"), &lookup).is_err());
    }

    #[test]
    fn hosts_file_begins_as_tools_expect() {
        let text = managed_hosts(&["10.0.0.1".into()], "p", "s.n.svc.cluster.local");
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("10.0.0.1\tp.s.n.svc.cluster.local\tp\n"));
    }
}
