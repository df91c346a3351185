//! Volumes of pods on this node: made before containers start, refreshed while they run, removed
//! after they are gone.
//!
//! `payload` says which files a configMap, secret, projected or downwardAPI volume has, `atomic`
//! writes them, `ownership` applies fsGroup, `mounts` turns volume mounts into those of the CRI.

pub(crate) mod atomic;
pub(crate) mod mounts;
pub(crate) mod objects;
mod ownership;
mod payload;
pub(crate) mod tokens;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{HostPathVolumeSource, Pod, Volume};

use crate::pods::PodExt;
use crate::shared::Shared;

/// Where each volume of a pod is on the node, by its name in the spec.
#[derive(Debug, Clone, Default)]
pub(crate) struct Volumes {
    by_name: HashMap<String, Prepared>,
}

/// One volume on the node.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    /// Directory or file to mount.
    pub(crate) path: PathBuf,
    /// Containers may not write to it, whatever they ask for.
    pub(crate) read_only: bool,
}

impl Volumes {
    /// A volume by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Prepared> {
        self.by_name.get(name)
    }
}

/// The directory name of a kind of volume (upstream: volume plugin names, escaped).
fn plugin(volume: &Volume) -> Option<&'static str> {
    if volume.config_map.is_some() {
        Some("kubernetes.io~configmap")
    } else if volume.secret.is_some() {
        Some("kubernetes.io~secret")
    } else if volume.projected.is_some() {
        Some("kubernetes.io~projected")
    } else if volume.downward_api.is_some() {
        Some("kubernetes.io~downward-api")
    } else if volume.empty_dir.is_some() {
        Some("kubernetes.io~empty-dir")
    } else {
        None
    }
}

/// Makes or refreshes all volumes of a pod.
///
/// # Errors
/// The text of a `FailedMount` event.
pub(crate) async fn prepare(shared: &Shared, pod: &Pod) -> Result<Volumes, String> {
    let mut volumes = Volumes::default();
    for volume in pod.spec().volumes.iter().flatten() {
        let prepared = prepare_one(shared, pod, volume)
            .await
            .map_err(|error| format!("MountVolume.SetUp failed for volume \"{}\" : {error}", volume.name))?;
        volumes.by_name.insert(volume.name.clone(), prepared);
    }
    Ok(volumes)
}

async fn prepare_one(shared: &Shared, pod: &Pod, volume: &Volume) -> Result<Prepared, String> {
    if let Some(host_path) = &volume.host_path {
        return host_path_volume(host_path);
    }
    let Some(plugin) = plugin(volume) else {
        return Err(format!("no volume plugin matched name: {}", volume.name));
    };
    let path = shared
        .pod_dir(pod.uid())
        .join("volumes")
        .join(plugin)
        .join(&volume.name);
    let text = |error: std::io::Error| error.to_string();
    let fs_group = pod.spec().security_context.as_ref().and_then(|c| c.fs_group);
    if let Some(empty) = &volume.empty_dir {
        let fresh = !path.exists();
        std::fs::create_dir_all(&path).map_err(text)?;
        if empty.medium.as_deref() == Some("Memory") {
            let limit = empty.size_limit.as_ref();
            let limit = limit.and_then(|q| apimachinery::quantity::Quantity::from_api(q).ok());
            mount_tmpfs(&path, limit.map(|q| q.value()), "0777").map_err(text)?;
        }
        if fresh {
            ownership::set_mode(&path, 0o777).map_err(text)?;
            ownership::apply(&path, fs_group, false).map_err(text)?;
        }
        return Ok(Prepared { path, read_only: false });
    }
    let files = payload::of_volume(shared, pod, volume).await?;
    let existed = path.exists();
    std::fs::create_dir_all(&path).map_err(text)?;
    if volume.secret.is_some() || volume.projected.is_some() {
        // Secrets are never written to a disk.
        mount_tmpfs(&path, None, "0755").map_err(text)?;
    }
    if !existed {
        ownership::set_mode(&path, 0o777).map_err(text)?;
    }
    let changed = atomic::write(&path, &files).map_err(text)?;
    if changed {
        ownership::apply(&path, fs_group, true).map_err(text)?;
    }
    Ok(Prepared { path, read_only: true })
}

/// Checks or makes a path of the node (upstream: pkg/volume/hostpath `checkType`).
fn host_path_volume(source: &HostPathVolumeSource) -> Result<Prepared, String> {
    let path = PathBuf::from(&source.path);
    let kind = std::fs::metadata(&path).ok();
    let is = |test: fn(&std::fs::FileType) -> bool| kind.as_ref().is_some_and(|m| test(&m.file_type()));
    use std::os::unix::fs::FileTypeExt;
    let text = |error: std::io::Error| error.to_string();
    let wrong = |what: &str| Err(format!("hostPath type check failed: {} is not {what}", source.path));
    match source.type_.as_deref().unwrap_or_default() {
        "" => {}
        "DirectoryOrCreate" => {
            if kind.is_none() {
                std::fs::create_dir_all(&path).map_err(text)?;
                ownership::set_mode(&path, 0o755).map_err(text)?;
            } else if !is(std::fs::FileType::is_dir) {
                return wrong("a directory");
            }
        }
        "FileOrCreate" => {
            if kind.is_none() {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&path)
                    .map_err(text)?;
                ownership::set_mode(&path, 0o644).map_err(text)?;
            } else if !is(std::fs::FileType::is_file) {
                return wrong("a file");
            }
        }
        "Directory" if !is(std::fs::FileType::is_dir) => return wrong("a directory"),
        "File" if !is(std::fs::FileType::is_file) => return wrong("a file"),
        "Socket" if !is(FileTypeExt::is_socket) => return wrong("a socket file"),
        "CharDevice" if !is(FileTypeExt::is_char_device) => return wrong("a character device"),
        "BlockDevice" if !is(FileTypeExt::is_block_device) => return wrong("a block device"),
        "Directory" | "File" | "Socket" | "CharDevice" | "BlockDevice" => {}
        other => return Err(format!("{other} is an invalid volume type")),
    }
    Ok(Prepared { path, read_only: false })
}

/// Mounts a memory file system at `path` unless one is there already.
fn mount_tmpfs(path: &Path, size: Option<i64>, mode: &str) -> std::io::Result<()> {
    if is_mount_point(path) {
        return Ok(());
    }
    let mut data = format!("mode={mode}");
    if let Some(size) = size.filter(|s| *s > 0) {
        data.push_str(&format!(",size={size}"));
    }
    let data = std::ffi::CString::new(data)?;
    rustix::mount::mount(
        "tmpfs",
        path,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        Some(data.as_c_str()),
    )?;
    Ok(())
}

/// Whether something is mounted at `path`: its device differs from its parent's, or it is listed.
fn is_mount_point(path: &Path) -> bool {
    mount_points_below(path).iter().any(|m| m == path)
}

/// Mount points at or below `path`, deepest first.
fn mount_points_below(path: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point.starts_with(path))
        .collect();
    found.sort_by_key(|point| std::cmp::Reverse(point.as_os_str().len()));
    found
}

/// mountinfo writes space, tab, newline and backslash as `\ooo`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

/// Unmounts and removes everything a pod has on the node. `false`: something is still busy.
pub(crate) async fn tear_down(shared: &Shared, uid: &str) -> bool {
    let directory = shared.pod_dir(uid);
    let outcome = tokio::task::spawn_blocking(move || remove_pod_dir(&directory)).await;
    match outcome {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, uid, "cannot remove the pod's directory");
            false
        }
        Err(_) => false,
    }
}

fn remove_pod_dir(directory: &Path) -> std::io::Result<()> {
    use rustix::mount::UnmountFlags;
    for point in mount_points_below(directory) {
        rustix::mount::unmount(&point, UnmountFlags::empty())
            .or_else(|_| rustix::mount::unmount(&point, UnmountFlags::DETACH))?;
    }
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
