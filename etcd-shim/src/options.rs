//! Flags to [`Config`]. The table of all of them is `flags.tsv`.

use std::path::PathBuf;
use std::time::Duration;

use component::flags::{Table, Values, parse_duration};
use component::logging;

use crate::auto_compaction::AutoCompaction;
use crate::config::{Config, EngineKind, Listen, TlsFiles};

/// All of etcd's flags. A flag can also come from the environment as `ETCD_<NAME>`.
#[must_use]
pub fn flags() -> Table {
    Table::new("etcd", include_str!("flags.tsv"))
        .env_prefix("ETCD")
        .single_dash()
}

/// What `--version` prints, if it was given; etcd's form, which scripts cut apart.
#[must_use]
pub fn version_requested() -> Option<String> {
    let asked = std::env::args()
        .skip(1)
        .any(|word| matches!(word.as_str(), "--version" | "-version"));
    asked.then(|| {
        format!(
            "etcd Version: {}\nGit SHA: corten-{}\n",
            crate::VERSION,
            env!("CARGO_PKG_VERSION")
        )
    })
}

/// How to log, from `--log-level` and `--log-format`.
#[must_use]
pub fn logging(values: &Values) -> logging::Config {
    let verbosity = if values.string("log-level") == "debug" { 4 } else { 0 };
    logging::Config {
        verbosity,
        json: values.string("log-format") == "json",
    }
}

/// The configuration the flags describe.
///
/// # Errors
/// Everything that is wrong with them, each with the flag's name.
pub fn config(values: &Values) -> Result<Config, Vec<String>> {
    let mut errors = Vec::new();
    let name = values.string("name");
    if values.string("initial-cluster").split(',').count() > 1 {
        errors.push("--initial-cluster: only a cluster of one member is supported".to_owned());
    }
    let mut listeners = |flag: &str| -> Vec<Listen> {
        let urls = values.strings(flag).into_iter().filter(|url| !url.is_empty());
        urls.filter_map(|url| {
            listen(&url)
                .map_err(|error| errors.push(format!("--{flag}: {error}")))
                .ok()
        })
        .collect()
    };
    let client_listeners = listeners("listen-client-urls");
    let metrics_listeners = listeners("listen-metrics-urls");
    let tls = tls(values, &mut errors);
    if tls.is_none()
        && client_listeners
            .iter()
            .chain(&metrics_listeners)
            .any(|listen| listen.tls)
    {
        errors.push("--cert-file and --key-file are needed to listen on https".to_owned());
    }
    let auto_compaction = auto_compaction(values)
        .map_err(|error| errors.push(error))
        .ok()
        .flatten();
    let data_dir = values
        .non_empty("data-dir")
        .map_or_else(|| PathBuf::from(format!("{name}.etcd")), PathBuf::from);
    let engine = values.string("engine").parse();
    let engine = engine.map_err(|error| errors.push(format!("--engine: {error}"))).ok();
    let interval = [
        values.duration("watch-progress-notify-interval"),
        values.duration("experimental-watch-progress-notify-interval"),
    ];
    let interval = interval.into_iter().find(|interval| !interval.is_zero());
    let election_ms = values.uint("election-timeout").max(values.uint("heartbeat-interval"));
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Config {
        name,
        data_dir: Some(data_dir),
        engine: engine.unwrap_or(EngineKind::Sqlite),
        client_listeners,
        metrics_listeners,
        tls,
        advertise_client_urls: values.strings("advertise-client-urls"),
        advertise_peer_urls: values.strings("initial-advertise-peer-urls"),
        max_request_bytes: usize::try_from(values.uint("max-request-bytes")).unwrap_or(usize::MAX),
        max_txn_ops: usize::try_from(values.uint("max-txn-ops")).unwrap_or(usize::MAX),
        max_concurrent_streams: u32::try_from(values.uint("max-concurrent-streams")).unwrap_or(u32::MAX),
        // Negative switches the quota off in etcd, 0 means its default; here both are no limit.
        quota_bytes: u64::try_from(values.int("quota-backend-bytes")).unwrap_or(0),
        progress_interval: interval.unwrap_or(Duration::from_secs(600)),
        // etcd server/etcdserver/server.go: minTTL is three halves of the election timeout, in seconds.
        min_lease_ttl: i64::try_from((election_ms * 3).div_ceil(2000)).unwrap_or(i64::MAX),
        auto_compaction,
    })
}

fn listen(url: &str) -> Result<Listen, String> {
    let (scheme, address) = url.split_once("://").ok_or_else(|| format!("{url}: no scheme"))?;
    let tls = match scheme {
        "http" => false,
        "https" => true,
        _ => return Err(format!("{url}: the scheme must be http or https")),
    };
    let address = address.trim_end_matches('/');
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        return Err(format!("{url}: host and port are needed"));
    }
    Ok(Listen {
        address: address.to_owned(),
        tls,
    })
}

fn tls(values: &Values, errors: &mut Vec<String>) -> Option<TlsFiles> {
    let path = |flag: &str| values.non_empty(flag).map(PathBuf::from);
    let client_ca = path("trusted-ca-file");
    if values.bool("client-cert-auth") && client_ca.is_none() {
        errors.push("--client-cert-auth needs --trusted-ca-file".to_owned());
    }
    let tls13_only = match values.string("tls-min-version").as_str() {
        "" | "TLS1.2" => false,
        "TLS1.3" => true,
        other => {
            errors.push(format!("--tls-min-version: unexpected TLS version {other:?}"));
            false
        }
    };
    match (path("cert-file"), path("key-file")) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert,
            key,
            client_ca,
            tls13_only,
        }),
        (None, None) => None,
        _ => {
            errors.push("--cert-file and --key-file go together".to_owned());
            None
        }
    }
}

// A bare number is hours for "periodic" (etcd server/embed/etcd.go parseCompactionRetention).
fn auto_compaction(values: &Values) -> Result<Option<AutoCompaction>, String> {
    let text = values.string("auto-compaction-retention");
    let wrong = || format!("--auto-compaction-retention: {text:?} is neither a number nor a duration");
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    let rule = match (values.string("auto-compaction-mode").as_str(), number) {
        (_, Some(0)) => return Ok(None),
        ("periodic", Some(hours)) => AutoCompaction::Periodic(Duration::from_secs(hours.unsigned_abs() * 3600)),
        ("periodic", None) => AutoCompaction::Periodic(parse_duration(&text).map_err(|_| wrong())?),
        ("revision", Some(revisions)) => AutoCompaction::Revision(revisions),
        ("revision", None) => return Err(wrong()),
        (mode, _) => return Err(format!("--auto-compaction-mode: {mode:?} is not periodic or revision")),
    };
    Ok(Some(rule).filter(|rule| *rule != AutoCompaction::Periodic(Duration::ZERO)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kubeadms_command_line_is_understood() {
        let line = "--advertise-client-urls=https://10.0.0.1:2379 --cert-file=/pki/server.crt --client-cert-auth=true \
            --data-dir=/var/lib/etcd --feature-gates=InitialCorruptCheck=true \
            --initial-advertise-peer-urls=https://10.0.0.1:2380 --initial-cluster=node=https://10.0.0.1:2380 \
            --key-file=/pki/server.key --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379 \
            --listen-metrics-urls=http://127.0.0.1:2381 --listen-peer-urls=https://10.0.0.1:2380 --name=node \
            --peer-cert-file=/pki/peer.crt --peer-client-cert-auth=true --peer-key-file=/pki/peer.key \
            --peer-trusted-ca-file=/pki/ca.crt --snapshot-count=10000 --trusted-ca-file=/pki/ca.crt \
            --watch-progress-notify-interval=5s";
        let values = flags().parse(line.split_whitespace()).unwrap();
        let config = config(&values).unwrap();
        assert_eq!(values.unused(), [""; 0]);
        assert_eq!(config.client_listeners.len(), 2);
        assert!(config.client_listeners[0].tls && !config.metrics_listeners[0].tls);
        assert_eq!(config.progress_interval, Duration::from_secs(5));
        assert_eq!(config.tls.unwrap().client_ca.unwrap(), PathBuf::from("/pki/ca.crt"));
        assert_eq!(config.min_lease_ttl, 2);
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let line = [
            "--listen-client-urls=https://x:1,ftp://y:2",
            "--client-cert-auth",
            "--auto-compaction-retention=z",
        ];
        let errors = config(&flags().parse(line).unwrap()).unwrap_err();
        assert_eq!(errors.len(), 4, "{errors:?}");
    }
}
