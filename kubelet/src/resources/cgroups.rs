//! The cgroup tree of the pods: `/kubepods/{burstable,besteffort,}/pod<uid>`
//! (upstream: pkg/kubelet/cm/{qos_container_manager,pod_container_manager}_linux.go).
//!
//! With the systemd driver the names are those of slices, which systemd makes when a container is
//! put into one; limits of whole pods are then not set.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cri_proto::v1;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::limits::{self, Limits};
use super::oom;
use crate::options::configuration::KubeletConfiguration;
use crate::pods::PodExt;

const MOUNT: &str = "/sys/fs/cgroup";
/// Magic number of a cgroup v2 file system.
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// v1 controllers in which pods are limited.
const LIMITED: &[&str] = &["cpu", "memory", "pids"];

/// How the kernel offers cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// The version mounted on this machine; a hybrid counts as v1.
pub(crate) fn version() -> Version {
    match rustix::fs::statfs(MOUNT) {
        Ok(stat) if stat.f_type == CGROUP2_MAGIC => Version::V2,
        _ => Version::V1,
    }
}

/// Makes, names and removes the pods' cgroups.
pub(crate) struct Cgroups {
    version: Version,
    systemd: bool,
    per_qos: bool,
    root: String,
    mount: PathBuf,
    period: i64,
    enforce_quota: bool,
    pids: i64,
    oom_floor: i64,
}

impl Cgroups {
    pub(crate) fn new(file: &KubeletConfiguration, driver: &str) -> Self {
        Self {
            version: version(),
            systemd: driver == "systemd",
            per_qos: file.cgroups_per_qos,
            root: file.cgroup_root.trim_matches('/').to_owned(),
            mount: PathBuf::from(MOUNT),
            period: i64::try_from(file.cpu_cfs_quota_period.0.as_micros()).unwrap_or(100_000),
            enforce_quota: file.cpu_cfs_quota,
            pids: file.pod_pids_limit,
            oom_floor: oom::floor(),
        }
    }

    /// No cgroups at all, for hollow nodes and tests.
    pub(crate) fn none(file: &KubeletConfiguration) -> Self {
        Self {
            per_qos: false,
            ..Self::new(file, "cgroupfs")
        }
    }

    /// The parts of a pod's cgroup name below the mount.
    fn parts(&self, pod: &Pod) -> Vec<String> {
        let mut parts = self.class_parts(rules::qos::pod_qos(pod));
        parts.push(format!("pod{}", pod.uid()));
        parts
    }

    fn class_parts(&self, class: &str) -> Vec<String> {
        let mut parts: Vec<String> = self
            .root
            .split('/')
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect();
        parts.push("kubepods".to_owned());
        match class {
            rules::qos::BURSTABLE => parts.push("burstable".to_owned()),
            rules::qos::BEST_EFFORT => parts.push("besteffort".to_owned()),
            _ => {}
        }
        parts
    }

    fn path(&self, parts: &[String]) -> String {
        if self.systemd {
            systemd_path(parts)
        } else {
            format!("/{}", parts.join("/"))
        }
    }

    /// `cgroup_parent` of a pod's sandbox.
    pub(crate) fn parent_of(&self, pod: &Pod) -> String {
        if self.per_qos {
            self.path(&self.parts(pod))
        } else {
            String::new()
        }
    }

    /// The directories of a cgroup: one with v2, one per controller with v1.
    fn directories(&self, path: &str, controllers: &[&str]) -> Vec<PathBuf> {
        let below = path.trim_start_matches('/');
        match self.version {
            Version::V2 => vec![self.mount.join(below)],
            Version::V1 => controllers
                .iter()
                .map(|c| self.mount.join(c))
                .filter(|mount| mount.is_dir())
                .map(|mount| mount.join(below))
                .collect(),
        }
    }

    /// Makes the tree down to the classes, with the weight of all pods together.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn prepare(&self, allocatable_milli_cpu: i64) -> std::io::Result<()> {
        if !self.per_qos || self.systemd {
            return Ok(());
        }
        let all = self.class_parts("");
        let total = Limits {
            shares: limits::shares(allocatable_milli_cpu),
            ..Limits::default()
        };
        self.make(&self.path(&all), total)?;
        let least = Limits {
            shares: 2,
            ..Limits::default()
        };
        for class in [rules::qos::BURSTABLE, rules::qos::BEST_EFFORT] {
            self.make(&self.path(&self.class_parts(class)), least)?;
        }
        Ok(())
    }

    /// Makes a pod's cgroup with its limits; an existing one gets the limits anew.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn ensure(&self, pod: &Pod) -> std::io::Result<()> {
        if !self.per_qos || self.systemd {
            return Ok(());
        }
        let limits = limits::of_pod(pod, self.enforce_quota, self.period, self.pids);
        self.make(&self.parent_of(pod), limits)
    }

    /// Sets the weight of all burstable pods together.
    pub(crate) fn weigh_burstable(&self, milli_cpu: i64) {
        if !self.per_qos || self.systemd {
            return;
        }
        let limits = Limits {
            shares: limits::shares(milli_cpu),
            ..Limits::default()
        };
        let path = self.path(&self.class_parts(rules::qos::BURSTABLE));
        if let Err(error) = self.make(&path, limits) {
            tracing::debug!(%error, "cannot weigh the burstable pods");
        }
    }

    fn make(&self, path: &str, limits: Limits) -> std::io::Result<()> {
        let directories = self.directories(path, LIMITED);
        for directory in &directories {
            if self.version == Version::V2 {
                delegate(&self.mount, directory)?;
            }
            std::fs::create_dir_all(directory)?;
        }
        let write = |controller: &str, file: &str, value: String| {
            let directory = match self.version {
                Version::V2 => directories.first(),
                Version::V1 => directories.iter().find(|d| d.starts_with(self.mount.join(controller))),
            };
            let Some(path) = directory.map(|d| d.join(file)).filter(|p| p.exists()) else {
                return Ok(());
            };
            let current = std::fs::read_to_string(&path).unwrap_or_default();
            if current.trim() == value {
                Ok(())
            } else {
                std::fs::write(path, value)
            }
        };
        let number_or = |value: Option<i64>, none: &str| value.map_or(none.to_owned(), |v| v.to_string());
        match self.version {
            Version::V1 => {
                write("cpu", "cpu.shares", limits.shares.to_string())?;
                if self.enforce_quota {
                    write("cpu", "cpu.cfs_period_us", self.period.to_string())?;
                    write("cpu", "cpu.cfs_quota_us", number_or(limits.quota, "-1"))?;
                }
                if let Some(memory) = limits.memory {
                    write("memory", "memory.limit_in_bytes", memory.to_string())?;
                }
                write("pids", "pids.max", number_or(limits.pids, "max"))
            }
            Version::V2 => {
                write("", "cpu.weight", limits::weight(limits.shares).to_string())?;
                if self.enforce_quota {
                    let quota = number_or(limits.quota, "max");
                    write("", "cpu.max", format!("{quota} {}", self.period))?;
                }
                write("", "memory.max", number_or(limits.memory, "max"))?;
                write("", "pids.max", number_or(limits.pids, "max"))
            }
        }
    }

    /// Removes a pod's cgroup, whichever class it is in, from all controllers.
    pub(crate) fn remove(&self, uid: &str) {
        for path in self.existing(uid) {
            remove_tree(&path);
        }
    }

    /// UIDs of the pods that have a cgroup.
    pub(crate) fn pods(&self) -> std::collections::HashSet<String> {
        let mut found = std::collections::HashSet::new();
        for directory in self.class_directories() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if let Some(uid) = entry.file_name().to_str().and_then(|n| n.strip_prefix("pod")) {
                    found.insert(uid.to_owned());
                }
            }
        }
        found
    }

    fn existing(&self, uid: &str) -> Vec<PathBuf> {
        let name = format!("pod{uid}");
        self.class_directories()
            .into_iter()
            .map(|d| d.join(&name))
            .filter(|p| p.is_dir())
            .collect()
    }

    fn class_directories(&self) -> Vec<PathBuf> {
        if !self.per_qos || self.systemd {
            return Vec::new();
        }
        let mounts: Vec<PathBuf> = match self.version {
            Version::V2 => vec![self.mount.clone()],
            Version::V1 => std::fs::read_dir(&self.mount)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect(),
        };
        let classes = ["", rules::qos::BURSTABLE, rules::qos::BEST_EFFORT];
        mounts
            .iter()
            .flat_map(|mount| {
                classes.map(|class| mount.join(self.path(&self.class_parts(class)).trim_start_matches('/')))
            })
            .collect()
    }

    /// The resources given with a sandbox: those of the whole pod.
    pub(crate) fn sandbox_resources(&self, pod: &Pod) -> v1::LinuxContainerResources {
        let limits = limits::of_pod(pod, self.enforce_quota, self.period, -1);
        v1::LinuxContainerResources {
            cpu_period: if limits.quota.is_some() { self.period } else { 0 },
            cpu_quota: limits.quota.unwrap_or_default(),
            cpu_shares: limits.shares,
            memory_limit_in_bytes: limits.memory.unwrap_or_default(),
            ..Default::default()
        }
    }

    /// The resources of a container on a node with `memory` bytes (upstream:
    /// kuberuntime_container_linux.go `generateLinuxContainerResources`).
    pub(crate) fn container_resources(
        &self,
        pod: &Pod,
        container: &Container,
        memory: i64,
    ) -> v1::LinuxContainerResources {
        let cpu_limit = limits::of_container(container, true, "cpu").map_or(0, |q| q.milli_value());
        let cpu_request = limits::of_container(container, false, "cpu").map(|q| q.milli_value());
        let shares = limits::shares(cpu_request.unwrap_or(cpu_limit));
        let quota = limits::quota(cpu_limit, self.period).filter(|_| self.enforce_quota);
        let mut unified = HashMap::new();
        if self.version == Version::V2 {
            unified.insert("memory.oom.group".to_owned(), "1".to_owned());
        }
        v1::LinuxContainerResources {
            cpu_period: if self.enforce_quota { self.period } else { 0 },
            cpu_quota: quota.unwrap_or_default(),
            cpu_shares: shares,
            memory_limit_in_bytes: limits::of_container(container, true, "memory").map_or(0, |q| q.value()),
            oom_score_adj: oom::score(pod, container, memory, self.oom_floor),
            unified,
            ..Default::default()
        }
    }
}

/// `["kubepods", "burstable", "podA-B"]` as slices below one another.
fn systemd_path(parts: &[String]) -> String {
    let mut path = String::new();
    let mut name = String::new();
    for part in parts {
        let part = part.replace('-', "_");
        name = if name.is_empty() {
            part
        } else {
            format!("{name}-{part}")
        };
        path.push_str(&format!("/{name}.slice"));
    }
    path
}

/// Lets the children of every ancestor of `directory` use the controllers (v2).
fn delegate(mount: &Path, directory: &Path) -> std::io::Result<()> {
    let Ok(below) = directory.strip_prefix(mount) else {
        return Ok(());
    };
    let mut ancestor = mount.to_path_buf();
    for part in below.components() {
        std::fs::create_dir_all(&ancestor)?;
        for controller in ["cpu", "memory", "pids", "cpuset", "io", "hugetlb"] {
            // A controller the kernel lacks, or that is delegated already, is no failure.
            let _ = std::fs::write(ancestor.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        ancestor.push(part);
    }
    Ok(())
}

/// Removes a cgroup and those below it, deepest first.
fn remove_tree(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    if let Err(error) = std::fs::remove_dir(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, path = %path.display(), "cannot remove the cgroup");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_named_by_their_ancestors() {
        let parts = ["kubepods", "burstable", "pod1-2"].map(str::to_owned);
        assert_eq!(
            systemd_path(&parts),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice"
        );
    }
}
