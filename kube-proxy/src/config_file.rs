//! `KubeProxyConfiguration`, as files have it. Unknown fields are named in a warning, not refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";
pub(crate) const KIND: &str = "KubeProxyConfiguration";

/// The fields that act here. Durations are Go's notation; empty and zero values mean the default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct File {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) bind_address: String,
    pub(crate) client_connection: ClientConnection,
    #[serde(rename = "clusterCIDR")]
    pub(crate) cluster_cidr: String,
    pub(crate) conntrack: ConntrackFile,
    pub(crate) detect_local: DetectLocalFile,
    pub(crate) detect_local_mode: String,
    pub(crate) healthz_bind_address: String,
    pub(crate) hostname_override: String,
    pub(crate) iptables: Rules,
    pub(crate) nftables: Rules,
    pub(crate) metrics_bind_address: String,
    pub(crate) mode: String,
    pub(crate) node_port_addresses: Option<Vec<String>>,
    pub(crate) oom_score_adj: Option<i64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClientConnection {
    pub(crate) kubeconfig: String,
    pub(crate) qps: f32,
    pub(crate) burst: u32,
    pub(crate) content_type: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConntrackFile {
    pub(crate) max_per_core: Option<u64>,
    pub(crate) min: Option<u64>,
    pub(crate) tcp_established_timeout: Option<String>,
    pub(crate) tcp_close_wait_timeout: Option<String>,
    pub(crate) tcp_be_liberal: bool,
    pub(crate) udp_timeout: String,
    pub(crate) udp_stream_timeout: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DetectLocalFile {
    pub(crate) bridge_interface: String,
    pub(crate) interface_name_prefix: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rules {
    pub(crate) masquerade_all: bool,
    pub(crate) masquerade_bit: Option<u32>,
    pub(crate) min_sync_period: String,
    pub(crate) sync_period: String,
}

impl Default for File {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.into(),
            kind: KIND.into(),
            bind_address: "0.0.0.0".into(),
            client_connection: ClientConnection::default(),
            cluster_cidr: String::new(),
            conntrack: ConntrackFile::default(),
            detect_local: DetectLocalFile::default(),
            detect_local_mode: String::new(),
            healthz_bind_address: String::new(),
            hostname_override: String::new(),
            iptables: Rules::default(),
            nftables: Rules::default(),
            metrics_bind_address: String::new(),
            mode: String::new(),
            node_port_addresses: None,
            oom_score_adj: None,
        }
    }
}

/// Fields of the kind that are accepted and do nothing here.
const IDLE: [&str; 9] = [
    "bindAddressHardFail",
    "configSyncPeriod",
    "enableProfiling",
    "featureGates",
    "ipvs",
    "logging",
    "portRange",
    "showHiddenMetricsForVersion",
    "winkernel",
];

/// Reads the file at `path`.
///
/// # Errors
/// It cannot be read, is of another kind, or a field has the wrong type.
pub(crate) fn load(path: &str) -> anyhow::Result<File> {
    let value = component::config_file::load(path, API_VERSION, KIND)?;
    from_value(value).map_err(|error| anyhow::anyhow!("{path}: {error}"))
}

fn from_value(value: Value) -> Result<File, serde_json::Error> {
    for field in unknown(&value) {
        tracing::warn!("configuration file: unknown field {field:?}, ignored");
    }
    // null is the same as leaving a field out.
    serde_json::from_value(without_nulls(value))
}

fn unknown(value: &Value) -> Vec<String> {
    let known = serde_json::to_value(File::default()).expect("plain data is serializable");
    let fields = value.as_object().into_iter().flatten().map(|(name, _)| name);
    fields
        .filter(|name| known.get(name).is_none() && !IDLE.contains(&name.as_str()))
        .cloned()
        .collect()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kubeadms_file_is_read_and_unknown_fields_are_named() {
        let text = r#"{"apiVersion":"kubeproxy.config.k8s.io/v1alpha1","kind":"KubeProxyConfiguration",
            "bindAddress":"0.0.0.0","bindAddressHardFail":false,"clusterCIDR":"10.244.0.0/16","mode":"",
            "clientConnection":{"kubeconfig":"/var/lib/kube-proxy/kubeconfig.conf","qps":0,"burst":0},
            "conntrack":{"maxPerCore":null,"min":null,"tcpEstablishedTimeout":null},
            "ipvs":{"excludeCIDRs":null},"nodePortAddresses":null,"oomScoreAdj":null,"colour":"blue"}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(unknown(&value), ["colour"]);
        let file = from_value(value).unwrap();
        assert_eq!(file.cluster_cidr, "10.244.0.0/16");
        assert_eq!(file.conntrack.max_per_core, None);
        assert_eq!(file.client_connection.kubeconfig, "/var/lib/kube-proxy/kubeconfig.conf");
    }
}
