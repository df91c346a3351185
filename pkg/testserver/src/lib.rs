//! An apiserver for component tests: the whole kube-apiserver in this process, over memory, on a free
//! loopback port, with a PKI of its own.
//!
//! It is a dev-dependency. It is not a fake: requests pass the same chain, admission, strategies and
//! store as in production; only the bytes below are kept in memory instead of etcd.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = testserver::TestServer::start().await;
//! let config = client::Config::from_kubeconfig(server.kubeconfig())?;
//! # Ok(())
//! # }
//! ```
//!
//! Start at [`TestServer::start`].

mod exchange;
mod pki;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kube_apiserver::options::Options;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use exchange::exchange;
pub use kube_apiserver::options::InMemory as Objects;

/// A running server; stops when dropped.
pub struct TestServer {
    address: SocketAddr,
    dir: tempfile::TempDir,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Where the objects are.
enum Place<'a> {
    Memory(&'a Objects),
    Etcd(&'a str),
}

impl Place<'_> {
    fn servers(&self) -> &str {
        match self {
            Place::Memory(_) => "memory",
            Place::Etcd(urls) => urls,
        }
    }
}

/// Identities with a kubeconfig: file name, common name, organization.
const USERS: [(&str, &str, &str); 4] = [
    ("admin", "kubernetes-admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("nobody", "nobody", ""),
];

impl TestServer {
    /// Starts a server with Node and RBAC authorization and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start: a test cannot go on without.
    pub async fn start() -> Self {
        Self::with_args(&[]).await
    }

    /// As [`TestServer::start`], with more command-line flags.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn with_args(args: &[&str]) -> Self {
        Self::over(&Objects::default(), args).await
    }

    /// As [`TestServer::with_args`], over objects that another server may have left.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn over(objects: &Objects, args: &[&str]) -> Self {
        Self::must_start(Place::Memory(objects), args).await
    }

    /// As [`TestServer::with_args`], over a store: its URLs, separated by commas.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn over_etcd(urls: &str, args: &[&str]) -> Self {
        Self::must_start(Place::Etcd(urls), args).await
    }

    async fn must_start(place: Place<'_>, args: &[&str]) -> Self {
        match Self::try_start(place, args).await {
            Ok(server) => server,
            Err(e) => panic!("the test apiserver does not start: {e:#}"),
        }
    }

    async fn try_start(place: Place<'_>, args: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name);
        let pki = pki::Pki::create(dir.path())?;
        let flags = [
            format!("--etcd-servers={}", place.servers()),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            "--kubelet-preferred-address-types=InternalIP,Hostname".to_owned(),
            format!("--client-ca-file={}", at("ca.crt").display()),
            format!("--tls-cert-file={}", at("apiserver.crt").display()),
            format!("--tls-private-key-file={}", at("apiserver.key").display()),
            format!("--service-account-key-file={}", at("sa.pub").display()),
            format!("--service-account-signing-key-file={}", at("sa.key").display()),
        ];
        let flags = flags.into_iter().chain(args.iter().map(|a| (*a).to_owned()));
        let mut options = Options::parse(flags)
            .map_err(|e| anyhow::anyhow!(e.join("\n")))?
            .any_port();
        if let Place::Memory(objects) = place {
            options = options.in_memory(objects);
        }
        let shutdown = CancellationToken::new();
        let (tx, rx) = tokio::sync::oneshot::channel();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = kube_apiserver::server::run(options, stop, Some(tx)).await {
                // The receiver of the address sees the sender go; this is the reason.
                eprintln!("test apiserver: {error:#}");
            }
        });
        let address = rx.await.context("the server ended before it was ready")?;
        for (file, name, organization) in USERS {
            pki.user(&at(&format!("{file}.kubeconfig")), &address, name, organization)?;
        }
        Ok(TestServer {
            address,
            dir,
            shutdown,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of("admin")
    }

    /// Kubeconfig of `admin`, `controller-manager`, `scheduler` or `nobody` (no rights).
    pub fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.dir.path().join(format!("{user}.kubeconfig"))
    }

    /// Directory with `ca.crt`, `ca.key`, `sa.key` and the kubeconfigs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Stops the server and waits until it is gone.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        // A panic inside was already printed.
        let _ = (&mut self.task).await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
