//! The resolver configuration of a pod (upstream: pkg/kubelet/network/dns/dns.go).

use cri_proto::v1;
use k8s_openapi::api::core::v1::Pod;

use crate::options::configuration::KubeletConfiguration;
use crate::pods::PodExt;

/// Limits of a resolv.conf (upstream: pkg/apis/core/validation `MaxDNSNameservers`, ...).
const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// What the pod's resolv.conf says.
pub(crate) fn config(pod: &Pod, file: &KubeletConfiguration) -> v1::DnsConfig {
    let path = file.resolv_conf.as_deref().unwrap_or_default();
    let host = std::fs::read_to_string(path)
        .map(|text| parse(&text))
        .unwrap_or_default();
    decide(pod, &host, &file.cluster_dns, &file.cluster_domain)
}

fn decide(pod: &Pod, host: &v1::DnsConfig, dns: &[String], domain: &str) -> v1::DnsConfig {
    let policy = pod.spec().dns_policy.as_deref().unwrap_or("ClusterFirst");
    let cluster = match policy {
        "ClusterFirst" => !pod.host_network(),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut config = if policy == "None" {
        v1::DnsConfig::default()
    } else if cluster && !dns.is_empty() {
        let mut searches = Vec::new();
        if !domain.is_empty() {
            let namespace = pod.namespace();
            searches.push(format!("{namespace}.svc.{domain}"));
            searches.push(format!("svc.{domain}"));
            searches.push(domain.to_owned());
        }
        searches.extend(host.searches.iter().cloned());
        v1::DnsConfig {
            servers: dns.to_vec(),
            searches,
            options: vec!["ndots:5".to_owned()],
        }
    } else {
        host.clone()
    };
    if let Some(own) = &pod.spec().dns_config {
        config.servers.extend(own.nameservers.iter().flatten().cloned());
        config.searches.extend(own.searches.iter().flatten().cloned());
        for option in own.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            config.options.retain(|o| o.split(':').next() != Some(name));
            config
                .options
                .push(match option.value.as_deref().filter(|v| !v.is_empty()) {
                    Some(value) => format!("{name}:{value}"),
                    None => name.to_owned(),
                });
        }
    }
    limit(config)
}

fn limit(mut config: v1::DnsConfig) -> v1::DnsConfig {
    let mut seen = std::collections::HashSet::new();
    config.servers.retain(|s| seen.insert(s.clone()));
    config.servers.truncate(MAX_SERVERS);
    let mut seen = std::collections::HashSet::new();
    let mut chars = 0;
    config.searches.retain(|s| {
        chars += s.len() + 1;
        chars <= MAX_SEARCH_CHARS + 1 && seen.insert(s.clone())
    });
    config.searches.truncate(MAX_SEARCHES);
    config
}

fn parse(text: &str) -> v1::DnsConfig {
    let mut config = v1::DnsConfig::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => config.servers.extend(words.next().map(str::to_owned)),
            Some("search") => {
                config.searches = words.map(|s| s.trim_end_matches('.').to_owned()).collect();
            }
            Some("options") => config.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    config
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"namespace": "n"}, "spec": spec})).unwrap()
    }

    #[test]
    fn policy_chooses_between_cluster_host_and_own_settings() {
        let host = parse("search corp.\nnameserver 1.1.1.1 # x\noptions edns0\n");
        let dns = vec!["10.96.0.10".to_owned()];
        let of = |spec| decide(&pod(spec), &host, &dns, "cluster.local");
        let cluster = of(json!({"containers": []}));
        assert_eq!(cluster.servers, ["10.96.0.10"]);
        assert_eq!(
            cluster.searches,
            ["n.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp"]
        );
        assert_eq!(cluster.options, ["ndots:5"]);
        assert_eq!(of(json!({"containers": [], "hostNetwork": true})), host);
        assert_eq!(of(json!({"containers": [], "dnsPolicy": "Default"})), host);
        let own = of(json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {
            "nameservers": ["9.9.9.9"], "searches": ["a"], "options": [{"name": "ndots", "value": "2"}]}}));
        assert_eq!(
            (own.servers, own.options),
            (vec!["9.9.9.9".to_owned()], vec!["ndots:2".to_owned()])
        );
    }
}
