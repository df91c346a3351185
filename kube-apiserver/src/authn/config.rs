//! From flags to the authenticator, the token issuer and the OpenID documents.

use std::path::PathBuf;
use std::sync::Arc;

use super::bootstrap_token::BootstrapTokens;
use super::cert_pool::CertPool;
use super::issuer::Issuer;
use super::keys::{self, SigningKey};
use super::oidc_discovery::Metadata;
use super::request_header::RequestHeader;
use super::service_account::ServiceAccountTokens;
use super::token_file::TokenFile;
use super::token_request::TokenRequests;
use super::x509::ClientCertificates;
use super::{Anonymous, Authenticator, TokenAuthenticator};
use crate::objects::Objects;

/// The flags of authentication, as given.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `--client-ca-file`.
    pub(crate) client_ca_file: Option<PathBuf>,
    /// `--requestheader-client-ca-file`.
    pub(crate) requestheader_client_ca_file: Option<PathBuf>,
    /// `--requestheader-allowed-names`.
    pub(crate) requestheader_allowed_names: Vec<String>,
    /// `--requestheader-username-headers`.
    pub(crate) requestheader_username_headers: Vec<String>,
    /// `--requestheader-uid-headers`.
    pub(crate) requestheader_uid_headers: Vec<String>,
    /// `--requestheader-group-headers`.
    pub(crate) requestheader_group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`.
    pub(crate) requestheader_extra_prefixes: Vec<String>,
    /// `--service-account-key-file`, repeatable.
    pub(crate) service_account_key_files: Vec<PathBuf>,
    /// `--service-account-signing-key-file`.
    pub(crate) service_account_signing_key_file: Option<PathBuf>,
    /// `--service-account-issuer`, the first signs.
    pub(crate) service_account_issuers: Vec<String>,
    /// `--service-account-jwks-uri`.
    pub(crate) service_account_jwks_uri: String,
    /// `--service-account-lookup`.
    pub(crate) service_account_lookup: bool,
    /// `--service-account-max-token-expiration`, seconds; 0 is none.
    pub(crate) service_account_max_seconds: i64,
    /// `--service-account-extend-token-expiration`.
    pub(crate) service_account_extend: bool,
    /// `--api-audiences`.
    pub(crate) api_audiences: Vec<String>,
    /// `--anonymous-auth`, or what `--authentication-config` says.
    pub(crate) anonymous: Anonymous,
    /// `--token-auth-file`.
    pub(crate) token_auth_file: Option<PathBuf>,
    /// `--enable-bootstrap-token-auth`.
    pub(crate) bootstrap_tokens: bool,
    /// `host:port` under which clients reach this server, for the OpenID documents.
    pub(crate) external_address: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            client_ca_file: None,
            requestheader_client_ca_file: None,
            requestheader_allowed_names: vec![],
            requestheader_username_headers: vec![],
            requestheader_uid_headers: vec![],
            requestheader_group_headers: vec![],
            requestheader_extra_prefixes: vec![],
            service_account_key_files: vec![],
            service_account_signing_key_file: None,
            service_account_issuers: vec![],
            service_account_jwks_uri: String::new(),
            service_account_lookup: true,
            service_account_max_seconds: 0,
            service_account_extend: true,
            api_audiences: vec![],
            anonymous: Anonymous {
                enabled: true,
                paths: vec![],
            },
            token_auth_file: None,
            bootstrap_tokens: false,
            external_address: String::new(),
        }
    }
}

/// What [`build`] makes of the flags.
pub(crate) struct Authentication {
    /// Authenticates requests.
    pub(crate) authenticator: Arc<Authenticator>,
    /// Serves `serviceaccounts/token`.
    pub(crate) tokens: TokenRequests,
    /// `/.well-known/openid-configuration` and the key set, when the issuer is an https URL.
    pub(crate) openid: Option<Metadata>,
    /// The client CA, published to extension servers.
    pub(crate) client_ca: Option<Arc<CertPool>>,
    /// The front proxies' CA and headers, published to extension servers.
    pub(crate) request_header: Option<RequestHeader>,
}

/// Reads the key and CA files and puts the authenticators together. All errors at once.
pub(crate) fn build(s: &Settings, objects: Arc<dyn Objects>) -> Result<Authentication, Vec<String>> {
    let mut errors = Vec::new();
    let mut pool = |flag: &str, file: &Option<PathBuf>| {
        let file = file.as_ref()?;
        CertPool::load(file)
            .map(Arc::new)
            .map_err(|e| errors.push(format!("--{flag}: {e}")))
            .ok()
    };
    let client_ca = pool("client-ca-file", &s.client_ca_file);
    let proxy_ca = pool("requestheader-client-ca-file", &s.requestheader_client_ca_file);
    let signing = s.service_account_signing_key_file.as_ref().and_then(|f| {
        std::fs::read(f)
            .map_err(|e| format!("unable to read {}: {e}", f.display()))
            .and_then(|pem| SigningKey::from_pem(&pem))
            .map_err(|e| {
                errors.push(format!(
                    "--service-account-signing-key-file: failed to parse {}: {e}",
                    f.display()
                ))
            })
            .ok()
    });
    let mut public = keys::load_public_keys(&s.service_account_key_files).unwrap_or_else(|e| {
        errors.push(format!("--service-account-key-file: {e}"));
        vec![]
    });
    // Without key files the signing key verifies too, as the TLS key does upstream.
    if let Some(k) = signing.as_ref().and_then(|k| k.public().ok())
        && !public.iter().any(|p| p.id == k.id)
        && s.service_account_key_files.is_empty()
    {
        public.push(k);
    }
    if s.service_account_issuers.iter().any(String::is_empty) {
        errors.push("service-account-issuer can not be an empty string".to_owned());
    }
    if signing.is_some() && s.service_account_issuers.is_empty() {
        errors.push("service-account-issuer is a required flag".to_owned());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let api_audiences = if s.api_audiences.is_empty() {
        s.service_account_issuers.first().cloned().into_iter().collect()
    } else {
        s.api_audiences.clone()
    };
    let first_issuer = s.service_account_issuers.first().cloned().unwrap_or_default();
    let openid = Metadata::new(&first_issuer, &s.service_account_jwks_uri, &s.external_address, &public);
    let mut tokens: Vec<Arc<dyn TokenAuthenticator>> = Vec::new();
    if let Some(path) = &s.token_auth_file {
        let file = TokenFile::load(path, &api_audiences).map_err(|e| vec![e])?;
        tokens.push(Arc::new(file));
    }
    if !public.is_empty() {
        tokens.push(Arc::new(ServiceAccountTokens {
            keys: Arc::new(public),
            issuers: s.service_account_issuers.clone(),
            api_audiences: api_audiences.clone(),
            objects: objects.clone(),
            lookup: s.service_account_lookup,
            now,
        }));
    }
    if s.bootstrap_tokens {
        tokens.push(Arc::new(BootstrapTokens {
            objects: objects.clone(),
            now,
        }));
    }
    let request_header = proxy_ca.map(|pool| RequestHeader {
        pool,
        allowed_names: s.requestheader_allowed_names.clone(),
        username_headers: s.requestheader_username_headers.clone(),
        uid_headers: s.requestheader_uid_headers.clone(),
        group_headers: s.requestheader_group_headers.clone(),
        extra_prefixes: s.requestheader_extra_prefixes.clone(),
    });
    let authenticator = Arc::new(Authenticator {
        request_header: request_header.clone(),
        client_certificates: client_ca.clone().map(ClientCertificates::new),
        tokens,
        anonymous: s.anonymous.clone(),
        api_audiences: api_audiences.clone(),
        cache: Default::default(),
    });
    let token_requests = TokenRequests {
        issuer: signing.map(|key| Issuer { key, url: first_issuer }),
        api_audiences,
        max_seconds: Some(s.service_account_max_seconds).filter(|m| *m > 0),
        extend: s.service_account_extend,
        objects,
        now,
    };
    Ok(Authentication {
        authenticator,
        tokens: token_requests,
        openid,
        client_ca,
        request_header,
    })
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
