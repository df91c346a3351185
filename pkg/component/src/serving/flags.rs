//! The flags of a TLS server that all components have.

use crate::flags::{NamedCertKey, Values};

use super::tls::suites;

/// `--tls-min-version`, `--tls-cipher-suites` and `--tls-sni-cert-key`, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFlags {
    /// TLS 1.3 is the least. 1.0 and 1.1 are gone from the library: else the least is 1.2.
    pub tls13_only: bool,
    /// Suites of TLS 1.2 by Go's names; empty: all.
    pub cipher_suites: Vec<String>,
    /// Certificates for names.
    pub named: Vec<NamedCertKey>,
}

impl TlsFlags {
    /// Reads the flags; what is wrong with them goes to `errors`, in upstream's words.
    #[must_use]
    pub fn from_values(values: &Values, errors: &mut Vec<String>) -> Self {
        let least = values.string("tls-min-version");
        if !matches!(
            least.as_str(),
            "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" | "VersionTLS13"
        ) {
            errors.push(format!("unknown tls version {least:?}"));
        }
        let cipher_suites = values.strings("tls-cipher-suites");
        errors.extend(suites::unknown(&cipher_suites));
        TlsFlags {
            tls13_only: least == "VersionTLS13",
            cipher_suites,
            named: values.named_cert_keys("tls-sni-cert-key"),
        }
    }
}
