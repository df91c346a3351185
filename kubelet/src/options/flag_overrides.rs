//! Flags that stand for a field of the configuration file, and win over it when given.

use component::flags::Values;

use super::configuration::{GoDuration, KubeletConfiguration};

type Set = Box<dyn FnOnce(&mut KubeletConfiguration)>;

/// The fields to set, for the flags that were given.
pub(super) struct Overrides(Vec<Set>);

impl Overrides {
    pub(super) fn from_values(values: &Values) -> Self {
        let mut sets: Vec<Set> = Vec::new();
        // One line per flag: name, how to read it, where it goes.
        macro_rules! overrides {
            ($($name:literal $getter:ident |$file:ident, $value:ident| $set:expr;)*) => {$(
                if values.changed($name) {
                    let $value = values.$getter($name);
                    sets.push(Box::new(move |$file: &mut KubeletConfiguration| $set));
                }
            )*};
        }
        overrides! {
            "address" string |f, v| f.address = v;
            "anonymous-auth" bool |f, v| f.authentication.anonymous.enabled = v;
            "authentication-token-webhook" bool |f, v| f.authentication.webhook.enabled = v;
            "authorization-mode" string |f, v| f.authorization.mode = v;
            "cgroup-driver" string |f, v| f.cgroup_driver = v;
            "cgroup-root" string |f, v| f.cgroup_root = v;
            "cgroups-per-qos" bool |f, v| f.cgroups_per_qos = v;
            "client-ca-file" string |f, v| f.authentication.x509.client_ca_file = v;
            "cluster-dns" strings |f, v| f.cluster_dns = v;
            "cluster-domain" string |f, v| f.cluster_domain = v;
            "container-log-max-files" int |f, v| f.container_log_max_files = v as i32;
            "container-log-max-size" string |f, v| f.container_log_max_size = v;
            "container-runtime-endpoint" string |f, v| f.container_runtime_endpoint = v;
            "image-service-endpoint" string |f, v| f.image_service_endpoint = v;
            "cpu-cfs-quota" bool |f, v| f.cpu_cfs_quota = v;
            "cpu-cfs-quota-period" duration |f, v| f.cpu_cfs_quota_period = GoDuration(v);
            "enable-debugging-handlers" bool |f, v| f.enable_debugging_handlers = v;
            "enable-server" bool |f, v| f.enable_server = v;
            "fail-cgroupv1" bool |f, v| f.fail_cgroup_v1 = v;
            "fail-swap-on" bool |f, v| f.fail_swap_on = v;
            "file-check-frequency" duration |f, v| f.file_check_frequency = GoDuration(v);
            "healthz-bind-address" string |f, v| f.healthz_bind_address = v;
            "healthz-port" int |f, v| f.healthz_port = v as u16;
            "image-gc-high-threshold" int |f, v| f.image_gc_high_threshold_percent = v as u8;
            "image-gc-low-threshold" int |f, v| f.image_gc_low_threshold_percent = v as u8;
            "kube-api-burst" int |f, v| f.kube_api_burst = v as u32;
            "kube-api-qps" int |f, v| f.kube_api_qps = v as u32;
            "kube-reserved" map |f, v| f.kube_reserved = v;
            "system-reserved" map |f, v| f.system_reserved = v;
            "max-pods" int |f, v| f.max_pods = v as u32;
            "node-status-max-images" int |f, v| f.node_status_max_images = v as i32;
            "node-status-update-frequency" duration |f, v| f.node_status_update_frequency = GoDuration(v);
            "oom-score-adj" int |f, v| f.oom_score_adj = v as i32;
            "pod-cidr" string |f, v| f.pod_cidr = v;
            "pod-manifest-path" string |f, v| f.static_pod_path = Some(v);
            "pod-max-pids" int |f, v| f.pod_pids_limit = v;
            "port" int |f, v| f.port = v as u16;
            "read-only-port" int |f, v| f.read_only_port = v as u16;
            "register-node" bool |f, v| f.register_node = v;
            "resolv-conf" string |f, v| f.resolv_conf = Some(v);
            "runtime-request-timeout" duration |f, v| f.runtime_request_timeout = GoDuration(v);
            "seccomp-default" bool |f, v| f.seccomp_default = v;
            "serialize-image-pulls" bool |f, v| f.serialize_image_pulls = v;
            "sync-frequency" duration |f, v| f.sync_frequency = GoDuration(v);
            "tls-cert-file" string |f, v| f.tls_cert_file = v;
            "tls-private-key-file" string |f, v| f.tls_private_key_file = v;
        }
        Self(sets)
    }

    pub(super) fn apply(&mut self, file: &mut KubeletConfiguration) {
        for set in self.0.drain(..) {
            set(file);
        }
    }
}
