//! Flags to [`Config`]. The table of all of them is `flags.tsv`.

use std::path::PathBuf;
use std::time::Duration;

use component::flags::{Kind, Table, Values, parse_duration};
use component::{logging, serving};

use crate::auto_compaction::AutoCompaction;
use crate::config::{Config, Listen, TlsFiles};

/// All of etcd's flags. A flag can also come from the environment as `ETCD_<NAME>`.
#[must_use]
pub fn flags() -> Table {
    Table::new("etcd", include_str!("flags.tsv"))
        .env_prefix("ETCD")
        .single_dash()
}

/// What `--config-file` says instead of the command line and the environment, if it was given; and the names in it
/// that are no flags. Source: etcd `server/embed/config.go` `ConfigFromFile`.
///
/// # Errors
/// The file cannot be read, or a value in it is wrong.
pub fn from_config_file(values: Values) -> Result<(Values, Vec<String>), String> {
    let Some(path) = values.non_empty("config-file") else {
        return Ok((values, Vec::new()));
    };
    let wrong = |why: String| format!("--config-file: {path}: {why}");
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    // Neither does the environment count then.
    let table = Table::new("etcd", include_str!("flags.tsv"));
    let (words, unknown) = words_of(&table, &text).map_err(wrong)?;
    let values = table.parse(words).map_err(|error| wrong(error.to_string()))?;
    Ok((values, unknown))
}

/// A configuration file's words as a command line, and the names that are no flags.
fn words_of(table: &Table, text: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let file = component::config_file::parse(text)?;
    let file = file.as_object().ok_or("a map of names and values is needed")?;
    let (mut words, mut unknown) = (Vec::new(), Vec::new());
    let mut add = |name: String, value: &serde_json::Value| -> Result<(), String> {
        use serde_json::Value;
        let plain = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
            _ => Err(format!("{name}: neither a text nor a number")),
        };
        let text = match value {
            Value::Null => return Ok(()),
            Value::Array(list) => list.iter().map(plain).collect::<Result<Vec<_>, _>>()?.join(","),
            one => plain(one)?,
        };
        match table.find(&name) {
            // Durations in files are in nanoseconds.
            Some(flag) if flag.kind == Kind::Duration && value.is_number() => words.push(format!("--{name}={text}ns")),
            Some(_) => words.push(format!("--{name}={text}")),
            None => unknown.push(name),
        }
        Ok(())
    };
    for (name, value) in file {
        let prefix = match name.as_str() {
            "client-transport-security" => "",
            "peer-transport-security" => "peer-",
            _ => {
                add(name.clone(), value)?;
                continue;
            }
        };
        for (inner, value) in value.as_object().into_iter().flatten() {
            add(format!("{prefix}{inner}"), value)?;
        }
    }
    Ok((words, unknown))
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
    let http_listeners = listeners("listen-client-http-urls");
    let metrics_listeners = listeners("listen-metrics-urls");
    let tls = tls(values, &mut errors);
    if tls.is_none()
        && client_listeners
            .iter()
            .chain(&http_listeners)
            .chain(&metrics_listeners)
            .any(|listen| listen.tls)
    {
        errors.push("--cert-file and --key-file are needed to listen on https".to_owned());
    }
    let auto_compaction = auto_compaction(values)
        .map_err(|error| errors.push(error))
        .ok()
        .flatten();
    let extensive_metrics = match values.string("metrics").as_str() {
        "basic" | "" => Ok(false),
        "extensive" => Ok(true),
        other => Err(format!("--metrics: {other:?} is neither \"basic\" nor \"extensive\"")),
    };
    let extensive_metrics = extensive_metrics.map_err(|error| errors.push(error));
    let data_dir = values
        .non_empty("data-dir")
        .map_or_else(|| PathBuf::from(format!("{name}.etcd")), PathBuf::from);
    let engine = values.non_empty("engine").map(|engine| engine.parse()).transpose();
    let engine = engine.map_err(|error| errors.push(format!("--engine: {error}")));
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
        engine: engine.unwrap_or_default(),
        client_listeners,
        http_listeners,
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
        extensive_metrics: extensive_metrics.unwrap_or_default(),
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
    let cipher_suites = values.strings("cipher-suites");
    errors.extend(unknown_suites(&cipher_suites));
    match (path("cert-file"), path("key-file")) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert,
            key,
            client_ca,
            tls13_only,
            cipher_suites,
        }),
        (None, None) => None,
        _ => {
            errors.push("--cert-file and --key-file go together".to_owned());
            None
        }
    }
}

/// The suites have the names that Kubernetes' flag knows, too.
fn unknown_suites(names: &[String]) -> Vec<String> {
    let table = "tls-min-version\t\tstring\t\tacts\ntls-cipher-suites\t\tstringSlice\t\tacts\n\
                 tls-sni-cert-key\t\tnamedCertKey\t\tacts";
    let mut errors = Vec::new();
    match Table::new("etcd", table).parse([format!("--tls-cipher-suites={}", names.join(","))]) {
        Ok(values) => drop(serving::TlsFlags::from_values(&values, &mut errors)),
        Err(error) => errors.push(error.to_string()),
    }
    errors
        .into_iter()
        .map(|error| format!("--cipher-suites: {error}"))
        .collect()
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
    fn a_configuration_file_speaks_instead_of_the_command_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etcd.conf.yml");
        // The names that etcd's own sample has.
        let text = "name: 'there'\ndata-dir: /data\nsnapshot-count: 10000\nquota-backend-bytes: 77\nproxy: 'off'\n\
            listen-client-urls: https://127.0.0.1:1,https://127.0.0.1:2\ncors:\nlog-outputs: [stderr]\n\
            auto-compaction-retention: \"1\"\nwatch-progress-notify-interval: 5000000000\n\
            client-transport-security:\n  cert-file: /c\n  key-file: /k\n  client-cert-auth: true\n  trusted-ca-file: /t\n\
            peer-transport-security:\n  cert-file: /pc\n";
        std::fs::write(&path, text).unwrap();
        let line = [format!("--config-file={}", path.display()), "--name=here".into()];
        let (values, unknown) = from_config_file(flags().parse(line).unwrap()).unwrap();
        assert_eq!(unknown, ["proxy"]);
        let config = config(&values).unwrap();
        assert_eq!((config.name.as_str(), config.quota_bytes), ("there", 77));
        assert_eq!(config.client_listeners.len(), 2);
        assert_eq!(config.progress_interval, Duration::from_secs(5));
        assert_eq!(
            config.auto_compaction,
            Some(AutoCompaction::Periodic(Duration::from_secs(3600)))
        );
        assert_eq!(config.tls.unwrap().client_ca.unwrap(), PathBuf::from("/t"));
        std::fs::write(&path, "quota-backend-bytes: many").unwrap();
        let wrong = from_config_file(flags().parse([format!("--config-file={}", path.display())]).unwrap());
        assert!(wrong.unwrap_err().contains("quota-backend-bytes"));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let line = [
            "--listen-client-urls=https://x:1,ftp://y:2",
            "--client-cert-auth",
            "--auto-compaction-retention=z",
            "--cipher-suites=TLS_ROT13",
            "--metrics=all",
        ];
        let errors = config(&flags().parse(line).unwrap()).unwrap_err();
        assert_eq!(errors.len(), 6, "{errors:?}");
    }
}
