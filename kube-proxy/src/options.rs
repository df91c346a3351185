//! Flags and configuration file to an [`Action`]. The table of all flags is `flags.tsv`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use component::flags::{Table, Values, parse_duration};

use crate::config::{Action, Config, Conntrack, DetectLocal, NodeportAddresses};
use crate::config_file::{self, File};

/// All of upstream's flags.
#[must_use]
pub fn flags() -> Table {
    Table::new("kube-proxy", include_str!("flags.tsv"))
}

/// What the flags, and the file they may name, ask for. With a file, flags about the same things are
/// ignored, as upstream does; `--hostname-override` counts always.
///
/// # Errors
/// Everything that is wrong with them.
pub fn options(values: &Values) -> Result<Action, Vec<String>> {
    if values.bool("cleanup") {
        return Ok(Action::CleanUp);
    }
    if let Some(path) = values.non_empty("write-config-to") {
        return Ok(Action::WriteConfig(PathBuf::from(path)));
    }
    let from_flags = file_of_flags(values);
    let mut file = match values.non_empty("config") {
        Some(path) => config_file::load(&path).map_err(|error| vec![format!("{error:#}")])?,
        None => from_flags,
    };
    if let Some(name) = values.non_empty("hostname-override") {
        file.hostname_override = name;
    }
    complete(&file, values.string("master"), values.bool("init-only")).map(|config| Action::Run(Box::new(config)))
}

// Flags are another notation of the file.
fn file_of_flags(values: &Values) -> File {
    let mut file = File {
        bind_address: values.string("bind-address"),
        ..File::default()
    };
    file.client_connection.kubeconfig = values.string("kubeconfig");
    file.client_connection.qps = values.float("kube-api-qps") as f32;
    file.client_connection.burst = u32::try_from(values.int("kube-api-burst")).unwrap_or(0);
    file.cluster_cidr = values.string("cluster-cidr");
    file.detect_local_mode = values.string("detect-local-mode");
    file.detect_local.bridge_interface = values.string("pod-bridge-interface");
    file.detect_local.interface_name_prefix = values.string("pod-interface-name-prefix");
    file.healthz_bind_address = values.string("healthz-bind-address");
    file.metrics_bind_address = values.string("metrics-bind-address");
    file.mode = values.string("proxy-mode");
    file.node_port_addresses = Some(values.strings("nodeport-addresses"));
    file.oom_score_adj = Some(values.int("oom-score-adj"));
    file.nftables.masquerade_all = values.bool("masquerade-all");
    file.nftables.masquerade_bit = u32::try_from(values.int("iptables-masquerade-bit")).ok();
    file.nftables.min_sync_period = values.string("iptables-min-sync-period");
    let conntrack = &mut file.conntrack;
    conntrack.max_per_core = u64::try_from(values.int("conntrack-max-per-core")).ok();
    conntrack.min = u64::try_from(values.int("conntrack-min")).ok();
    conntrack.tcp_established_timeout = Some(values.string("conntrack-tcp-timeout-established"));
    conntrack.tcp_close_wait_timeout = Some(values.string("conntrack-tcp-timeout-close-wait"));
    conntrack.udp_timeout = values.string("conntrack-udp-timeout");
    conntrack.udp_stream_timeout = values.string("conntrack-udp-timeout-stream");
    conntrack.tcp_be_liberal = values.bool("conntrack-tcp-be-liberal");
    file
}

fn complete(file: &File, master: String, init_only: bool) -> Result<Config, Vec<String>> {
    let mut errors = Vec::new();
    if !matches!(file.mode.as_str(), "" | "iptables" | "ipvs" | "nftables") {
        errors.push(format!(
            "mode: must be iptables, ipvs, nftables or blank, blank means the default (iptables): {:?}",
            file.mode
        ));
    } else if file.mode != "nftables" {
        tracing::info!(
            mode = file.mode,
            "this proxy has one mode: rules are made with nftables"
        );
    }
    // Whichever section is filled in counts; nftables first.
    let rules = [&file.nftables, &file.iptables];
    let bit = rules.iter().find_map(|rules| rules.masquerade_bit).unwrap_or(14);
    if bit > 31 {
        errors.push(format!("masqueradeBit: must be within the range [0, 31]: {bit}"));
    }
    let mut duration = |field: &str, text: &str, default: Duration| match text {
        "" | "0" | "0s" => default,
        text => parse_duration(text).unwrap_or_else(|error| {
            errors.push(format!("{field}: {error}"));
            default
        }),
    };
    let period = rules
        .iter()
        .map(|rules| rules.min_sync_period.as_str())
        .find(|period| !matches!(*period, "" | "0s"));
    let min_sync_period = duration("minSyncPeriod", period.unwrap_or(""), Duration::from_secs(1));
    let mut seconds = |field: &str, text: Option<&str>, default: u64| {
        // A zero that was written leaves the kernel's setting alone.
        let seconds = match text {
            Some("0" | "0s") => 0,
            text => duration(field, text.unwrap_or(""), Duration::from_secs(default)).as_secs(),
        };
        (seconds > 0).then_some(seconds)
    };
    let told = &file.conntrack;
    let conntrack = Conntrack {
        max: conntrack_max(told.max_per_core, told.min),
        tcp_established_seconds: seconds("tcpEstablishedTimeout", told.tcp_established_timeout.as_deref(), 86400),
        tcp_close_wait_seconds: seconds("tcpCloseWaitTimeout", told.tcp_close_wait_timeout.as_deref(), 3600),
        udp_seconds: seconds("udpTimeout", Some(&told.udp_timeout), 0),
        udp_stream_seconds: seconds("udpStreamTimeout", Some(&told.udp_stream_timeout), 0),
        tcp_be_liberal: told.tcp_be_liberal,
    };
    let mut address = |field: &str, text: &str, default: &str| {
        let text = if text.is_empty() { default } else { text };
        let (ip, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        let default_port = default.rsplit_once(':').map_or("", |(_, port)| port);
        let port = if port.is_empty() { default_port } else { port };
        match (ip.parse::<IpAddr>(), port.parse::<u16>()) {
            // Port 0 switches it off.
            (Ok(_), Ok(0)) => None,
            (Ok(ip), Ok(port)) => Some(SocketAddr::new(ip, port)),
            _ => {
                errors.push(format!("{field}: must be IP:port: {text:?}"));
                None
            }
        }
    };
    let healthz_address = address("healthzBindAddress", &file.healthz_bind_address, "0.0.0.0:10256");
    let metrics_address = address("metricsBindAddress", &file.metrics_bind_address, "127.0.0.1:10249");
    let detect_local = detect_local(file)
        .map_err(|error| errors.push(error))
        .unwrap_or(DetectLocal::None);
    let nodeport_addresses = match file.node_port_addresses.as_deref() {
        None | Some([]) => NodeportAddresses::All,
        Some([only]) if only == "primary" => NodeportAddresses::Primary,
        Some(cidrs) => {
            errors.extend(
                cidrs
                    .iter()
                    .filter(|cidr| !is_cidr(cidr))
                    .map(|cidr| format!("nodePortAddresses: must be CIDRs: {cidr:?}")),
            );
            NodeportAddresses::Cidrs(cidrs.to_vec())
        }
    };
    let node_name = node_name(&file.hostname_override)
        .map_err(|error| errors.push(error))
        .unwrap_or_default();
    if !errors.is_empty() {
        return Err(errors);
    }
    let client = &file.client_connection;
    Ok(Config {
        node_name,
        kubeconfig: client.kubeconfig.clone(),
        master,
        qps: if client.qps == 0.0 { 5.0 } else { client.qps },
        burst: if client.burst == 0 { 10 } else { client.burst },
        healthz_address,
        metrics_address,
        detect_local,
        masquerade_all: rules.iter().any(|rules| rules.masquerade_all),
        masquerade_bit: bit,
        nodeport_addresses,
        node_ip: file
            .bind_address
            .parse::<IpAddr>()
            .ok()
            .filter(|ip| !ip.is_unspecified()),
        min_sync_period,
        conntrack,
        oom_score_adj: file.oom_score_adj.unwrap_or(-999),
        init_only,
        shown: serde_json::to_value(file).unwrap_or_default(),
    })
}

// Source: upstream cmd/kube-proxy/app/server_linux.go getConntrackMax.
fn conntrack_max(per_core: Option<u64>, min: Option<u64>) -> Option<u64> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    match per_core.unwrap_or(32768) {
        0 => None,
        per_core => Some((per_core * cores).max(min.unwrap_or(131_072))),
    }
}

fn detect_local(file: &File) -> Result<DetectLocal, String> {
    let cidrs: Vec<String> = file
        .cluster_cidr
        .split(',')
        .map(str::trim)
        .filter(|cidr| !cidr.is_empty())
        .map(str::to_owned)
        .collect();
    if let Some(cidr) = cidrs.iter().find(|cidr| !is_cidr(cidr)) {
        return Err(format!(
            "clusterCIDR: must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48): {cidr:?}"
        ));
    }
    let named = |name: &str, field: &str, suffix: &str| match name {
        "" => Err(format!("detectLocal.{field}: is required in this detectLocalMode")),
        name if name.contains(['"', '\\', ' ', '\n']) => {
            Err(format!("detectLocal.{field}: no interface name: {name:?}"))
        }
        name => Ok(DetectLocal::Interface(format!("{name}{suffix}"))),
    };
    match file.detect_local_mode.as_str() {
        "" | "ClusterCIDR" if cidrs.is_empty() => Ok(DetectLocal::None),
        "" | "ClusterCIDR" => Ok(DetectLocal::ClusterCidr(cidrs)),
        "NodeCIDR" => Ok(DetectLocal::NodeCidr),
        "BridgeInterface" => named(&file.detect_local.bridge_interface, "bridgeInterface", ""),
        "InterfaceNamePrefix" => named(&file.detect_local.interface_name_prefix, "interfaceNamePrefix", "*"),
        other => Err(format!(
            "detectLocalMode: must be ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix: {other:?}"
        )),
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((ip, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match ip.parse::<IpAddr>() {
        Ok(ip) if ip.is_ipv4() => 32,
        Ok(_) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

// Source: upstream pkg/util/node GetHostname.
fn node_name(told: &str) -> Result<String, String> {
    let name = match told {
        "" => std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(|error| format!("hostname: {error}"))?,
        told => told.to_owned(),
    };
    match name.trim().to_lowercase() {
        name if name.is_empty() => Err("hostname: empty".to_owned()),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(line: &str) -> Result<Config, Vec<String>> {
        match options(&flags().parse(line.split_whitespace()).unwrap())? {
            Action::Run(config) => Ok(*config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_upstreams() {
        let config = config("--hostname-override=Node-1 --kubeconfig=/k").unwrap();
        assert_eq!(config.node_name, "node-1");
        assert_eq!(config.healthz_address.unwrap().port(), 10256);
        assert_eq!(config.metrics_address.unwrap().to_string(), "127.0.0.1:10249");
        assert_eq!(config.min_sync_period, Duration::from_secs(1));
        assert_eq!((config.masquerade_bit, config.oom_score_adj), (14, -999));
        assert_eq!(config.detect_local, DetectLocal::None);
        assert_eq!(config.conntrack.tcp_established_seconds, Some(86400));
        assert_eq!(config.conntrack.udp_seconds, None);
    }

    #[test]
    fn flags_that_act_are_read() {
        let line = "--hostname-override=n --cluster-cidr=10.244.0.0/16,fd00::/48 --proxy-mode=nftables --conntrack-max-per-core=0 \
            --conntrack-tcp-timeout-established=0 --nodeport-addresses=primary --metrics-bind-address=0.0.0.0:0 --masquerade-all";
        let values = flags().parse(line.split_whitespace()).unwrap();
        let Action::Run(config) = options(&values).unwrap() else {
            panic!()
        };
        assert_eq!(values.unused(), [""; 0]);
        assert_eq!(config.conntrack.max, None);
        assert_eq!(config.conntrack.tcp_established_seconds, None);
        assert_eq!(config.nodeport_addresses, NodeportAddresses::Primary);
        assert_eq!(config.metrics_address, None);
        assert!(config.masquerade_all);
        assert_eq!(
            config.detect_local,
            DetectLocal::ClusterCidr(vec!["10.244.0.0/16".into(), "fd00::/48".into()])
        );
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let line = "--hostname-override=n --cluster-cidr=10.244.0.0 --proxy-mode=magic --nodeport-addresses=10.0.0.0/99 --iptables-masquerade-bit=32";
        assert_eq!(config(line).unwrap_err().len(), 4);
    }
}
