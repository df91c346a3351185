//! Flags: upstream's table, read into [`Options`], checked all at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::gates::Gates;
use component::flags::{Table, Values};

use crate::admission::default_toleration_seconds::TolerationSeconds;
use crate::admission::{self, Configurations};
use crate::authn::config::Settings;
use crate::authn::{self, Anonymous};
use crate::authz;
use crate::draining;
use crate::proxy::NodesConfig;
use crate::registry::Settings as StoreSettings;
use crate::services::service_range::ServiceRange;
use crate::storage::encryption;

mod runtime_config;
mod storage;
mod web;

pub(crate) use runtime_config::RuntimeConfig;
pub use storage::InMemory;
pub(crate) use storage::{Override, StorageOptions};
pub(crate) use web::WebOptions;

/// The server's certificate.
#[derive(Debug, Clone)]
pub(crate) enum ServingCertificate {
    /// `--tls-cert-file`, `--tls-private-key-file`.
    Files(PathBuf, PathBuf),
    /// Made at start, and kept in `--cert-dir` if that is not empty.
    SelfSigned(Option<PathBuf>),
}

/// What the flags say, typed and valid.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) storage: StorageOptions,
    /// `--encryption-provider-config`.
    pub(crate) encryption: Option<encryption::Options>,
    pub(crate) etcd_prefix: String,
    pub(crate) compaction: Duration,
    /// `--etcd-count-metric-poll-period`.
    pub(crate) count_every: Duration,
    pub(crate) event_ttl: Duration,
    /// Fields that are not there.
    pub(crate) gates: Gates,
    /// What flags say of every store.
    pub(crate) store: StoreSettings,
    pub(crate) watch_cache: bool,
    /// Resources without a copy in memory, as group and resource (`--watch-cache-sizes` of 0).
    pub(crate) uncached: Vec<(String, String)>,
    pub(crate) allow_privileged: bool,
    pub(crate) bind: IpAddr,
    pub(crate) port: u16,
    pub(crate) advertise: Option<IpAddr>,
    pub(crate) certificate: ServingCertificate,
    pub(crate) web: WebOptions,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) authentication: Settings,
    pub(crate) authorization_modes: Vec<String>,
    pub(crate) enable_admission: Vec<String>,
    pub(crate) disable_admission: Vec<String>,
    pub(crate) admission_configurations: Configurations,
    pub(crate) toleration_seconds: TolerationSeconds,
    pub(crate) nodes: NodesConfig,
    pub(crate) service_ranges: Vec<ServiceRange>,
    pub(crate) node_ports: (u16, u16),
    pub(crate) endpoint_reconciler: String,
    pub(crate) max_reads: usize,
    pub(crate) max_writes: usize,
    /// `--enable-priority-and-fairness`: requests beyond the limits wait.
    pub(crate) queue_requests: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) min_request_timeout: Duration,
    pub(crate) draining: draining::Options,
    pub(crate) profiling: bool,
    pub(crate) health: HealthOptions,
    pub(crate) overrides: Vec<Override>,
    pub(crate) runtime_config: RuntimeConfig,
    /// `--feature-gates`, as given.
    pub(crate) features: BTreeMap<String, String>,
    /// All flags as Go prints them, for `/flagz`.
    pub(crate) printed: BTreeMap<String, String>,
}

/// How patient the health paths are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HealthOptions {
    /// `--etcd-healthcheck-timeout`.
    pub(crate) etcd: Duration,
    /// `--etcd-readycheck-timeout`.
    pub(crate) etcd_ready: Duration,
    /// `--livez-grace-period`: as long after the start, `/livez` does not mind what is not up yet.
    pub(crate) livez_grace: Duration,
}

/// The table of all flags.
pub fn table() -> Table {
    Table::new("kube-apiserver", include_str!("flags.tsv"))
}

/// The service network when the flag is not given (upstream `kubeoptions.DefaultServiceIPCIDR`).
const DEFAULT_SERVICE_RANGE: &str = "10.0.0.0/24";

impl Options {
    /// Reads parsed flags. The error lists all mistakes.
    ///
    /// # Errors
    /// One text per mistake, as upstream words them.
    pub fn from_values(v: &Values) -> Result<Self, Vec<String>> {
        let mut errors = vec![];
        let path = |name: &str| v.non_empty(name).map(PathBuf::from);

        let storage = StorageOptions::from_values(v, &mut errors);
        let overrides = storage::overrides(v, &mut errors);
        let features = v.map("feature-gates");
        errors.extend(component::features::check(&features));
        let runtime_config = RuntimeConfig::from_values(v, &mut errors);

        let port = v.int("secure-port");
        if !(1..=65535).contains(&port) {
            errors.push(format!(
                "--secure-port {port} must be between 1 and 65535, inclusive. It cannot be turned off with 0"
            ));
        }
        let certificate = serving_certificate(v, &mut errors);
        let web = WebOptions::from_values(v, &mut errors);

        let modes = authorization_modes(v, &mut errors);
        errors.extend(authz::config::validate(&modes));

        let service_ranges = service_ranges(v, &mut errors);
        let reconciler = v.string("endpoint-reconciler-type");
        if !matches!(reconciler.as_str(), "lease" | "none" | "master-count") {
            errors.push(format!(
                "--endpoint-reconciler-type {reconciler:?} must be one of lease, master-count, none"
            ));
        }
        let timeout = v.duration("request-timeout");
        if timeout.is_zero() {
            errors.push("--request-timeout can not be zero".to_owned());
        }
        if v.int("min-request-timeout") < 0 {
            errors.push("--min-request-timeout can not be negative value".to_owned());
        }
        let queue_requests = v.bool("enable-priority-and-fairness");
        let (max_reads, max_writes) = inflight(v, queue_requests, &mut errors);
        let enable_admission = [v.strings("enable-admission-plugins"), v.strings("admission-control")].concat();
        let disable_admission = v.strings("disable-admission-plugins");
        let admission_configurations = configurations(v, &enable_admission, &disable_admission, &mut errors);
        let options = Options {
            storage,
            encryption: storage::encryption(v, &features, &mut errors),
            overrides,
            runtime_config,
            gates: Gates::new(|gate| component::features::enabled(&features, gate)),
            features,
            printed: v.all(),
            etcd_prefix: v.string("etcd-prefix").trim_end_matches('/').to_owned(),
            compaction: v.duration("etcd-compaction-interval"),
            count_every: v.duration("etcd-count-metric-poll-period"),
            event_ttl: v.duration("event-ttl"),
            store: storage::settings(v),
            watch_cache: v.bool("watch-cache"),
            uncached: storage::uncached(v, &mut errors),
            allow_privileged: v.bool("allow-privileged"),
            bind: v.ip("bind-address").unwrap_or(IpAddr::from([0, 0, 0, 0])),
            port: u16::try_from(port).unwrap_or(0),
            advertise: v.ip("advertise-address"),
            certificate,
            web,
            client_ca: path("client-ca-file"),
            authentication: settings(v, &mut errors),
            authorization_modes: modes,
            enable_admission,
            disable_admission,
            admission_configurations,
            toleration_seconds: TolerationSeconds {
                not_ready: v.int("default-not-ready-toleration-seconds"),
                unreachable: v.int("default-unreachable-toleration-seconds"),
            },
            nodes: NodesConfig {
                ca: path("kubelet-certificate-authority"),
                cert: path("kubelet-client-certificate"),
                key: path("kubelet-client-key"),
                address_types: v.strings("kubelet-preferred-address-types"),
                port: u16::try_from(v.uint("kubelet-port")).ok().filter(|p| *p > 0),
            },
            service_ranges,
            node_ports: v.port_range("service-node-port-range").unwrap_or((30000, 32767)),
            endpoint_reconciler: reconciler,
            max_reads,
            max_writes,
            queue_requests,
            request_timeout: timeout,
            min_request_timeout: Duration::from_secs(v.int("min-request-timeout").max(1).unsigned_abs()),
            draining: draining::Options {
                delay: v.duration("shutdown-delay-duration"),
                send_retry_after: v.bool("shutdown-send-retry-after"),
                watch_grace: v.duration("shutdown-watch-termination-grace-period"),
            },
            profiling: v.bool("profiling"),
            health: HealthOptions {
                etcd: v.duration("etcd-healthcheck-timeout"),
                etcd_ready: v.duration("etcd-readycheck-timeout"),
                livez_grace: v.duration("livez-grace-period"),
            },
        };
        if errors.is_empty() { Ok(options) } else { Err(errors) }
    }

    /// Parses a command line without the program's name; for tests and for [`table`]'s users.
    ///
    /// # Errors
    /// As [`Options::from_values`], or the parser's one error.
    pub fn parse<I, S>(args: I) -> Result<Self, Vec<String>>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let args: Vec<String> = args.into_iter().map(Into::into).collect();
        let values = table().parse(args).map_err(|e| vec![e.to_string()])?;
        Self::from_values(&values)
    }

    /// Keeps the objects in memory instead of etcd: for `pkg/testserver`.
    #[must_use]
    pub fn in_memory(mut self, objects: &InMemory) -> Self {
        self.storage = StorageOptions::Memory(objects.clone());
        self
    }

    /// Takes any free port: for tests.
    #[must_use]
    pub fn any_port(mut self) -> Self {
        self.port = 0;
        self
    }
}

/// The certificate of the server itself.
fn serving_certificate(v: &Values, errors: &mut Vec<String>) -> ServingCertificate {
    let path = |name: &str| v.non_empty(name).map(PathBuf::from);
    match (path("tls-cert-file"), path("tls-private-key-file")) {
        (Some(cert), Some(key)) => ServingCertificate::Files(cert, key),
        (None, None) => ServingCertificate::SelfSigned(path("cert-dir")),
        _ => {
            errors.push("--tls-cert-file and --tls-private-key-file must be given together".to_owned());
            ServingCertificate::SelfSigned(None)
        }
    }
}

/// The service networks: one, or one of each family.
fn service_ranges(v: &Values, errors: &mut Vec<String>) -> Vec<ServiceRange> {
    let text = v.non_empty("service-cluster-ip-range");
    let text = text.as_deref().unwrap_or(DEFAULT_SERVICE_RANGE);
    let mut ranges = vec![];
    for text in text.split(',') {
        match ServiceRange::parse(text.trim()) {
            Ok(range) => ranges.push(range),
            Err(e) => errors.push(format!("--service-cluster-ip-range: {e}")),
        }
    }
    if ranges.len() > 2 {
        errors.push("--service-cluster-ip-range must not contain more than two entries".to_owned());
    } else if ranges.len() == 2 && ranges[0].family() == ranges[1].family() {
        errors.push(
            "--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of different IP family".to_owned(),
        );
    }
    ranges
}

/// How many reads and writes may run at once. `queue`: further ones wait, which needs a limit to wait for.
fn inflight(v: &Values, queue: bool, errors: &mut Vec<String>) -> (usize, usize) {
    let mut limit = |name: &str| {
        usize::try_from(v.int(name)).unwrap_or_else(|_| {
            errors.push(format!("--{name} can not be negative value"));
            0
        })
    };
    let (reads, writes) = (limit("max-requests-inflight"), limit("max-mutating-requests-inflight"));
    if queue && reads == 0 && writes == 0 {
        errors.push("invalid configuration: MaxRequestsInFlight=0 and MaxMutatingRequestsInFlight=0; they must add up to something positive".to_owned());
    }
    (reads, writes)
}

/// What the file of `--admission-control-config-file` says to the plugins that run.
fn configurations(v: &Values, enable: &[String], disable: &[String], errors: &mut Vec<String>) -> Configurations {
    let Some(file) = v.non_empty("admission-control-config-file") else {
        return Configurations::default();
    };
    // Unknown names are reported when the chain is built.
    let enabled = admission::plugins::enabled(enable, disable).unwrap_or_default();
    Configurations::read(Path::new(&file), &enabled).unwrap_or_else(|wrong| {
        errors.push(wrong);
        Configurations::default()
    })
}

/// Who may ask without credentials: the flag's word, or the file's of `--authentication-config`.
fn anonymous(v: &Values, errors: &mut Vec<String>) -> Anonymous {
    let flag = Anonymous {
        enabled: v.bool("anonymous-auth"),
        paths: vec![],
    };
    let Some(file) = v.non_empty("authentication-config") else {
        return flag;
    };
    match authn::config_file::anonymous(Path::new(&file)) {
        Ok(None) => flag,
        Ok(Some(_)) if v.changed("anonymous-auth") => {
            errors.push("anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file".to_owned());
            flag
        }
        Ok(Some(anonymous)) => anonymous,
        Err(wrong) => {
            errors.extend(wrong);
            flag
        }
    }
}

/// The modes of the flag, or of the file of `--authorization-config`.
fn authorization_modes(v: &Values, errors: &mut Vec<String>) -> Vec<String> {
    let given = v.strings("authorization-mode");
    let Some(file) = v.non_empty("authorization-config") else {
        return if given.is_empty() {
            vec!["AlwaysAllow".to_owned()]
        } else {
            given
        };
    };
    if !given.is_empty() {
        errors.push("--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined".to_owned());
        return given;
    }
    authz::config_file::modes(Path::new(&file)).unwrap_or_else(|wrong| {
        errors.extend(wrong);
        vec!["AlwaysDeny".to_owned()]
    })
}

fn settings(v: &Values, errors: &mut Vec<String>) -> Settings {
    let path = |name: &str| v.non_empty(name).map(PathBuf::from);
    let host = v
        .non_empty("external-hostname")
        .or_else(|| v.ip("advertise-address").map(|ip| ip.to_string()));
    Settings {
        client_ca_file: path("client-ca-file"),
        requestheader_client_ca_file: path("requestheader-client-ca-file"),
        requestheader_allowed_names: v.strings("requestheader-allowed-names"),
        requestheader_username_headers: v.strings("requestheader-username-headers"),
        requestheader_uid_headers: v.strings("requestheader-uid-headers"),
        requestheader_group_headers: v.strings("requestheader-group-headers"),
        requestheader_extra_prefixes: v.strings("requestheader-extra-headers-prefix"),
        service_account_key_files: v
            .strings("service-account-key-file")
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        service_account_signing_key_file: path("service-account-signing-key-file"),
        service_account_issuers: v.strings("service-account-issuer"),
        service_account_jwks_uri: v.string("service-account-jwks-uri"),
        service_account_lookup: v.bool("service-account-lookup"),
        service_account_max_seconds: v
            .duration("service-account-max-token-expiration")
            .as_secs()
            .cast_signed(),
        service_account_extend: v.bool("service-account-extend-token-expiration"),
        api_audiences: v.strings("api-audiences"),
        anonymous: anonymous(v, errors),
        token_auth_file: path("token-auth-file"),
        bootstrap_tokens: v.bool("enable-bootstrap-token-auth"),
        external_address: format!(
            "{}:{}",
            host.unwrap_or_else(|| "localhost".to_owned()),
            v.int("secure-port")
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::registry::codec::Form;

    #[test]
    fn kubeadms_command_line_is_understood() {
        let o = Options::parse([
            "--etcd-servers=https://127.0.0.1:2379",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--secure-port=6443",
            "--runtime-config=",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        ])
        .unwrap();
        assert_eq!(o.authorization_modes, ["Node", "RBAC"]);
        assert_eq!(o.service_ranges[0].first().unwrap().to_string(), "10.96.0.1");
        assert_eq!(o.nodes.address_types[0], "InternalIP");
        assert_eq!(o.node_ports, (30000, 32767));
        assert_eq!(o.gates, Gates::default(), "both tables of gates agree");
        for (gate, default) in api::gates::defaults() {
            assert_eq!(component::features::enabled(&o.features, gate), default, "{gate}");
        }
    }

    #[test]
    fn small_knobs_reach_their_places() {
        let o = Options::parse([
            "--etcd-servers=https://127.0.0.1:2379",
            "--tls-min-version=VersionTLS13",
            "--kubelet-port=10260",
            "--default-not-ready-toleration-seconds=7",
            "--livez-grace-period=3s",
            "--etcd-healthcheck-timeout=4s",
        ])
        .unwrap();
        assert!(o.web.tls.tls13_only);
        assert_eq!(o.nodes.port, Some(10260));
        assert_eq!(
            (o.toleration_seconds.not_ready, o.toleration_seconds.unreachable),
            (7, 300)
        );
        assert_eq!((o.health.livez_grace.as_secs(), o.health.etcd.as_secs()), (3, 4));
        let errors = Options::parse(["--etcd-servers=https://127.0.0.1:2379", "--tls-min-version=SSL"]).unwrap_err();
        assert_eq!(errors, ["unknown tls version \"SSL\""]);
    }

    /// Flags of features that are not there yet; they warn.
    const LATER: [&str; 10] = [
        "aggregator-reject-forwarding-redirect",
        "audit-",
        "authentication-token-webhook-",
        "authorization-policy-file",
        "authorization-webhook-",
        "egress-selector-config-file",
        "enable-aggregator-routing",
        "oidc-",
        "proxy-client-",
        "tracing-config-file",
    ];

    #[test]
    fn a_flag_that_acts_is_read() {
        let table = table();
        let mut unread = vec![];
        for flag in table.flags() {
            // As in a command line that says what is so anyway.
            let arg = format!("--{}={}", flag.name, flag.default);
            let Ok(values) = table.parse([arg]) else { continue };
            let _ = Options::from_values(&values);
            let _ = component::logging::Config::from_values(&values);
            if flag.effect == component::flags::Effect::Acts && !values.unused().is_empty() {
                unread.push(flag.name);
            }
        }
        // These end the program before anything is read.
        unread.retain(|name| !["help", "version", "vmodule"].contains(name));
        let (later, forgotten): (Vec<&str>, Vec<&str>) = unread
            .into_iter()
            .partition(|name| LATER.iter().any(|l| name.starts_with(l)));
        assert_eq!(forgotten, [] as [&str; 0]);
        assert!(
            LATER.iter().all(|l| later.iter().any(|name| name.starts_with(l))),
            "{later:?}"
        );
    }

    #[test]
    fn flags_of_stopping_and_storing_reach_their_places() {
        let o = Options::parse([
            "--etcd-servers=https://127.0.0.1:2379",
            "--shutdown-delay-duration=3s",
            "--shutdown-send-retry-after",
            "--shutdown-watch-termination-grace-period=9s",
            "--profiling=false",
            "--storage-media-type=application/json",
            "--delete-collection-workers=4",
            "--enable-garbage-collector=false",
            "--watch-cache-sizes=pods#0,deployments.apps#0,nodes#100",
            "--cert-dir=/c",
        ])
        .unwrap();
        assert_eq!((o.draining.delay.as_secs(), o.draining.watch_grace.as_secs()), (3, 9));
        assert!(o.draining.send_retry_after && !o.profiling && !o.allow_privileged);
        assert_eq!((o.store.form, o.store.delete_workers), (Form::Json, 4));
        assert!(!o.store.garbage_collector);
        let uncached = [("", "pods"), ("apps", "deployments")];
        assert_eq!(o.uncached, uncached.map(|(g, r)| (g.to_owned(), r.to_owned())));
        assert!(matches!(o.certificate, ServingCertificate::SelfSigned(Some(dir)) if dir == Path::new("/c")));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let errors = Options::parse([
            "--secure-port=0",
            "--service-cluster-ip-range=x",
            "--authorization-mode=Magic",
            "--min-request-timeout=-1",
            "--feature-gates=Nope=true",
            "--runtime-config=apps/v9=true",
            "--etcd-servers-overrides=x",
        ])
        .unwrap_err();
        for part in [
            "--etcd-servers must be specified",
            "--secure-port 0",
            "invalid CIDR address: x",
            "\"Magic\" is not a valid mode",
            "--min-request-timeout can not be negative value",
            "unrecognized feature gate: Nope",
            "group version apps/v9 that has not been registered",
            "--etcd-servers-overrides invalid, must be of format: group/resource#servers",
        ] {
            assert!(errors.iter().any(|e| e.contains(part)), "{part}: {errors:?}");
        }
    }
}
