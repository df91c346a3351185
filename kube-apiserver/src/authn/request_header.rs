//! Front proxies: identity in headers, believed only from a certificate of `--requestheader-client-ca-file`.
//!
//! Upstream: `apiserver/pkg/authentication/request/headerrequest/requestheader.go`.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::cert_pool::CertPool;
use super::x509;
use crate::request::{UserInfo, percent_decode};

/// The `--requestheader-*` flags.
#[derive(Clone)]
pub(crate) struct RequestHeader {
    /// CA of the front proxies.
    pub(crate) pool: Arc<CertPool>,
    /// Allowed common names; empty allows all.
    pub(crate) allowed_names: Vec<String>,
    /// Headers with the user name, the first present counts.
    pub(crate) username_headers: Vec<String>,
    /// Headers with the uid.
    pub(crate) uid_headers: Vec<String>,
    /// Headers with groups, all values count.
    pub(crate) group_headers: Vec<String>,
    /// Prefixes of headers with extra facts.
    pub(crate) extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// The user named by the headers; `Err` when the certificate is not a front proxy's.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        chain: &[CertificateDer<'static>],
    ) -> Result<Option<UserInfo>, String> {
        let Some(leaf) = chain.first() else { return Ok(None) };
        let Some(name) = self.username_headers.iter().find_map(|h| first(headers, h)) else {
            return Ok(None);
        };
        self.pool.current().verify(chain, UnixTime::now())?;
        if !self.allowed_names.is_empty() {
            let cn = x509::subject(leaf)?.map(|u| u.name).unwrap_or_default();
            if !self.allowed_names.contains(&cn) {
                return Err(format!("x509: subject with cn={cn} is not in the allowed list"));
            }
        }
        let mut user = UserInfo {
            name,
            ..Default::default()
        };
        user.uid = self
            .uid_headers
            .iter()
            .find_map(|h| first(headers, h))
            .unwrap_or_default();
        for h in &self.group_headers {
            user.groups.extend(headers.get_all(h).iter().map(text));
        }
        for (key, value) in headers {
            for prefix in &self.extra_prefixes {
                let prefix = prefix.to_ascii_lowercase();
                if let Some(key) = key.as_str().strip_prefix(prefix.as_str()) {
                    user.extra.entry(percent_decode(key)).or_default().push(text(value));
                }
            }
        }
        Ok(Some(user))
    }

    /// Removes the identity headers: behind the authenticator they mean nothing.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        for h in self
            .username_headers
            .iter()
            .chain(&self.uid_headers)
            .chain(&self.group_headers)
        {
            headers.remove(h.as_str());
        }
        let extra: Vec<_> = headers
            .keys()
            .filter(|k| {
                self.extra_prefixes
                    .iter()
                    .any(|p| k.as_str().starts_with(&p.to_ascii_lowercase()))
            })
            .cloned()
            .collect();
        for k in extra {
            headers.remove(k);
        }
    }
}

fn first(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(text).filter(|v| !v.is_empty())
}

/// A header's value. Names of people are not always ASCII, and a header about identity must never count as absent:
/// the request would run as someone else.
pub(crate) fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
