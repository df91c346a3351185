//! Certificates by the name a client asks for (SNI), and by the address it came to when it names none.
//!
//! Upstream: `apiserver/pkg/server/dynamiccertificates` (`named_certificates.go`, `tlsconfig.go`
//! `GetConfigForClient`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::GeneralName;

/// Chooses a certificate.
#[derive(Debug)]
pub(super) struct Named {
    default: Arc<CertifiedKey>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that name nobody.
    nameless: Arc<CertifiedKey>,
}

impl Named {
    /// `pairs`: certificates with the names given for them, earlier ones first; without names the certificate's own
    /// count, which others' given names override.
    pub(super) fn new(default: Arc<CertifiedKey>, pairs: &[(Arc<CertifiedKey>, Vec<String>)]) -> Self {
        let mut by_name = HashMap::new();
        let (own, given): (Vec<_>, Vec<_>) = pairs.iter().rev().partition(|(_, names)| names.is_empty());
        for (key, _) in own {
            by_name.extend(names_of(key).into_iter().map(|name| (name, key.clone())));
        }
        for (key, names) in given {
            by_name.extend(names.iter().map(|name| (name.to_lowercase(), key.clone())));
        }
        Named {
            nameless: default.clone(),
            default,
            by_name,
        }
    }

    /// The same for clients that came to `address`, when a name says that address; else `None`.
    pub(super) fn at(&self, address: IpAddr) -> Option<Self> {
        let nameless = self.by_name.get(&address.to_string())?.clone();
        Some(Named {
            nameless,
            default: self.default.clone(),
            by_name: self.by_name.clone(),
        })
    }

    /// All addresses among the names.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_name.keys().filter_map(|name| name.parse().ok())
    }

    fn choose(&self, asked: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(asked) = asked else { return &self.nameless };
        let asked = asked.to_lowercase();
        let wildcard = || format!("*.{}", asked.split_once('.').map_or("", |(_, rest)| rest));
        self.by_name
            .get(&asked)
            .or_else(|| self.by_name.get(&wildcard()))
            .unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Named {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()).clone())
    }
}

/// Common name and DNS names of a certificate; addresses are not names.
fn names_of(key: &CertifiedKey) -> Vec<String> {
    let Some(Ok((_, cert))) = key.cert.first().map(|der| x509_parser::parse_x509_certificate(der)) else {
        return vec![];
    };
    let common = cert.subject().iter_common_name().filter_map(|cn| cn.as_str().ok());
    let common = common.filter(|cn| {
        let rest = cn.strip_prefix("*.").unwrap_or(cn);
        *cn == "*" || cn.parse::<IpAddr>().is_err() && apimachinery::validation::is_dns1123_subdomain(rest).is_empty()
    });
    let mut names: Vec<String> = common.map(str::to_lowercase).collect();
    if let Ok(Some(alternatives)) = cert.subject_alternative_name() {
        names.extend(alternatives.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_lowercase()),
            _ => None,
        }));
    }
    names
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;

    fn certificate(names: &[&str]) -> Arc<CertifiedKey> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let der = CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        Arc::new(CertifiedKey::from_der(vec![der], key, &provider).unwrap())
    }

    #[test]
    fn given_names_win_then_earlier_pairs_then_the_default() {
        let [default, own, given, later] =
            [&["d"], &["own.example"], &["own.example"], &["own.example"]].map(|n| certificate(n));
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let named = Named::new(
            default.clone(),
            &[
                (own.clone(), vec![]),
                (given.clone(), names(&["*.wild.example", "10.0.0.1", "Both.example"])),
                (later.clone(), names(&["both.example"])),
                (later, vec![]),
            ],
        );
        let is = |have: &Arc<CertifiedKey>, want: &Arc<CertifiedKey>| assert!(Arc::ptr_eq(have, want));
        is(named.choose(Some("own.example")), &own);
        is(named.choose(Some("OWN.example")), &own);
        is(named.choose(Some("a.wild.example")), &given);
        is(named.choose(Some("a.b.wild.example")), &default);
        is(named.choose(Some("both.example")), &given);
        is(named.choose(None), &default);
        assert_eq!(named.addresses().count(), 1);
        let at = named.at("10.0.0.1".parse().unwrap()).unwrap();
        is(at.choose(None), &given);
        is(at.choose(Some("else")), &default);
        assert!(named.at("10.0.0.2".parse().unwrap()).is_none());
    }
}
