//! Where the apiserver is and what proves who we are. A [`Config`] is parsed and checked: files that hold
//! credentials are named, not read, because they are re-read when they rotate (see [`crate::transport`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kubeconfig::Kubeconfig;

/// Upstream: client-go `rest.InClusterConfig`.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Bytes given in place, or a file that is read when needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The content itself.
    Inline(Vec<u8>),
    /// Where the content is.
    File(PathBuf),
}

impl Data {
    /// The content now.
    pub fn read(&self) -> Result<Vec<u8>, ConfigError> {
        match self {
            Data::Inline(bytes) => Ok(bytes.clone()),
            Data::File(path) => std::fs::read(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            }),
        }
    }
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// The token itself.
    Inline(String),
    /// A file that holds it, read again every minute.
    File(PathBuf),
    /// One that its owner replaces while the client lives.
    Shared(SharedToken),
}

/// A bearer token that can be replaced; clones share it. Requests wait a while for the first one.
#[derive(Clone, Default)]
pub struct SharedToken(std::sync::Arc<Shared>);

struct Shared(tokio::sync::watch::Sender<String>);

impl Default for Shared {
    fn default() -> Self {
        Shared(tokio::sync::watch::Sender::new(String::new()))
    }
}

impl SharedToken {
    /// Replaces the token for all requests from now on.
    pub fn set(&self, token: String) {
        self.0.0.send_replace(token);
    }

    pub(crate) fn get(&self) -> String {
        self.0.0.borrow().clone()
    }

    /// Waits until there is a token.
    pub(crate) async fn ready(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.0.0.subscribe().wait_for(|token| !token.is_empty()).await;
    }
}

impl PartialEq for SharedToken {
    fn eq(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedToken {}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Inline(_) => f.write_str("Inline(<redacted>)"),
            Token::File(path) => f.debug_tuple("File").field(path).finish(),
            Token::Shared(_) => f.write_str("Shared(<redacted>)"),
        }
    }
}

/// Everything needed to talk to one apiserver.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://host:port[/prefix]` (or `http://`, for tests).
    pub server: String,
    /// Name expected in the server's certificate instead of the host of `server`.
    pub tls_server_name: Option<String>,
    /// Do not verify the server's certificate.
    pub insecure_skip_tls_verify: bool,
    /// PEM bundle of authorities the server's certificate is verified against; the system's when absent.
    pub certificate_authority: Option<Data>,
    /// PEM client certificate chain.
    pub client_certificate: Option<Data>,
    /// PEM key of the client certificate: PKCS#8, PKCS#1 or SEC1.
    pub client_key: Option<Data>,
    /// Bearer token.
    pub token: Option<Token>,
    /// User name and password of HTTP basic authentication.
    pub basic: Option<(String, String)>,
    /// Namespace of the kubeconfig's context.
    pub namespace: Option<String>,
    /// `User-Agent` header; see [`Config::with_user_agent`].
    pub user_agent: String,
    /// Requests per second on average, 0 for no limit.
    pub qps: f32,
    /// Requests at once above the average.
    pub burst: u32,
    /// Time limit for the answer of a request that is not a watch.
    pub timeout: Duration,
}

impl Config {
    /// A config for a server address with no credentials.
    pub fn new(server: impl Into<String>) -> Self {
        Config {
            server: server.into(),
            tls_server_name: None,
            insecure_skip_tls_verify: false,
            certificate_authority: None,
            client_certificate: None,
            client_key: None,
            token: None,
            basic: None,
            namespace: None,
            user_agent: user_agent("corten"),
            qps: 0.0,
            burst: 0,
            timeout: Duration::from_secs(70),
        }
    }

    /// The current context of a kubeconfig file. Relative paths in it are relative to the file.
    pub fn from_kubeconfig(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Kubeconfig::read(path.as_ref())?.to_config(None)
    }

    /// What a pod finds mounted: the service account's token and the cluster's authority.
    pub fn in_cluster() -> Result<Self, ConfigError> {
        let var = |name: &'static str| std::env::var(name).map_err(|_| ConfigError::NotInCluster(name));
        let host = var("KUBERNETES_SERVICE_HOST")?;
        let port = var("KUBERNETES_SERVICE_PORT")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let mut config = Config::new(format!("https://{host}:{port}"));
        let dir = Path::new(SERVICE_ACCOUNT);
        config.token = Some(Token::File(dir.join("token")));
        config.certificate_authority = Some(Data::File(dir.join("ca.crt")));
        config.namespace = std::fs::read_to_string(dir.join("namespace")).ok();
        Ok(config)
    }

    /// The given kubeconfig, or the pod's own credentials when the path is empty. `server` overrides the
    /// kubeconfig's server when not empty. Upstream: client-go `clientcmd.BuildConfigFromFlags`.
    pub fn from_flags(server: &str, kubeconfig: &str) -> Result<Self, ConfigError> {
        if kubeconfig.is_empty() && server.is_empty() {
            return Self::in_cluster();
        }
        let mut config = if kubeconfig.is_empty() {
            Config::new(server)
        } else {
            Self::from_kubeconfig(kubeconfig)?
        };
        if !server.is_empty() {
            config.server = server.to_owned();
        }
        Ok(config)
    }

    /// Sets the user agent to `<component>/v1.36.2 (linux/amd64) corten`.
    #[must_use]
    pub fn with_user_agent(mut self, component: &str) -> Self {
        self.user_agent = user_agent(component);
        self
    }

    /// Limits the client to `qps` requests per second with bursts of `burst`; 0 or less means no limit.
    #[must_use]
    pub fn with_rate_limit(mut self, qps: f32, burst: u32) -> Self {
        self.qps = qps;
        self.burst = burst;
        self
    }

    /// The same server with nothing that proves an identity: to be filled with another one.
    /// Upstream: client-go `rest.AnonymousClientConfig`.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.client_certificate = None;
        self.client_key = None;
        self.token = None;
        self.basic = None;
        self
    }
}

fn user_agent(component: &str) -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{component}/v1.36.2 ({}/{arch}) corten", std::env::consts::OS)
}

/// Why a configuration or its credentials cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("unable to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A kubeconfig is not one.
    #[error("error loading config file \"{}\": {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The kubeconfig names something it does not hold.
    #[error("invalid configuration: {0}")]
    Invalid(String),
    /// Not in a pod: an environment variable is missing.
    #[error("unable to load in-cluster configuration: {0} is not set")]
    NotInCluster(&'static str),
    /// PEM text that does not hold what it should.
    #[error("no usable {what} in PEM data")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// rustls refuses the certificate or key.
    #[error("unusable TLS credentials")]
    Tls(#[source] rustls::Error),
}
