//! What this machine is and can give to pods.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};

use apimachinery::quantity::Quantity;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use parking_lot::RwLock;

use crate::downward::Allocatable;
use crate::options::Config;
use crate::runtime::Runtime;

/// See the module's text.
pub(crate) struct Facts {
    /// Bytes of memory.
    pub(crate) memory: i64,
    pub(crate) cpus: i64,
    pub(crate) machine_id: String,
    pub(crate) system_uuid: String,
    pub(crate) boot_id: String,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    /// Architecture as Go names it.
    pub(crate) arch: &'static str,
    /// `containerd://1.6.20`.
    pub(crate) runtime_version: String,
    max_pods: u32,
    host_ips: Vec<String>,
    reserved: BTreeMap<String, Quantity>,
    root_dir: std::path::PathBuf,
    node_uid: RwLock<Option<String>>,
}

impl Facts {
    /// Looks at the machine and asks the runtime who it is.
    pub(crate) async fn gather(config: &Config, runtime: &dyn Runtime) -> (Self, String) {
        let (runtime_name, runtime_version) = match runtime.version().await {
            Ok(version) => {
                let text = format!("{}://{}", version.runtime_name, version.runtime_version);
                (version.runtime_name, text)
            }
            Err(error) => {
                tracing::warn!(%error, "the runtime does not tell its version");
                ("containerd".to_owned(), String::new())
            }
        };
        let uname = rustix::system::uname();
        let mut reserved: BTreeMap<String, Quantity> = BTreeMap::new();
        for (name, amount) in config.file.kube_reserved.iter().chain(&config.file.system_reserved) {
            if let Ok(amount) = amount.parse::<Quantity>() {
                let sum = reserved.remove(name).unwrap_or_default() + amount;
                reserved.insert(name.clone(), sum);
            }
        }
        let facts = Self {
            memory: memory(),
            cpus: i64::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1),
            machine_id: first_of(&["/etc/machine-id", "/var/lib/dbus/machine-id"]),
            system_uuid: first_of(&["/sys/class/dmi/id/product_uuid", "/etc/machine-id"]).to_lowercase(),
            boot_id: first_of(&["/proc/sys/kernel/random/boot_id"]),
            kernel: uname.release().to_string_lossy().into_owned(),
            os_image: os_image(),
            arch: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            },
            runtime_version,
            max_pods: config.file.max_pods,
            host_ips: host_ips(config),
            reserved,
            root_dir: config.root_dir.clone(),
            node_uid: RwLock::new(None),
        };
        (facts, runtime_name)
    }

    /// The node's addresses, primary first.
    pub(crate) fn host_ips(&self) -> Vec<String> {
        self.host_ips.clone()
    }

    /// UID of the Node object, once it is registered.
    pub(crate) fn node_uid(&self) -> Option<String> {
        self.node_uid.read().clone()
    }

    pub(crate) fn set_node_uid(&self, uid: Option<String>) {
        *self.node_uid.write() = uid;
    }

    /// All resources of the node.
    pub(crate) fn capacity(&self) -> BTreeMap<String, ApiQuantity> {
        let binary = |bytes: i64| ApiQuantity(format!("{}Ki", bytes / 1024));
        BTreeMap::from([
            ("cpu".to_owned(), ApiQuantity(self.cpus.to_string())),
            ("memory".to_owned(), binary(self.memory)),
            ("ephemeral-storage".to_owned(), binary(self.disk())),
            ("hugepages-1Gi".to_owned(), ApiQuantity("0".to_owned())),
            ("hugepages-2Mi".to_owned(), ApiQuantity("0".to_owned())),
            ("pods".to_owned(), ApiQuantity(self.max_pods.to_string())),
        ])
    }

    /// Bytes of the file system that holds the kubelet's directory.
    fn disk(&self) -> i64 {
        let stat = rustix::fs::statvfs(&self.root_dir).or_else(|_| rustix::fs::statvfs("/"));
        stat.map_or(0, |s| {
            i64::try_from(s.f_blocks.saturating_mul(s.f_frsize)).unwrap_or(i64::MAX)
        })
    }

    /// What pods can get: the capacity without what is reserved, for eviction too
    /// (upstream: cm/node_container_manager_linux.go `GetNodeAllocatableReservation`).
    pub(crate) fn allocatable(&self) -> BTreeMap<String, ApiQuantity> {
        let mut allocatable = self.capacity();
        let eviction_memory = "100Mi".parse::<Quantity>().unwrap_or_default();
        for (name, quantity) in &mut allocatable {
            let Ok(mut left) = Quantity::from_api(quantity) else {
                continue;
            };
            if let Some(reserved) = self.reserved.get(name) {
                left -= *reserved;
            }
            match name.as_str() {
                "memory" => left -= eviction_memory,
                "ephemeral-storage" => {
                    *quantity = ApiQuantity((left.value() / 10 * 9).to_string());
                    continue;
                }
                _ => {}
            }
            if left.sign() < 0 {
                left = Quantity::default();
            }
            *quantity = left.to_api();
        }
        allocatable
    }

    /// The same in plain numbers, for the downward API.
    pub(crate) fn allocatable_for_pods(&self) -> Allocatable {
        let list = self.allocatable();
        let get = |name: &str| {
            list.get(name)
                .and_then(|q| Quantity::from_api(q).ok())
                .unwrap_or_default()
        };
        Allocatable {
            milli_cpu: get("cpu").milli_value(),
            memory: get("memory").value(),
            ephemeral: get("ephemeral-storage").value(),
        }
    }
}

fn memory() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<i64>().ok());
    kib.unwrap_or_default() * 1024
}

fn first_of(paths: &[&str]) -> String {
    let texts = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts
        .map(|text| text.trim().to_owned())
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn os_image() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Unknown".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// `--node-ip`, or the address from which the default route leaves. Connecting a UDP socket sends
/// nothing: it only asks the routing table.
fn host_ips(config: &Config) -> Vec<String> {
    let given: Vec<&IpAddr> = config.node_ips.iter().filter(|ip| !ip.is_unspecified()).collect();
    if !given.is_empty() {
        return given.iter().map(ToString::to_string).collect();
    }
    let routed = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    match routed {
        Ok(address) if !address.ip().is_unspecified() => vec![address.ip().to_string()],
        _ => vec!["127.0.0.1".to_owned()],
    }
}
