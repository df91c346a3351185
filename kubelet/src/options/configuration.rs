//! The file kind `KubeletConfiguration` of kubelet.config.k8s.io/v1beta1: the fields this kubelet
//! acts on. Others are accepted; a field that upstream does not know either is warned about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Taint;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A duration written as Go does (`1m30s`), or the number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoDuration(pub Duration);

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Null => return Ok(Self::default()),
            other => other.to_string(),
        };
        component::flags::parse_duration(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&apimachinery::duration::format_std(self.0))
    }
}

/// See the module's text; names are the file's in snake case, meanings upstream's
/// (staging/src/k8s.io/kubelet/config/v1beta1 `KubeletConfiguration`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct KubeletConfiguration {
    pub address: String,
    pub authentication: Authentication,
    pub authorization: Authorization,
    pub cgroup_driver: String,
    pub cgroup_root: String,
    #[serde(rename = "cgroupsPerQOS")]
    pub cgroups_per_qos: bool,
    #[serde(rename = "clusterDNS")]
    pub cluster_dns: Vec<String>,
    pub cluster_domain: String,
    pub container_log_max_files: i32,
    pub container_log_max_size: String,
    pub container_runtime_endpoint: String,
    pub image_service_endpoint: String,
    #[serde(rename = "cpuCFSQuota")]
    pub cpu_cfs_quota: bool,
    #[serde(rename = "cpuCFSQuotaPeriod")]
    pub cpu_cfs_quota_period: GoDuration,
    pub crash_loop_back_off: CrashLoopBackOff,
    pub enable_debugging_handlers: bool,
    pub enable_server: bool,
    pub enforce_node_allocatable: Vec<String>,
    pub eviction_hard: Option<BTreeMap<String, String>>,
    #[serde(rename = "failCgroupV1")]
    pub fail_cgroup_v1: bool,
    pub fail_swap_on: bool,
    pub file_check_frequency: GoDuration,
    pub healthz_bind_address: String,
    pub healthz_port: u16,
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_gc_high_threshold_percent: u8,
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_gc_low_threshold_percent: u8,
    #[serde(rename = "imageMinimumGCAge")]
    pub image_minimum_gc_age: GoDuration,
    #[serde(rename = "kubeAPIBurst")]
    pub kube_api_burst: u32,
    #[serde(rename = "kubeAPIQPS")]
    pub kube_api_qps: u32,
    pub kube_reserved: BTreeMap<String, String>,
    pub system_reserved: BTreeMap<String, String>,
    pub max_pods: u32,
    pub node_lease_duration_seconds: i32,
    pub node_status_max_images: i32,
    pub node_status_report_frequency: GoDuration,
    pub node_status_update_frequency: GoDuration,
    pub oom_score_adj: i32,
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    pub pod_logs_dir: String,
    pub pod_pids_limit: i64,
    pub port: u16,
    pub read_only_port: u16,
    pub register_node: bool,
    pub register_with_taints: Vec<Taint>,
    pub resolv_conf: Option<String>,
    pub runtime_request_timeout: GoDuration,
    pub seccomp_default: bool,
    pub serialize_image_pulls: bool,
    pub static_pod_path: Option<String>,
    pub sync_frequency: GoDuration,
    pub tls_cert_file: String,
    pub tls_private_key_file: String,
    /// Fields of upstream's kind that this kubelet does not act on.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Who may connect to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Authentication {
    pub anonymous: Switch,
    pub webhook: Webhook,
    pub x509: X509,
}

/// Something that is on or off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Switch {
    pub enabled: bool,
}

/// Bearer tokens, reviewed by the apiserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Webhook {
    pub enabled: bool,
    #[serde(rename = "cacheTTL")]
    pub cache_ttl: GoDuration,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            enabled: true,
            cache_ttl: GoDuration::default(),
        }
    }
}

/// Client certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct X509 {
    #[serde(rename = "clientCAFile")]
    pub client_ca_file: String,
}

/// Who may do what on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Authorization {
    pub mode: String,
}

impl Default for Authorization {
    fn default() -> Self {
        Self {
            mode: "Webhook".to_owned(),
        }
    }
}

/// How slowly a crashing container is restarted at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct CrashLoopBackOff {
    pub max_container_restart_period: Option<GoDuration>,
}

impl Default for KubeletConfiguration {
    /// The defaults of the file kind.
    fn default() -> Self {
        let seconds = |s| GoDuration(Duration::from_secs(s));
        Self {
            address: "0.0.0.0".into(),
            authentication: Authentication::default(),
            authorization: Authorization::default(),
            cgroup_driver: "cgroupfs".into(),
            cgroup_root: String::new(),
            cgroups_per_qos: true,
            cluster_dns: Vec::new(),
            cluster_domain: String::new(),
            container_log_max_files: 5,
            container_log_max_size: "10Mi".into(),
            container_runtime_endpoint: "unix:///run/containerd/containerd.sock".into(),
            image_service_endpoint: String::new(),
            cpu_cfs_quota: true,
            cpu_cfs_quota_period: GoDuration(Duration::from_millis(100)),
            crash_loop_back_off: CrashLoopBackOff::default(),
            enable_debugging_handlers: true,
            enable_server: true,
            enforce_node_allocatable: vec!["pods".into()],
            eviction_hard: None,
            fail_cgroup_v1: true,
            fail_swap_on: true,
            file_check_frequency: seconds(20),
            healthz_bind_address: "127.0.0.1".into(),
            healthz_port: 10248,
            image_gc_high_threshold_percent: 85,
            image_gc_low_threshold_percent: 80,
            image_minimum_gc_age: seconds(120),
            kube_api_burst: 100,
            kube_api_qps: 50,
            kube_reserved: BTreeMap::new(),
            system_reserved: BTreeMap::new(),
            max_pods: 110,
            node_lease_duration_seconds: 40,
            node_status_max_images: 50,
            node_status_report_frequency: seconds(300),
            node_status_update_frequency: seconds(10),
            oom_score_adj: -999,
            pod_cidr: String::new(),
            pod_logs_dir: "/var/log/pods".into(),
            pod_pids_limit: -1,
            port: 10250,
            read_only_port: 0,
            register_node: true,
            register_with_taints: Vec::new(),
            resolv_conf: None,
            runtime_request_timeout: seconds(120),
            seccomp_default: false,
            serialize_image_pulls: true,
            static_pod_path: None,
            sync_frequency: seconds(60),
            tls_cert_file: String::new(),
            tls_private_key_file: String::new(),
            other: BTreeMap::new(),
        }
    }
}

impl KubeletConfiguration {
    /// The defaults of a command line without `--config` (upstream: options.go
    /// `applyLegacyDefaults`).
    #[must_use]
    pub fn legacy() -> Self {
        let mut legacy = Self::default();
        legacy.authentication.anonymous.enabled = true;
        legacy.authentication.webhook.enabled = false;
        legacy.authorization.mode = "AlwaysAllow".into();
        legacy.read_only_port = 10255;
        legacy
    }

    /// Fills what was zero or empty.
    pub(super) fn complete(&mut self) {
        let defaults = Self::default();
        fn fill_one<T: Default + PartialEq>(field: &mut T, default: T) {
            if *field == T::default() {
                *field = default;
            }
        }
        macro_rules! fill {
            ($($field:ident)*) => {$( fill_one(&mut self.$field, defaults.$field.clone()); )*};
        }
        fill! {
            address cgroup_driver container_log_max_files container_log_max_size
            container_runtime_endpoint cpu_cfs_quota_period file_check_frequency
            healthz_bind_address image_minimum_gc_age kube_api_burst kube_api_qps
            max_pods node_lease_duration_seconds node_status_report_frequency
            node_status_update_frequency pod_logs_dir port runtime_request_timeout sync_frequency
        }
        if self.image_service_endpoint.is_empty() {
            self.image_service_endpoint.clone_from(&self.container_runtime_endpoint);
        }
        if self.authorization.mode.is_empty() {
            self.authorization.mode = defaults.authorization.mode;
        }
        if self.resolv_conf.is_none() {
            self.resolv_conf = Some("/etc/resolv.conf".into());
        }
        if self.eviction_hard.is_none() {
            let signals = [
                ("memory.available", "100Mi"),
                ("nodefs.available", "10%"),
                ("nodefs.inodesFree", "5%"),
                ("imagefs.available", "15%"),
                ("imagefs.inodesFree", "5%"),
            ];
            self.eviction_hard = Some(signals.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        }
    }

    /// What is wrong with the values (upstream: pkg/kubelet/apis/config/validation).
    pub(super) fn check(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let invalid = |errors: &mut Vec<String>, text: String| {
            errors.push(format!("invalid configuration: {text}"));
        };
        if !matches!(self.cgroup_driver.as_str(), "cgroupfs" | "systemd") {
            let text = format!("unsupported cgroup driver {:?}", self.cgroup_driver);
            invalid(&mut errors, text);
        }
        if !matches!(self.authorization.mode.as_str(), "Webhook" | "AlwaysAllow") {
            let text = format!("unknown authorization mode {}", self.authorization.mode);
            invalid(&mut errors, text);
        }
        if self.image_gc_low_threshold_percent >= self.image_gc_high_threshold_percent {
            invalid(
                &mut errors,
                format!(
                    "imageGCLowThresholdPercent (--image-gc-low-threshold) {} must be less than \
                     imageGCHighThresholdPercent (--image-gc-high-threshold) {}",
                    self.image_gc_low_threshold_percent, self.image_gc_high_threshold_percent
                ),
            );
        }
        if self.address.parse::<std::net::IpAddr>().is_err() {
            invalid(&mut errors, format!("address {:?} is no IP address", self.address));
        }
        errors
    }

    /// The longest restart delay of a crashing container.
    pub(crate) fn max_restart_delay(&self) -> Duration {
        let given = self.crash_loop_back_off.max_container_restart_period;
        given.map_or(crate::runtime::backoff::MAX, |given| given.0)
    }
}

/// Reads `path` and lays the drop-ins of `directory` (`*.conf`, sorted) over it.
pub(super) fn load(path: &Path, directory: Option<&Path>) -> Result<KubeletConfiguration, String> {
    let mut merged = read(path)?;
    if let Some(directory) = directory {
        let entries =
            std::fs::read_dir(directory).map_err(|error| format!("failed to read {}: {error}", directory.display()))?;
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "conf"))
            .collect();
        files.sort();
        for file in files {
            merge(&mut merged, read(&file)?);
        }
    }
    serde_json::from_value(merged).map_err(|error| {
        format!(
            "failed to load kubelet config file, path: {}, error: {error}",
            path.display()
        )
    })
}

fn read(path: &Path) -> Result<Value, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!(
            "failed to load kubelet config file, path: {}, error: {error}",
            path.display()
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let mut value = component::config_file::parse(&text).map_err(|error| failed(&error))?;
    let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (field("apiVersion"), field("kind"));
    if (version.as_str(), kind.as_str()) != ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration") {
        return Err(failed(&format!(
            "no kind {kind:?} is registered for version {version:?}"
        )));
    }
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, v| !v.is_null());
    }
    Ok(value)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
