//! A certificate authority on disk (`NAME.crt`, `NAME.key`) and the leaves it signs.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::{write_private, write_public};

const CA_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;
/// kubeadm starts validity a little in the past, so that clocks may differ.
const BACKDATE: Duration = Duration::minutes(5);

/// What a leaf certificate may be used for.
#[derive(Clone, Copy)]
pub(super) enum Usage {
    Server,
    Client,
    Both,
}

/// Subject, names and usage of one leaf.
pub(super) struct Leaf {
    common_name: String,
    organizations: Vec<String>,
    names: Vec<String>,
    usage: Usage,
}

/// A signing certificate with its key.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A signed certificate with its key, both PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Leaf {
    pub(super) fn new(common_name: &str, organizations: &[&str], usage: Usage) -> Self {
        let organizations = organizations.iter().map(|&name| name.to_owned()).collect();
        Self {
            common_name: common_name.to_owned(),
            organizations,
            names: Vec::new(),
            usage,
        }
    }

    pub(super) fn with_names(mut self, names: &[String]) -> Self {
        self.names.extend_from_slice(names);
        self
    }
}

impl Authority {
    /// Reads `BASE.crt` and `BASE.key`, or makes them.
    pub(super) fn load_or_create(base: &Path, common_name: &str) -> Result<Self> {
        let (crt, key_path) = (base.with_extension("crt"), base.with_extension("key"));
        if crt.exists() && key_path.exists() {
            let pem = fs::read_to_string(&crt).with_context(|| format!("reading {}", crt.display()))?;
            let key = fs::read_to_string(&key_path).with_context(|| format!("reading {}", key_path.display()))?;
            let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key)?)?;
            return Ok(Self { issuer, pem });
        }
        let mut params = validity(CertificateParams::default(), CA_DAYS);
        params.distinguished_name = name(common_name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.subject_alt_names = vec![SanType::DnsName(common_name.try_into()?)];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        write_private(&key_path, &key.serialize_pem())?;
        write_public(&crt, &pem)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// The authority's own certificate, PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a leaf into `BASE.crt` and `BASE.key` unless they exist.
    pub(super) fn issue(&self, base: &Path, leaf: &Leaf) -> Result<()> {
        let (crt, key) = (base.with_extension("crt"), base.with_extension("key"));
        if crt.exists() && key.exists() {
            return Ok(());
        }
        let pair = self.sign(leaf)?;
        write_private(&key, &pair.key)?;
        write_public(&crt, &pair.certificate)
    }

    /// Signs a leaf with a new key.
    pub(super) fn sign(&self, leaf: &Leaf) -> Result<Pair> {
        let mut params = validity(CertificateParams::new(leaf.names.clone())?, LEAF_DAYS);
        params.distinguished_name = name(&leaf.common_name, &leaf.organizations);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = match leaf.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

fn validity(mut params: CertificateParams, days: i64) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATE;
    params.not_after = now + Duration::days(days);
    params
}

fn name(common_name: &str, organizations: &[String]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for organization in organizations {
        name.push(DnType::OrganizationName, organization.as_str());
    }
    name.push(DnType::CommonName, common_name);
    name
}
