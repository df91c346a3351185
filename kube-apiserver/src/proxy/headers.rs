//! Which headers a proxied request and its answer keep. Upstream: Go's `httputil.ReverseProxy`, whose
//! behaviour `UpgradeAwareHandler` inherits, and `upgradeaware.go` `removeCORSHeaders`.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{CONNECTION, COOKIE, HeaderName, HeaderValue, TE, UPGRADE};

/// Headers of one hop.
const HOP: [&str; 8] = [
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a backend may not decide for the apiserver's origin.
const CORS: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether a request asks for an upgrade (upstream `httpstream.IsUpgradeRequest`).
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .any(|v| v.to_str().is_ok_and(|v| v.to_ascii_lowercase().contains("upgrade")))
}

/// The client's headers as the backend gets them.
pub(super) fn onward(headers: &HeaderMap, peer: Option<IpAddr>, upgrade: bool) -> HeaderMap {
    let trailers = values(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    let mut out = headers.clone();
    remove_hop(&mut out);
    if trailers {
        out.insert(TE, HeaderValue::from_static("trailers"));
    }
    // Credentials are for us alone, whatever the filters before left of them.
    out.remove(http::header::AUTHORIZATION);
    let personal: Vec<HeaderName> = out
        .keys()
        .filter(|k| k.as_str().starts_with("impersonate-") || k.as_str().starts_with("x-remote-"))
        .cloned()
        .collect();
    for name in personal {
        out.remove(name);
    }
    join_cookies(&mut out);
    if upgrade {
        out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(protocol) = headers.get(UPGRADE) {
            out.insert(UPGRADE, protocol.clone());
        }
    }
    if let Some(peer) = peer {
        let before: Vec<&str> = headers
            .get_all(&FORWARDED_FOR)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        let chain = [before, vec![peer.to_string().as_str()]].concat().join(", ");
        if let Ok(v) = HeaderValue::from_str(&chain) {
            out.insert(FORWARDED_FOR, v);
        }
    }
    out
}

/// Cleans the headers of an answer that is not an upgrade.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    remove_hop(headers);
    for name in CORS {
        headers.remove(name);
    }
}

fn remove_hop(headers: &mut HeaderMap) {
    let listed: Vec<String> = values(headers, &CONNECTION).map(str::to_ascii_lowercase).collect();
    for name in listed {
        headers.remove(name.as_str());
    }
    headers.remove(CONNECTION);
    for name in HOP {
        headers.remove(name);
    }
}

/// HTTP/2 clients may send cookies one by one; HTTP/1 knows one header for all.
fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if all.len() > 1
        && let Ok(one) = HeaderValue::from_bytes(&all.join(&b"; "[..]))
    {
        headers.insert(COOKIE, one);
    }
}

/// The comma-separated values of a header.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
        .filter(|v| !v.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (k, v) in pairs {
            headers.append(*k, HeaderValue::from_static(v));
        }
        headers
    }

    #[test]
    fn credentials_and_headers_of_one_hop_stay_here() {
        let sent = map(&[
            ("authorization", "Bearer x"),
            ("impersonate-user", "joe"),
            ("impersonate-extra-a", "b"),
            ("x-remote-user", "joe"),
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers, deflate"),
            ("cookie", "c"),
            ("cookie", "d=1"),
            ("x-forwarded-for", "1.1.1.1"),
        ]);
        let got = onward(&sent, Some("10.0.0.1".parse().unwrap()), false);
        let want = map(&[
            ("te", "trailers"),
            ("cookie", "c; d=1"),
            ("x-forwarded-for", "1.1.1.1, 10.0.0.1"),
        ]);
        assert_eq!(got, want);
    }

    #[test]
    fn an_upgrade_keeps_what_it_asks_for() {
        let sent = map(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]);
        assert!(wants_upgrade(&sent));
        assert_eq!(onward(&sent, None, true), sent);
        assert!(!wants_upgrade(&map(&[
            ("connection", "close"),
            ("upgrade", "websocket")
        ])));
    }

    #[test]
    fn answers_lose_the_backends_cors_headers() {
        let mut got = map(&[
            ("access-control-allow-origin", "*"),
            ("connection", "close"),
            ("x", "y"),
        ]);
        clean_answer(&mut got);
        assert_eq!(got, map(&[("x", "y")]));
    }
}
