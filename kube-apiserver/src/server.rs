//! From [`Options`] to a running server: storage, registry, authentication, authorization,
//! admission, bootstrap, health, and the socket.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use component::health::Checks;
use component::serving::{self, Limits, Tls};
use http::HeaderValue;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::admission::{self, World};
use crate::authn::config::build as build_authentication;
use crate::authz;
use crate::bootstrap::identity_lease::Identity;
use crate::bootstrap::{authentication_config::Trusted, run};
use crate::chain::{Chain, Inflight};
use crate::documents::Documents;
use crate::draining::Draining;
use crate::endpoints::{Api, discovery};
use crate::metrics::storage as measured;
use crate::objects::Objects;
use crate::options::{HealthOptions, Options, Override, ServingCertificate, StorageOptions};
use crate::proxy::Nodes;
use crate::registry::{self, CachedObjects, Registry};
use crate::resources;
use crate::services::Allocators;
use crate::storage::encryption::{Encrypted, Encryption};
use crate::storage::etcd::{Dialer, Etcd};
use crate::storage::memory::Memory;
use crate::storage::{Storage, compact};
use crate::watchcache::WatchCache;

/// Time that requests of no known length get once the server goes down.
const DRAIN: Duration = Duration::from_secs(10);
/// Time that connections without requests get then (upstream's `shutdownTimeout` of `--shutdown-send-retry-after`).
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs until `shutdown`, then drains. `when_ready` is told the bound address once
/// the bootstrap is done.
///
/// # Errors
/// Files that cannot be read, an address that cannot be bound.
pub async fn run(
    options: Options,
    shutdown: CancellationToken,
    when_ready: Option<oneshot::Sender<SocketAddr>>,
) -> anyhow::Result<()> {
    serving::install_crypto_provider();
    component::features::publish(&options.features);
    api::capabilities::allow_privileged(options.allow_privileged);
    api::gates::decide(|gate| component::features::enabled(&options.features, gate));
    resources::serve(|row| options.runtime_config.serves(row));
    let encryption = match options.encryption.clone() {
        Some(encryption) => {
            let started = Encryption::start(encryption, Identity::of_this_process().id(), &shutdown).await;
            Some(started.map_err(anyhow::Error::msg)?)
        }
        None => None,
    };
    let open = |others: Option<&[String]>| open_storage(&options, others, encryption.as_ref(), &shutdown);
    let (storage, plain) = open(None)?;
    let (mut overrides, mut stores) = (vec![], vec![storage.clone()]);
    for o in &options.overrides {
        let (cached, plain) = open(Some(&o.servers))?;
        let bypassed = options.uncached.contains(&(o.group.clone(), o.resource.clone()));
        stores.push(cached.clone());
        overrides.push((o.clone(), if bypassed { plain } else { cached }));
    }
    overrides.extend(bypasses(&options, &plain));
    let config = registry::Config {
        prefix: options.etcd_prefix.clone(),
        event_ttl: options.event_ttl,
        gates: options.gates.clone(),
        settings: options.store,
    };
    let registry = Registry::with_overrides(storage.clone(), config, &overrides);
    let objects: Arc<dyn Objects> = CachedObjects::start(&registry, &shutdown);

    let authn = build_authentication(&options.authentication, objects.clone()).map_err(all)?;
    let authz = authz::config::build(&options.authorization_modes, &registry, &shutdown);
    let world = World {
        objects,
        authorizer: authz.union.clone(),
        rbac: authz.rbac.clone(),
        toleration_seconds: options.toleration_seconds,
        configurations: options.admission_configurations.clone(),
    };
    let plugins = admission::Chain::new(&world, &options.enable_admission, &options.disable_admission).map_err(all)?;
    tracing::info!(plugins = ?plugins.names(), "admission");
    let allocators = Arc::new(Allocators::new(
        registry.clone(),
        options.service_ranges.clone(),
        options.node_ports,
    ));

    // Open connections are cut a little after the requests under way were waited for.
    let (patience, cut) = (options.request_timeout, CancellationToken::new());
    let server = serving::Server::bind_shared(SocketAddr::new(options.bind, options.port), options.web.sharing)
        .await
        .with_context(|| format!("cannot listen on {}:{}", options.bind, options.port))?
        .tls(tls(&options)?)
        .limits(Limits {
            max_streams: options.web.max_streams,
            ..Default::default()
        })
        .grace(patience + DRAIN)
        .cut(cut.clone());
    let address = server.local_addr()?;

    let bootstrap = run::Config {
        advertise: advertise_address(&options),
        secure_port: address.port(),
        service_cidrs: options.service_ranges.iter().map(|r| r.cidr()).collect(),
        kubernetes_ip: options.service_ranges.first().and_then(|r| r.first()),
        endpoint_reconciler: options.endpoint_reconciler.clone(),
        authentication: Trusted {
            client_ca: authn.client_ca.clone(),
            proxy: authn.request_header.clone(),
        },
        identity: Identity::of_this_process(),
    };
    let stop_bootstrap = shutdown.child_token();
    let (progress, bootstrapping) = run::start(bootstrap, registry.clone(), Some(allocators.clone()), stop_bootstrap);
    for storage in stores {
        tokio::spawn(compact::run(storage, options.compaction, shutdown.clone()));
    }
    let (usual, others) = (storage.clone(), overrides.clone());
    let place = move |group: &str, resource: &str| {
        let other = others.iter().find(|(o, _)| o.group == group && o.resource == resource);
        other.map_or(&usual, |(_, other)| other).clone()
    };
    let counting = measured::count(
        place,
        options.etcd_prefix.clone(),
        options.count_every,
        shutdown.clone(),
    );
    let counted_from = progress.clone();
    tokio::spawn(async move {
        counted_from.wait().await;
        counting.await;
    });

    let draining = Arc::new(Draining::new(options.draining));
    let api = Arc::new(Api {
        registry,
        authenticator: authn.authenticator,
        authorizer: authz.union.clone(),
        rbac: authz.rbac.clone(),
        admission: plugins,
        tokens: authn.tokens,
        nodes: Arc::new(Nodes::new(&options.nodes)?),
        allocators: Some(allocators),
        draining: draining.clone(),
        min_request_timeout: options.min_request_timeout,
    });
    let health = health(
        &storage,
        encryption.as_ref(),
        &progress,
        &authz.synced,
        &shutdown,
        options.health,
    );
    let chain = Arc::new(Chain {
        api,
        documents: Documents {
            health,
            openid: authn.openid,
            flags: component::features::enabled(&options.features, "ComponentFlagz").then(|| options.printed.clone()),
            statusz: component::features::enabled(&options.features, "ComponentStatusz"),
            profiling: options.profiling,
        },
        inflight: Inflight::new(options.max_reads, options.max_writes, options.queue_requests),
        draining: draining.clone(),
        request_timeout: options.request_timeout,
        transport_security: transport_security(&options)?,
        origins: options.web.cors_allowed_origins.clone(),
        goaway_chance: options.web.goaway_chance,
    });

    discovery::set_server_address(SocketAddr::new(advertise_address(&options), address.port()).to_string());
    let (ready, filled) = (progress.clone(), authz.synced.clone());
    tokio::spawn(async move {
        ready.wait().await;
        filled.wait().await;
        tracing::info!(bootstrapped = ready.done(), "ready");
        component::sd_notify::ready();
        if let Some(tx) = when_ready {
            // Nobody waits for it any more: fine.
            let _ = tx.send(address);
        }
    });
    tracing::info!(%address, version = component::version::GIT_VERSION, "serving");
    // The socket closes with this.
    let closing = CancellationToken::new();
    let (stopping, begin, end) = (options.draining, shutdown.clone(), closing.clone());
    let stopped = tokio::spawn(async move {
        begin.cancelled().await;
        component::sd_notify::stopping();
        // Requests are still taken while this server leaves the Endpoints, and for the delay of the flag.
        let left = tokio::time::timeout(DRAIN, bootstrapping);
        let _ = tokio::join!(tokio::time::sleep(stopping.delay), left);
        if stopping.send_retry_after {
            draining.stop(patience).await;
            end.cancel();
            // For the goodbyes of HTTP/2.
            tokio::time::sleep(GOODBYE).await;
        } else {
            end.cancel();
            draining.stop(patience).await;
            tokio::time::sleep(DRAIN).await;
        }
        cut.cancel();
    });
    // Boxed: what is under way is handed on several times until its task runs.
    let service = tower::service_fn(move |request| Box::pin(chain.clone().serve(request)));
    server.serve(service, closing).await;
    stopped.abort();
    Ok(())
}

/// Places of the resources that `--watch-cache-sizes` takes out of the copy: the store itself.
fn bypasses(options: &Options, plain: &Arc<dyn Storage>) -> Vec<(Override, Arc<dyn Storage>)> {
    let elsewhere = |group: &str, resource: &str| {
        let mut overrides = options.overrides.iter();
        overrides.any(|o| o.group == group && o.resource == resource)
    };
    let uncached = options.uncached.iter().filter(|(g, r)| !elsewhere(g, r));
    uncached
        .map(|(group, resource)| {
            let place = Override {
                group: group.clone(),
                resource: resource.clone(),
                servers: vec![],
            };
            (place, plain.clone())
        })
        .collect()
}

/// The store of the flags, or one with other servers: with its copy in memory, and without. Both are measured, and both
/// hold plain values.
fn open_storage(
    options: &Options,
    others: Option<&[String]>,
    encryption: Option<&Arc<Encryption>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<(Arc<dyn Storage>, Arc<dyn Storage>)> {
    let storage: Arc<dyn Storage> = match &options.storage {
        StorageOptions::Etcd {
            servers,
            tls,
            lease_reuse,
        } => {
            let dialer = Dialer::new(others.unwrap_or(servers), tls)?;
            Arc::new(Etcd::new(dialer, &options.etcd_prefix, *lease_reuse))
        }
        // Other servers' objects are their own.
        StorageOptions::Memory(_) if others.is_some() => Arc::new(Memory::default()),
        StorageOptions::Memory(objects) => Arc::new(objects.0.clone()),
    };
    let measured: Arc<dyn Storage> = measured::Measured::new(storage, &options.etcd_prefix);
    let plain = match encryption {
        Some(encryption) => Encrypted::start(measured, &options.etcd_prefix, encryption.clone(), shutdown.clone()),
        None => measured,
    };
    let cached = if options.watch_cache {
        WatchCache::start(plain.clone(), &options.etcd_prefix, shutdown.clone())
    } else {
        plain.clone()
    };
    Ok((cached, plain))
}

fn all(errors: Vec<String>) -> anyhow::Error {
    anyhow::anyhow!("{}", errors.join("\n"))
}

fn tls(options: &Options) -> anyhow::Result<Tls> {
    let tls = match &options.certificate {
        ServingCertificate::Files(cert, key) => Tls::from_files(cert, key)?,
        ServingCertificate::SelfSigned(dir) => {
            let names = [
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "127.0.0.1",
            ];
            let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            names.push(advertise_address(options).to_string());
            match dir {
                Some(dir) => {
                    Tls::self_signed_in(dir, "apiserver", &names).context("error creating self-signed certificates")?
                }
                None => Tls::self_signed(&names)?,
            }
        }
    };
    let tls = match &options.client_ca {
        Some(ca) => tls.client_ca_hints(ca)?,
        None => tls,
    };
    let tls = tls.with_flags(&options.web.tls)?;
    Ok(if options.web.http2 {
        tls
    } else {
        tls.alpn(&["http/1.1"])?
    })
}

/// The value of `Strict-Transport-Security`, when there are directives.
fn transport_security(options: &Options) -> anyhow::Result<Option<HeaderValue>> {
    let directives = &options.web.strict_transport_security;
    if directives.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::from_str(&directives.join("; "));
    value.map(Some).context("--strict-transport-security-directives")
}

/// `--advertise-address`, else the bind address, else the address of the default route.
fn advertise_address(options: &Options) -> IpAddr {
    if let Some(ip) = options.advertise.filter(|ip| !ip.is_unspecified()) {
        return ip;
    }
    if !options.bind.is_unspecified() {
        return options.bind;
    }
    // Connecting a datagram socket sends nothing; it only makes the kernel choose a source address.
    UdpSocket::bind("0.0.0.0:0")
        .and_then(|s| s.connect("198.51.100.1:9").and_then(|()| s.local_addr()))
        .map_or(IpAddr::from([127, 0, 0, 1]), |a| a.ip())
}

/// The checks of the three health paths.
fn health(
    storage: &Arc<dyn Storage>,
    encryption: Option<&Arc<Encryption>>,
    progress: &run::Progress,
    synced: &authz::feed::Synced,
    shutdown: &CancellationToken,
    patience: HealthOptions,
) -> Vec<Checks> {
    let etcd = |checks: Checks, name: &str, timeout: Duration| {
        let storage = storage.clone();
        checks.add(name, move || {
            let storage = storage.clone();
            async move {
                match tokio::time::timeout(timeout, storage.health()).await {
                    Ok(answer) => answer.map_err(|e| e.to_string()),
                    Err(_) => Err("context deadline exceeded".to_owned()),
                }
            }
        })
    };
    let started = Instant::now();
    let hooks = |mut checks: Checks| {
        let grace = if checks.path() == "livez" {
            patience.livez_grace
        } else {
            Duration::ZERO
        };
        for hook in run::HOOKS {
            let progress = progress.clone();
            checks = checks.add(&format!("poststarthook/{hook}"), move || {
                let done = progress.finished(hook) || started.elapsed() < grace;
                async move { if done { Ok(()) } else { Err("not finished".to_owned()) } }
            });
        }
        if encryption.is_some_and(|e| e.reloads()) {
            let hook = "poststarthook/start-encryption-provider-config-automatic-reload";
            checks = checks.add(hook, || async { Ok(()) });
        }
        let registered = progress.clone();
        checks.add("autoregister-completion", move || {
            let done = registered.finished(run::AUTOREGISTRATION);
            async move {
                if done {
                    Ok(())
                } else {
                    Err("missing APIService".to_owned())
                }
            }
        })
    };
    let base = |path: &'static str| {
        let checks = Checks::new(path).ping().add("log", || async { Ok(()) });
        etcd(checks, "etcd", patience.etcd)
    };
    // Not in `livez`: a server whose plugins are down is better than none.
    let plugins = |checks: Checks| match encryption {
        Some(encryption) if encryption.has_check() => {
            let encryption = encryption.clone();
            checks.add("kms-providers", move || {
                let encryption = encryption.clone();
                async move { encryption.check().await }
            })
        }
        _ => checks,
    };
    let (synced, down) = (synced.clone(), shutdown.clone());
    let readyz = plugins(etcd(base("readyz"), "etcd-readiness", patience.etcd_ready)).add("informer-sync", move || {
        let done = synced.done();
        async move {
            if done {
                Ok(())
            } else {
                Err("authorization indexes are not filled yet".to_owned())
            }
        }
    });
    let readyz = hooks(readyz).add("shutdown", move || {
        let down = down.is_cancelled();
        async move {
            if down {
                Err("process is shutting down".to_owned())
            } else {
                Ok(())
            }
        }
    });
    vec![hooks(plugins(base("healthz"))), hooks(base("livez")), readyz]
}
