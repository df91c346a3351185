//! Kernel settings beside the rules. None is worth failing for: a container may not be allowed to.

use std::fs;

use crate::config::Config;

/// Writes what the configuration asks for. Source: upstream `cmd/kube-proxy/app/conntrack.go`.
pub(crate) fn set_up(config: &Config) {
    write("/proc/self/oom_score_adj", &config.oom_score_adj.to_string());
    let conntrack = &config.conntrack;
    let settings = [
        ("nf_conntrack_max", conntrack.max),
        (
            "nf_conntrack_tcp_timeout_established",
            conntrack.tcp_established_seconds,
        ),
        ("nf_conntrack_tcp_timeout_close_wait", conntrack.tcp_close_wait_seconds),
        ("nf_conntrack_udp_timeout", conntrack.udp_seconds),
        ("nf_conntrack_udp_timeout_stream", conntrack.udp_stream_seconds),
        ("nf_conntrack_tcp_be_liberal", conntrack.tcp_be_liberal.then_some(1)),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            write(&format!("/proc/sys/net/netfilter/{name}"), &value.to_string());
        }
    }
}

fn write(path: &str, value: &str) {
    let current = fs::read_to_string(path).unwrap_or_default();
    if current.trim() == value {
        return;
    }
    match fs::write(path, value) {
        Ok(()) => tracing::info!(path, value, "kernel setting changed"),
        Err(error) => tracing::warn!(path, value, %error, "kernel setting not changed"),
    }
}
