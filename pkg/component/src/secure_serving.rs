//! The secure port of kube-scheduler and kube-controller-manager: its flags, its certificate, its
//! guard, and the endpoints both have (upstream `apiserver/pkg/server/options`
//! `SecureServingOptions`, `DelegatingAuthenticationOptions`, `DelegatingAuthorizationOptions`).
//!
//! ```
//! # use component::{flags::Values, health::Checks, secure_serving::{Endpoints, SecureServing}};
//! # async fn run(values: Values, shutdown: tokio_util::sync::CancellationToken) -> anyhow::Result<()> {
//! let options = SecureServing::from_values(&values);
//! let errors = options.validate();
//! let endpoints = Endpoints::new(vec![Checks::new("healthz").ping()]);
//! options.serve("kube-scheduler", endpoints, shutdown).await?; // until shutdown
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use crate::authn::delegated::Delegated;
use crate::authn::trust::{RequestHeader, Trust};
use crate::authn::x509::ClientCa;
use crate::flags::Values;
use crate::guard::Guard;
use crate::health::Checks;
use crate::serving::{self, Body, Server, Tls, TlsFlags, full};

/// The flags of the secure port.
#[derive(Clone, Debug)]
pub struct SecureServing {
    /// `--bind-address`.
    pub bind_address: IpAddr,
    /// `--secure-port`; 0 serves nothing.
    pub port: i64,
    /// `--tls-cert-file`, or none for a self-signed certificate.
    pub cert_file: Option<PathBuf>,
    /// `--tls-private-key-file`.
    pub key_file: Option<PathBuf>,
    tls: TlsFlags,
    /// What was wrong with the flags that were checked while they were read.
    tls_errors: Vec<String>,
    /// `--client-ca-file`.
    pub client_ca_file: Option<PathBuf>,
    request_header_ca: Option<PathBuf>,
    request_header_names: Vec<String>,
    request_header_username: Vec<String>,
    request_header_group: Vec<String>,
    request_header_extra: Vec<String>,
    authentication_kubeconfig: Option<String>,
    authorization_kubeconfig: Option<String>,
    skip_lookup: bool,
    token_ttl: Duration,
    allowed_ttl: Duration,
    denied_ttl: Duration,
    always_allow: Vec<String>,
}

impl SecureServing {
    /// Reads the flags.
    #[must_use]
    pub fn from_values(values: &Values) -> Self {
        let path = |name: &str| values.non_empty(name).map(PathBuf::from);
        // A directory with the default names stands for the two files.
        let in_dir = |end: &str| {
            let file = path("cert-dir")?.join(format!("tls.{end}"));
            file.exists().then_some(file)
        };
        let mut tls_errors = vec![];
        Self {
            tls: TlsFlags::from_values(values, &mut tls_errors),
            tls_errors,
            bind_address: values.ip("bind-address").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port: values.int("secure-port"),
            cert_file: path("tls-cert-file").or_else(|| in_dir("crt")),
            key_file: path("tls-private-key-file").or_else(|| in_dir("key")),
            client_ca_file: path("client-ca-file"),
            request_header_ca: path("requestheader-client-ca-file"),
            request_header_names: values.strings("requestheader-allowed-names"),
            request_header_username: values.strings("requestheader-username-headers"),
            request_header_group: values.strings("requestheader-group-headers"),
            request_header_extra: values.strings("requestheader-extra-headers-prefix"),
            authentication_kubeconfig: values.non_empty("authentication-kubeconfig"),
            authorization_kubeconfig: values.non_empty("authorization-kubeconfig"),
            skip_lookup: {
                // Lookup goes on in the background here, so its failure is always tolerated.
                let _ = values.bool("authentication-tolerate-lookup-failure");
                values.bool("authentication-skip-lookup")
            },
            token_ttl: values.duration("authentication-token-webhook-cache-ttl"),
            allowed_ttl: values.duration("authorization-webhook-cache-authorized-ttl"),
            denied_ttl: values.duration("authorization-webhook-cache-unauthorized-ttl"),
            always_allow: values.strings("authorization-always-allow-paths"),
        }
    }

    /// Everything wrong with the flags, in upstream's words.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if !(0..=65535).contains(&self.port) {
            errors.push(format!(
                "--secure-port {} must be between 0 and 65535, inclusive. 0 for turning off secure port",
                self.port
            ));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            errors.push("--tls-cert-file and --tls-private-key-file must be given together".to_owned());
        }
        errors.extend(self.tls_errors.iter().cloned());
        errors
    }

    /// Serves the endpoints until `shutdown`. Returns at once when the port is 0.
    ///
    /// # Errors
    /// A certificate, CA or kubeconfig file cannot be used, or the address cannot be bound.
    pub async fn serve(
        &self,
        component: &str,
        endpoints: Endpoints,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let _ = crate::metrics::registry();
        let Some(server) = self.server(component).await? else {
            return Ok(());
        };
        let guard = Arc::new(self.guard(component, &shutdown)?);
        let endpoints = Arc::new(endpoints);
        let answer = move |request: Request<Incoming>| {
            let (guard, endpoints) = (Arc::clone(&guard), Arc::clone(&endpoints));
            async move {
                match guard.check(&request).await {
                    Ok(_) => endpoints.answer(request.method(), request.uri()).await,
                    Err(refusal) => refusal,
                }
            }
        };
        server.serve(serving::handler(answer), shutdown).await;
        Ok(())
    }

    /// The bound server, certificate loaded; none when the port is 0.
    ///
    /// # Errors
    /// As [`SecureServing::serve`].
    pub async fn server(&self, component: &str) -> anyhow::Result<Option<Server>> {
        if self.port == 0 {
            return Ok(None);
        }
        let tls = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => Tls::from_files(cert, key)?,
            _ => Tls::self_signed(&[component.to_owned(), self.bind_address.to_string()])?,
        };
        let tls = match &self.client_ca_file {
            Some(path) => tls.client_ca_hints(path)?,
            None => tls,
        };
        let tls = tls.with_flags(&self.tls)?;
        let addr = SocketAddr::new(self.bind_address, u16::try_from(self.port)?);
        let server = Server::bind(addr)
            .await
            .map_err(|error| anyhow::anyhow!("failed to create listener: failed to listen on {addr}: {error}"))?;
        tracing::info!("Serving securely on {}", server.local_addr()?);
        Ok(Some(server.tls(tls)))
    }

    /// The guard the flags describe. Must run in a tokio runtime.
    ///
    /// # Errors
    /// A CA or kubeconfig file cannot be used.
    pub fn guard(&self, component: &str, shutdown: &CancellationToken) -> anyhow::Result<Guard> {
        let client_ca = self.client_ca_file.as_ref().map(ClientCa::from_file).transpose()?;
        let request_header = match &self.request_header_ca {
            Some(path) => Some(RequestHeader {
                ca: ClientCa::from_file(path)?,
                allowed_names: self.request_header_names.clone(),
                username_headers: self.request_header_username.clone(),
                group_headers: self.request_header_group.clone(),
                extra_prefixes: self.request_header_extra.clone(),
            }),
            None => None,
        };
        let connect = |path: &Option<String>| -> anyhow::Result<Option<client::Client>> {
            let Some(path) = path else { return Ok(None) };
            let config = client::Config::from_kubeconfig(path)?.with_user_agent(component);
            Ok(Some(client::Client::new(config)?))
        };
        let authn_client = connect(&self.authentication_kubeconfig)?;
        let authz_client = connect(&self.authorization_kubeconfig)?;
        let complete = client_ca.is_some() && request_header.is_some();
        let trust = Arc::new(Trust::new(client_ca, request_header));
        if let Some(client) = authn_client.clone().filter(|_| !self.skip_lookup && !complete) {
            trust.follow_cluster(client, shutdown);
        }
        Ok(Guard::new(
            Delegated::new(trust, authn_client, self.token_ttl, true),
            crate::authz::Delegated::new(
                authz_client,
                self.always_allow.clone(),
                self.allowed_ttl,
                self.denied_ttl,
            ),
        ))
    }
}

/// The paths a component's own port has: health paths, `/metrics`, `/version`, `/configz`, `/flagz`.
#[derive(Clone, Default)]
pub struct Endpoints {
    checks: BTreeMap<&'static str, Checks>,
    texts: BTreeMap<String, (&'static str, Arc<str>)>,
}

impl Endpoints {
    /// These health paths, and `/metrics` and `/version`.
    #[must_use]
    pub fn new(checks: Vec<Checks>) -> Self {
        let version = serde_json::to_string(&crate::version::Info::get()).expect("strings serialise");
        Self {
            checks: checks.into_iter().map(|check| (check.path(), check)).collect(),
            texts: BTreeMap::new(),
        }
        .text("/version", "application/json", &version)
    }

    /// `/configz`: the component's configuration under its group's name.
    #[must_use]
    pub fn configz(self, name: &str, config: &serde_json::Value) -> Self {
        let body = serde_json::json!({ name: config }).to_string();
        self.text("/configz", "application/json", &body)
    }

    /// `/flagz`: every flag's value ([`Values::listing`]).
    #[must_use]
    pub fn flags(self, component: &str, listing: &[String]) -> Self {
        let body = format!("{component} flagz\n\n{}\n", listing.join("\n"));
        self.text("/flagz", "text/plain; charset=utf-8", &body)
    }

    /// A fixed document.
    #[must_use]
    pub fn text(mut self, path: &str, content_type: &'static str, body: &str) -> Self {
        self.texts.insert(path.to_owned(), (content_type, body.into()));
        self
    }

    /// Answers one request.
    pub async fn answer(&self, method: &Method, uri: &http::Uri) -> Response<Body> {
        let path = uri.path();
        if !matches!(*method, Method::GET | Method::HEAD) {
            return status(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
        }
        if path == "/metrics" {
            return crate::metrics::response();
        }
        if let Some((content_type, body)) = self.texts.get(path) {
            let mut response = Response::new(full(body.to_string()));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            return response;
        }
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let (first, sub) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match self.checks.get(first) {
            Some(checks) => checks.respond(sub, uri.query().unwrap_or_default()).await,
            None => status(StatusCode::NOT_FOUND, "404 page not found\n"),
        }
    }
}

fn status(code: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
