//! Bearer tokens of WebSocket clients that cannot set headers (browsers): a sub-protocol carries it.
//!
//! Upstream: `apiserver/pkg/authentication/request/websocket`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderValue};
use streaming::upgrade::{self, Protocol};
use streaming::websocket;

const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// A token and what else the client offers.
pub(super) struct Offer {
    /// The token, decoded.
    pub(super) token: String,
    /// The header without the token's sub-protocol, for a request that is accepted.
    pub(super) others: HeaderValue,
}

/// The token among the sub-protocols of a WebSocket request. The error says what is wrong with it.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<Offer>, &'static str> {
    if upgrade::requested(headers) != Some(Protocol::WebSocket) {
        return Ok(None);
    }
    let offered = websocket::offered(headers);
    let (tokens, others): (Vec<&String>, Vec<&String>) = offered.iter().partition(|p| p.starts_with(PREFIX));
    let encoded = match tokens[..] {
        [] => return Ok(None),
        [one] => &one[PREFIX.len()..],
        _ => return Err("multiple base64.bearer.authorization tokens specified"),
    };
    let decoded = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| "invalid base64.bearer.authorization token encoding")?;
    let token = String::from_utf8(decoded).map_err(|_| "invalid base64.bearer.authorization token")?;
    if token.is_empty() {
        return Ok(None);
    }
    // One protocol must be left to answer with.
    if others.is_empty() {
        return Err("missing additional subprotocol");
    }
    let others: Vec<&str> = others.into_iter().map(String::as_str).collect();
    let others = HeaderValue::from_str(&others.join(",")).map_err(|_| "invalid subprotocol")?;
    Ok(Some(Offer { token, others }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

    use super::*;

    fn request(protocols: &[&str]) -> HeaderMap {
        let mut h = HeaderMap::new();
        h.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        h.insert(UPGRADE, HeaderValue::from_static("websocket"));
        for p in protocols {
            h.append(SEC_WEBSOCKET_PROTOCOL, p.parse().unwrap());
        }
        h
    }

    #[test]
    fn websocket_clients_send_the_token_as_a_protocol() {
        const TOKEN: &str = "base64url.bearer.authorization.k8s.io.dG9rZW4";
        let mixed = format!("v5.channel.k8s.io, {TOKEN}");
        for protocols in [&[mixed.as_str()][..], &["v5.channel.k8s.io", TOKEN]] {
            let offer = token(&request(protocols)).unwrap().unwrap();
            assert_eq!(
                (offer.token.as_str(), offer.others.to_str().unwrap()),
                ("token", "v5.channel.k8s.io")
            );
        }
        let mut plain = request(&[&mixed]);
        plain.remove(UPGRADE);
        assert!(token(&plain).unwrap().is_none());
        assert!(token(&request(&["v5.channel.k8s.io"])).unwrap().is_none());
        for (protocols, why) in [
            (&[TOKEN][..], "missing additional subprotocol"),
            (
                &[TOKEN, "a", TOKEN],
                "multiple base64.bearer.authorization tokens specified",
            ),
            (
                &["a", "base64url.bearer.authorization.k8s.io.d=="],
                "invalid base64.bearer.authorization token encoding",
            ),
            (
                &["a", "base64url.bearer.authorization.k8s.io._w"],
                "invalid base64.bearer.authorization token",
            ),
        ] {
            assert_eq!(token(&request(protocols)).err(), Some(why), "{protocols:?}");
        }
    }
}
