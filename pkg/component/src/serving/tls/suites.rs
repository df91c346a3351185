//! Cipher suites by Go's names (upstream `component-base/cli/flag/ciphersuites_flag.go`).

use rustls::{SupportedCipherSuite, crypto::CryptoProvider};

/// Suites of TLS 1.2 that Go knows and our library does not have: CBC, RC4, 3DES, and keys sent under RSA.
const MISSING: [&str; 16] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];

/// Go's name of a suite of ours.
fn name(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    // The library tells the version in the name, Go does not.
    name.replace("TLS13_", "TLS_")
}

/// A name as given; two have an old form.
fn current(given: &str) -> String {
    match given {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => format!("{given}_SHA256"),
        other => other.to_owned(),
    }
}

/// What is wrong with names of suites, in upstream's words.
pub(crate) fn unknown(names: &[String]) -> Option<String> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    names.iter().find_map(|given| {
        let wanted = current(given);
        let known = MISSING.contains(&wanted.as_str()) || provider.cipher_suites.iter().any(|s| name(s) == wanted);
        (!known).then(|| format!("Cipher suite {given} not supported or doesn't exist"))
    })
}

/// Leaves only the named suites of TLS 1.2 in a provider; those of TLS 1.3 are not configurable, as in Go.
pub(super) fn restrict(provider: &mut CryptoProvider, names: &[String]) {
    let wanted: Vec<String> = names.iter().map(|n| current(n)).collect();
    for name in wanted.iter().filter(|n| MISSING.contains(&n.as_str())) {
        tracing::warn!("cipher suite {name} is not offered: this server does not have it");
    }
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some() || wanted.contains(&name(suite)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_gos_names() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let all = names(&[
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
        ]);
        assert_eq!(unknown(&all), None);
        assert_eq!(
            unknown(&names(&["TLS_AES_128_GCM_SHA256", "NULL"])),
            Some("Cipher suite NULL not supported or doesn't exist".to_owned())
        );
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        restrict(&mut provider, &all);
        let left: Vec<String> = provider
            .cipher_suites
            .iter()
            .filter(|s| s.tls13().is_none())
            .map(name)
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(provider.cipher_suites.len() > 2, "TLS 1.3 stays");
    }
}
