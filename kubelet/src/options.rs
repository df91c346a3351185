//! Flags and configuration file: [`Options`] as given, [`Config`] as used.
//!
//! Order of authority: flags that were given, then `--config-dir` drop-ins, then `--config`, then
//! defaults; without a file the legacy flag defaults hold (upstream: cmd/kubelet/app/server.go).

pub mod configuration;
mod flag_overrides;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use component::flags::{Table, Values};
use k8s_openapi::api::core::v1::Taint;

use configuration::KubeletConfiguration;

/// Every flag of upstream's kubelet.
#[must_use]
pub fn table() -> Table {
    Table::new("kubelet", include_str!("flags.tsv"))
}

/// The command line, typed, with the configuration file not yet read.
pub struct Options {
    config_file: Option<PathBuf>,
    config_dir: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    bootstrap_kubeconfig: Option<PathBuf>,
    root_dir: PathBuf,
    cert_dir: PathBuf,
    hostname_override: String,
    node_ip: String,
    node_labels: BTreeMap<String, String>,
    provider_id: String,
    taints: Vec<String>,
    overrides: flag_overrides::Overrides,
    gates: BTreeMap<String, String>,
}

/// What the kubelet runs with. Only [`Options::validate`] makes one.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the Node object.
    pub node_name: String,
    /// The machine's host name.
    pub hostname: String,
    /// Credentials for the apiserver; `None`: standalone, static pods only.
    pub client: Option<client::Config>,
    /// `/var/lib/kubelet`.
    pub root_dir: PathBuf,
    /// Where certificates are kept.
    pub cert_dir: PathBuf,
    /// Addresses to report, as given.
    pub node_ips: Vec<IpAddr>,
    /// Labels the node registers with.
    pub node_labels: BTreeMap<String, String>,
    /// Taints the node registers with.
    pub taints: Vec<Taint>,
    /// `spec.providerID`.
    pub provider_id: Option<String>,
    /// The rest, from file, flags and defaults.
    pub file: KubeletConfiguration,
}

impl Options {
    /// Reads what the flags say.
    #[must_use]
    pub fn from_values(values: &Values) -> Self {
        let path = |name: &str| values.non_empty(name).map(PathBuf::from);
        Self {
            config_file: path("config"),
            config_dir: path("config-dir"),
            kubeconfig: path("kubeconfig"),
            bootstrap_kubeconfig: path("bootstrap-kubeconfig"),
            root_dir: PathBuf::from(values.string("root-dir")),
            cert_dir: PathBuf::from(values.string("cert-dir")),
            hostname_override: values.string("hostname-override"),
            node_ip: values.string("node-ip"),
            node_labels: values.map("node-labels"),
            provider_id: values.string("provider-id"),
            taints: values.strings("register-with-taints"),
            overrides: flag_overrides::Overrides::from_values(values),
            gates: values.map("feature-gates"),
        }
    }

    /// Reads the files, completes and checks everything.
    ///
    /// # Errors
    /// All that is wrong, one text each.
    pub fn validate(mut self) -> Result<Config, Vec<String>> {
        let mut errors = Vec::new();
        let mut file = match &self.config_file {
            None => KubeletConfiguration::legacy(),
            Some(path) => configuration::load(path, self.config_dir.as_deref()).unwrap_or_else(|e| {
                errors.push(e);
                KubeletConfiguration::default()
            }),
        };
        self.overrides.apply(&mut file);
        file.complete();
        errors.extend(file.check());
        let hostname = machine_hostname();
        let given = self.hostname_override.trim();
        let node_name = if given.is_empty() {
            hostname.clone()
        } else {
            given.to_owned()
        };
        let node_name = node_name.trim().to_lowercase();
        let client = self.client_config(&file, &mut errors);
        let mut node_ips = Vec::new();
        for text in self.node_ip.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            match text.parse() {
                Ok(ip) => node_ips.push(ip),
                Err(_) => errors.push(format!("bad --node-ip \"{text}\"")),
            }
        }
        let mut taints = file.register_with_taints.clone();
        for text in &self.taints {
            match parse_taint(text) {
                Some(taint) => taints.push(taint),
                None => errors.push(format!("invalid taint spec: {text}")),
            }
        }
        errors.extend(unknown_kubernetes_labels(&self.node_labels));
        if !self.gates.is_empty() {
            tracing::debug!(gates = ?self.gates, "feature gates");
        }
        if !self.root_dir.is_absolute() {
            match std::path::absolute(&self.root_dir) {
                Ok(path) => self.root_dir = path,
                Err(error) => errors.push(format!("--root-dir: {error}")),
            }
        }
        let is_default_cert_dir = self.cert_dir.as_os_str() == "/var/lib/kubelet/pki";
        if is_default_cert_dir && self.root_dir.as_os_str() != "/var/lib/kubelet" {
            self.cert_dir = self.root_dir.join("pki");
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Config {
            node_name,
            hostname,
            client,
            root_dir: self.root_dir,
            cert_dir: self.cert_dir,
            node_ips,
            node_labels: self.node_labels,
            taints,
            provider_id: Some(self.provider_id).filter(|id| !id.is_empty()),
            file,
        })
    }

    fn client_config(&self, file: &KubeletConfiguration, errors: &mut Vec<String>) -> Option<client::Config> {
        let kubeconfig = self.kubeconfig.as_ref()?;
        if !kubeconfig.exists() && self.bootstrap_kubeconfig.is_some() {
            errors.push(format!(
                "kubeconfig {} does not exist and TLS bootstrap is not available yet",
                kubeconfig.display()
            ));
            return None;
        }
        match client::Config::from_kubeconfig(kubeconfig) {
            Ok(config) => Some(
                config
                    .with_user_agent("kubelet")
                    .with_rate_limit(file.kube_api_qps as f32, file.kube_api_burst),
            ),
            Err(error) => {
                errors.push(format!("invalid kubeconfig: {}", client::error::chain(&error)));
                None
            }
        }
    }
}

/// The kernel's host name, as the node is called when nothing else is said.
fn machine_hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.trim().to_lowercase()
}

/// `key=value:effect` or `key:effect`.
fn parse_taint(text: &str) -> Option<Taint> {
    let (head, effect) = text.rsplit_once(':')?;
    let (key, value) = match head.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (head, None),
    };
    let known = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
    (known && !key.is_empty()).then(|| Taint {
        key: key.to_owned(),
        value,
        effect: effect.to_owned(),
        time_added: None,
    })
}

/// Labels of the kubernetes.io and k8s.io name spaces a kubelet may not set on itself
/// (upstream: cmd/kubelet/app/options `ValidateKubeletFlags`).
fn unknown_kubernetes_labels(labels: &BTreeMap<String, String>) -> Option<String> {
    const ALLOWED: &[&str] = &[
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    ];
    let unknown: Vec<&str> = labels
        .keys()
        .filter(|label| {
            let space = label.split_once('/').map_or("", |(space, _)| space);
            let within = |root: &str| space == root || space.ends_with(&format!(".{root}"));
            let allowed_space = ["kubelet.kubernetes.io", "node.kubernetes.io"]
                .iter()
                .any(|root| within(root));
            (within("kubernetes.io") || within("k8s.io")) && !allowed_space && !ALLOWED.contains(&label.as_str())
        })
        .map(String::as_str)
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: {unknown:?}\n\
             --node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix \
             (kubelet.kubernetes.io, node.kubernetes.io) or be in the specifically allowed set \
             ({})",
            ALLOWED.join(", ")
        )
    })
}

#[cfg(test)]
mod tests;
