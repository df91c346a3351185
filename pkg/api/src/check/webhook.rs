//! Where a webhook is called (apiserver `pkg/util/webhook/validation.go`).

use apimachinery::field::{BadValue, Error, ErrorList, Path};
use apimachinery::validation::{is_dns1035_label, is_dns1123_subdomain, is_valid_port};
use k8s_openapi::ByteString;

/// `ValidateWebhookURL` with `forceHttps`.
fn webhook_url(errs: &mut ErrorList, url: &str, path: &Path) {
    const FORM: &str = "; desired format: https://host[/path]";
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(why) => {
            errs.push(Error::required(path, format!("url must be a valid URL: {why}{FORM}")));
            return;
        }
    };
    let mut refuse = |value: &str, rule: String| errs.push(Error::invalid(path, value, rule));
    if url.scheme != "https" {
        refuse(&url.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if url.host.is_empty() {
        refuse("", format!("host must be specified{FORM}"));
    }
    if let Some(user) = url.user {
        refuse(user, "user information is not permitted in the URL".to_string());
    }
    if !url.fragment.is_empty() {
        refuse(url.fragment, "fragments are not permitted in the URL".to_string());
    }
    if !url.query.is_empty() {
        refuse(url.query, "query parameters are not permitted in the URL".to_string());
    }
}

/// The parts of a URL that rules ask about, cut as Go's `url.Parse` does.
pub(crate) struct Url<'a> {
    /// In lower case; empty for a relative reference.
    pub(crate) scheme: String,
    user: Option<&'a str>,
    /// With its port.
    pub(crate) host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Url<'a> {
    /// Go's error text, for the mistakes that are told from the structure.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let fail = |why: String| Err(format!("parse {}: {why}", apimachinery::field::quote(text)));
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return fail("net/url: invalid control character in URL".to_string());
        }
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut scheme = String::new();
        let mut rest = rest;
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if let Some(at) = rest.find(|c| !word(c)).filter(|at| rest[*at..].starts_with(':')) {
            if at == 0 {
                return fail("missing protocol scheme".to_string());
            }
            if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                scheme = rest[..at].to_ascii_lowercase();
                rest = &rest[at + 1..];
            } else {
                return fail("first path segment in URL cannot contain colon".to_string());
            }
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut url = Url {
            scheme,
            user: None,
            host: "",
            query,
            fragment,
        };
        if let Some(authority) = rest.strip_prefix("//") {
            let authority = authority.split('/').next().unwrap_or("");
            url.host = authority;
            if let Some((user, host)) = authority.rsplit_once('@') {
                (url.user, url.host) = (Some(user), host);
            }
            if url.host.contains(' ') {
                return fail("invalid character \" \" in host name".to_string());
            }
            let after = url.host.rfind(']').map_or(url.host, |at| &url.host[at + 1..]);
            let port = after.rfind(':').map(|at| &after[at..]);
            if let Some(port) = port.filter(|p| !p[1..].bytes().all(|b| b.is_ascii_digit())) {
                return fail(format!("invalid port {} after host", apimachinery::field::quote(port)));
            }
        } else if url.scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return fail("first path segment in URL cannot contain colon".to_string());
        }
        Ok(url)
    }
}

/// Where a webhook is: at a URL or behind a service, one of them.
pub(crate) fn webhook_client(
    errs: &mut ErrorList,
    url: Option<&str>,
    service: Option<WebhookService<'_>>,
    path: &Path,
) {
    match (url, service) {
        (Some(url), None) => webhook_url(errs, url, &path.child("url")),
        (None, Some(service)) => webhook_service(errs, &service, &path.child("service")),
        _ => errs.push(Error::required(path, "exactly one of url or service is required")),
    }
}

/// Whether a review version is one this server speaks (`AcceptedAdmissionReviewVersions`).
pub(crate) fn is_review_version(version: &str) -> bool {
    matches!(version, "v1" | "v1beta1")
}

/// The reviews a webhook understands (`validateAdmissionReviewVersions`); `missing` is said of none.
pub(crate) fn review_versions(errs: &mut ErrorList, versions: &[String], recognized: bool, missing: &str, path: &Path) {
    if versions.is_empty() {
        errs.push(Error::required(path, missing));
        return;
    }
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        if versions[..index].contains(version) {
            errs.push(Error::invalid(&path, version, "duplicate version"));
        } else {
            super::invalid_each(errs, &path, version, is_dns1035_label(version));
        }
    }
    if recognized && !versions.iter().any(|v| is_review_version(v)) {
        let rule = "must include at least one of v1, v1beta1";
        errs.push(Error::invalid(path, super::shown(&versions), rule));
    }
}

/// The service of a webhook (`ValidateWebhookService`).
pub(crate) struct WebhookService<'a> {
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// The URL's path.
    pub(crate) path: Option<&'a String>,
    /// The port after defaults.
    pub(crate) port: i32,
}

/// `ValidateWebhookService`. All its callers pass name and namespace in the wrong order, so a missing one
/// is reported at the other's field.
fn webhook_service(errs: &mut ErrorList, service: &WebhookService<'_>, path: &Path) {
    super::required(errs, &path.child("name"), service.namespace);
    super::required(errs, &path.child("namespace"), service.name);
    let messages = is_valid_port(i64::from(service.port));
    if !messages.is_empty() {
        let rule = format!("port is not valid: {}", messages.join(", "));
        errs.push(Error::invalid(&path.child("port"), service.port, rule));
    }
    let Some(url_path) = service.path.filter(|p| !p.is_empty() && *p != "/") else {
        return;
    };
    let at = path.child("path");
    if url_path == "//" {
        errs.push(Error::invalid(&at, url_path, "segment[0] may not be empty"));
        return;
    }
    if !url_path.starts_with('/') {
        errs.push(Error::invalid(&at, url_path, "must start with a '/'"));
    }
    // As upstream: the first character goes, whatever it is.
    let mut characters = url_path.chars();
    characters.next();
    let rest = characters.as_str();
    for (index, step) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if step.is_empty() {
            errs.push(Error::invalid(
                &at,
                url_path,
                format!("segment[{index}] may not be empty"),
            ));
        }
        for failure in is_dns1123_subdomain(step).into_iter().filter(|_| !step.is_empty()) {
            errs.push(Error::invalid(&at, url_path, format!("segment[{index}]: {failure}")));
        }
    }
}

/// `ValidateCABundle`, as far as text goes: there must be a PEM certificate.
pub(crate) fn ca_bundle(errs: &mut ErrorList, bundle: &ByteString, path: &Path) {
    if !is_ca_bundle(bundle) {
        let value = BadValue::from(&super::to_value(bundle));
        let value = match value {
            BadValue::Text(text) => BadValue::Raw(format!("\"{text}\"")),
            other => other,
        };
        let rule = "unable to load root certificates: unable to parse bytes as PEM block";
        errs.push(Error::invalid(path, value, rule));
    }
}

/// Whether a bundle holds a PEM certificate.
pub(crate) fn is_ca_bundle(bundle: &ByteString) -> bool {
    let text = String::from_utf8_lossy(&bundle.0);
    let begin = text.find("-----BEGIN CERTIFICATE-----");
    let end = text.find("-----END CERTIFICATE-----");
    matches!((begin, end), (Some(begin), Some(end)) if begin < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_as_go_cuts_them() {
        let cases: [(&str, &[&str]); 8] = [
            ("https://example.com/x", &[]),
            (
                "http://example.com",
                &[
                    "u: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
                ],
            ),
            (
                "https://",
                &["u: Invalid value: \"\": host must be specified; desired format: https://host[/path]"],
            ),
            (
                "https://user@example.com?a=b#c",
                &[
                    "u: Invalid value: \"user\": user information is not permitted in the URL",
                    "u: Invalid value: \"c\": fragments are not permitted in the URL",
                    "u: Invalid value: \"a=b\": query parameters are not permitted in the URL",
                ],
            ),
            (
                "://x",
                &[
                    "u: Required value: url must be a valid URL: parse \"://x\": missing protocol scheme; desired format: https://host[/path]",
                ],
            ),
            (
                "127.0.0.1:80",
                &[
                    "u: Required value: url must be a valid URL: parse \"127.0.0.1:80\": first path segment in URL cannot contain colon; desired format: https://host[/path]",
                ],
            ),
            (
                "https://h:x/",
                &[
                    "u: Required value: url must be a valid URL: parse \"https://h:x/\": invalid port \":x\" after host; desired format: https://host[/path]",
                ],
            ),
            ("https://[::1]:443/p", &[]),
        ];
        for (url, want) in cases {
            let mut errs = vec![];
            webhook_url(&mut errs, url, &Path::new("u"));
            assert_eq!(crate::cases::texts(&errs), want, "{url}");
        }
    }
}
