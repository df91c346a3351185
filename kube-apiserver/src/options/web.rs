//! Flags of the socket and of what every answer carries: TLS, HTTP/2, GOAWAY, CORS, HSTS.
//!
//! Upstream: `apiserver/pkg/server/options/{serving,server_run_options}.go`.

use component::flags::Values;
use component::serving::{Sharing, TlsFlags};
use regex::bytes::{Regex, RegexBuilder};

/// The flags, checked.
#[derive(Debug, Clone)]
pub(crate) struct WebOptions {
    /// `--tls-min-version`, `--tls-cipher-suites`, `--tls-sni-cert-key`.
    pub(crate) tls: TlsFlags,
    /// Not `--disable-http2-serving`.
    pub(crate) http2: bool,
    /// `--permit-address-sharing`, `--permit-port-sharing`.
    pub(crate) sharing: Sharing,
    /// `--http2-max-streams-per-connection`.
    pub(crate) max_streams: u32,
    /// `--goaway-chance`.
    pub(crate) goaway_chance: f64,
    /// `--cors-allowed-origins`.
    pub(crate) cors_allowed_origins: Vec<Regex>,
    /// `--strict-transport-security-directives`.
    pub(crate) strict_transport_security: Vec<String>,
}

const ORIGINS_HELP: &str = "List of allowed origins for CORS, comma separated. An allowed origin can be a regular expression to support subdomain matching. If this list is empty CORS will not be enabled. Please ensure each expression matches the entire hostname by anchoring to the start with '^' or including the '//' prefix, and by anchoring to the end with '$' or including the ':' port separator suffix. Examples of valid expressions are '//example\\.com(:|$)' and '^https://example\\.com(:|$)'";

impl WebOptions {
    pub(super) fn from_values(v: &Values, errors: &mut Vec<String>) -> Self {
        let goaway_chance = v.float("goaway-chance");
        if !(0.0..=0.02).contains(&goaway_chance) {
            errors.push("--goaway-chance can not be less than 0 or greater than 0.02".to_owned());
        }
        let strict_transport_security = v.strings("strict-transport-security-directives");
        errors.extend(strict_transport_security.iter().filter_map(|d| bad_directive(d)));
        let origins = v.strings("cors-allowed-origins");
        let cors_allowed_origins = origins.iter().filter_map(|text| {
            origin(text)
                .map_err(|why| errors.push(format!("{why}, help: {ORIGINS_HELP}")))
                .ok()
        });
        let cors_allowed_origins = cors_allowed_origins.collect();
        WebOptions {
            tls: TlsFlags::from_values(v, errors),
            http2: !v.bool("disable-http2-serving"),
            sharing: Sharing {
                address: v.bool("permit-address-sharing"),
                port: v.bool("permit-port-sharing"),
            },
            max_streams: u32::try_from(v.int("http2-max-streams-per-connection"))
                .ok()
                .filter(|n| *n > 0)
                .unwrap_or(1000),
            goaway_chance,
            cors_allowed_origins,
            strict_transport_security,
        }
    }
}

/// Upstream `validateHSTSDirectives`.
fn bad_directive(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("empty value in strict-transport-security-directives".to_owned());
    }
    let parts: Vec<&str> = text.split('=').collect();
    let good = matches!(parts[..], ["includeSubDomains" | "preload"] | ["max-age", _]);
    (!good).then(|| {
        "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see https://tools.ietf.org/html/rfc6797#section-6.1 for more information".to_owned()
    })
}

/// Upstream `validateCorsAllowedOriginList`: an expression that matches inside a host name would let others in.
fn origin(text: &str) -> Result<Regex, String> {
    if text.is_empty() {
        return Err("empty value in --cors-allowed-origins".to_owned());
    }
    let bad = |why: &str| format!("--cors-allowed-origins has an invalid regular expression: {why}");
    // Classes are ASCII's, as Go's.
    let regex = RegexBuilder::new(text).unicode(false).build();
    let regex = regex.map_err(|e| bad(&format!("error parsing regexp: {e}")))?;
    let pins = |ends: [&str; 2]| ends.iter().any(|end| text.contains(end));
    if !pins(["^", "//"]) || !pins(["$", ":"]) {
        return Err(bad(
            "regular expression does not pin to start/end of host in the origin header",
        ));
    }
    Ok(regex)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> (WebOptions, Vec<String>) {
        let values = crate::options::table().parse(args.iter().copied()).unwrap();
        let mut errors = vec![];
        let options = WebOptions::from_values(&values, &mut errors);
        (options, errors)
    }

    #[test]
    fn what_is_wrong_is_said_in_upstreams_words() {
        for (arg, want) in [
            (
                "--goaway-chance=0.5",
                "--goaway-chance can not be less than 0 or greater than 0.02",
            ),
            (
                "--strict-transport-security-directives=max-age",
                "--strict-transport-security-directives invalid, allowed values: ",
            ),
            (
                "--cors-allowed-origins=example.com",
                "--cors-allowed-origins has an invalid regular expression: regular expression does not pin to start/end of host in the origin header, help: List of allowed origins",
            ),
            (
                "--cors-allowed-origins=//a(:|$",
                "--cors-allowed-origins has an invalid regular expression: error parsing regexp: ",
            ),
            ("--tls-cipher-suites=x", "Cipher suite x not supported or doesn't exist"),
            ("--tls-min-version=SSL", "unknown tls version \"SSL\""),
        ] {
            let (_, errors) = read(&[arg]);
            assert!(errors.len() == 1 && errors[0].starts_with(want), "{arg}: {errors:?}");
        }
    }

    #[test]
    fn good_values_arrive() {
        let (o, errors) = read(&[
            "--goaway-chance=0.01",
            r"--cors-allowed-origins=//example\.com(:|$),^https://\w+$",
            "--strict-transport-security-directives=max-age=31536000,includeSubDomains",
            "--disable-http2-serving",
            "--permit-port-sharing",
            "--tls-min-version=VersionTLS13",
        ]);
        assert_eq!(errors, [] as [&str; 0]);
        assert_eq!(o.cors_allowed_origins.len(), 2);
        assert!(o.cors_allowed_origins[1].is_match(b"https://abc"));
        assert!(!o.http2 && o.sharing.port && !o.sharing.address && o.tls.tls13_only);
        assert_eq!((o.strict_transport_security.len(), o.max_streams), (2, 1000));
    }
}
