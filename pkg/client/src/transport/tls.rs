//! The TLS client configuration, rebuilt when the files it came from change.

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;

use super::unjudged::Unjudged;
use crate::config::{Config, ConfigError, Data};
use crate::error::BoxError;

/// How often the files are looked at, at most (only when a request is made).
const CHECK_EVERY: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(10)
};

/// Where Debian, Fedora and Alpine keep the system's authorities.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Makes aws-lc-rs the process's rustls provider. Safe to call often and from many crates.
pub fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that another part of the process was first, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

#[derive(Debug)]
pub(super) struct Tls {
    name: ServerName<'static>,
    insecure: bool,
    authority: Option<Data>,
    certificate: Option<Data>,
    key: Option<Data>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    material: Material,
    config: Arc<ClientConfig>,
    generation: u64,
    checked: Instant,
}

/// The bytes a configuration was made of, to see whether they changed.
#[derive(Debug, PartialEq)]
struct Material {
    authority: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl Tls {
    pub(super) fn new(config: &Config, host: &str) -> Result<Self, ConfigError> {
        install_crypto_provider();
        let name = config.tls_server_name.clone().unwrap_or_else(|| host.to_owned());
        let name =
            ServerName::try_from(name).map_err(|_| ConfigError::Invalid(format!("{host:?} is not a server name")))?;
        let (authority, certificate, key) = (
            config.certificate_authority.clone(),
            config.client_certificate.clone(),
            config.client_key.clone(),
        );
        let material = read(authority.as_ref(), certificate.as_ref(), key.as_ref())?;
        let built = build(&material, config.insecure_skip_tls_verify)?;
        let state = State {
            material,
            config: built,
            generation: 1,
            checked: Instant::now(),
        };
        Ok(Tls {
            name,
            insecure: config.insecure_skip_tls_verify,
            authority,
            certificate,
            key,
            state: Mutex::new(state),
        })
    }

    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Looks at the files if that was not done lately; returns the generation, which grows when they changed.
    pub(super) fn refresh(&self) -> u64 {
        let files = [&self.authority, &self.certificate, &self.key]
            .iter()
            .any(|d| matches!(d, Some(Data::File(_))));
        let mut state = self.state.lock();
        if !files || state.checked.elapsed() < CHECK_EVERY {
            return state.generation;
        }
        state.checked = Instant::now();
        let fresh = read(self.authority.as_ref(), self.certificate.as_ref(), self.key.as_ref()).and_then(|material| {
            if material == state.material {
                return Ok(None);
            }
            let config = build(&material, self.insecure)?;
            Ok(Some((material, config)))
        });
        match fresh {
            Ok(None) => {}
            Ok(Some((material, config))) => {
                state.material = material;
                state.config = config;
                state.generation += 1;
            }
            // Half-written rotation: the old ones stay until the files fit together.
            Err(error) => tracing::warn!(error = %crate::error::chain(&error), "cannot reload client credentials"),
        }
        state.generation
    }

    pub(super) fn connector(&self) -> Result<(TlsConnector, ServerName<'static>), BoxError> {
        Ok((TlsConnector::from(self.state.lock().config.clone()), self.name.clone()))
    }
}

fn read(authority: Option<&Data>, certificate: Option<&Data>, key: Option<&Data>) -> Result<Material, ConfigError> {
    let load = |d: Option<&Data>| d.map(Data::read).transpose();
    Ok(Material {
        authority: load(authority)?,
        certificate: load(certificate)?,
        key: load(key)?,
    })
}

fn build(material: &Material, insecure: bool) -> Result<Arc<ClientConfig>, ConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(ConfigError::Tls)?;
    let builder = if insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unjudged::new(&provider)))
    } else {
        builder.with_root_certificates(roots(material.authority.as_deref())?)
    };
    let mut config = match (&material.certificate, &material.key) {
        (Some(certificate), Some(key)) => {
            let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
                .filter_map(Result::ok)
                .collect();
            if chain.is_empty() {
                return Err(ConfigError::Pem {
                    what: "client certificate",
                });
            }
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| ConfigError::Pem { what: "client key" })?;
            builder.with_client_auth_cert(chain, key).map_err(ConfigError::Tls)?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn roots(bundle: Option<&[u8]>) -> Result<rustls::RootCertStore, ConfigError> {
    let mut store = rustls::RootCertStore::empty();
    match bundle {
        Some(pem) => {
            let (added, _) =
                store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
            if added == 0 {
                return Err(ConfigError::Pem {
                    what: "certificate authority",
                });
            }
        }
        None => {
            for path in SYSTEM_BUNDLES {
                if let Ok(pem) = std::fs::read(path) {
                    store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
                    break;
                }
            }
        }
    }
    Ok(store)
}
