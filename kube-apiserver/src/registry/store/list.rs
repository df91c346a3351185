//! List: pages, continue tokens, selectors, and what a resourceVersion asks for.
//!
//! Rules: upstream `apiserver/pkg/storage/etcd3/store.go` `GetList`, `storage/continue.go`.

use std::sync::Arc;

use apimachinery::codec::json;
use apimachinery::field::quote;
use apimachinery::status::{ApiError, Cause, Result};
use apimachinery::validation::is_path_segment_name;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;

use super::{Entry, Store};
use crate::registry::options::{ListOptions, Match};
use crate::registry::selection::Selection;
use crate::storage::{KeyValue, ListRequest, StorageError, encryption};

/// One page of objects.
#[derive(Default)]
pub(crate) struct List {
    /// In key order.
    pub(crate) items: Vec<Arc<Entry>>,
    /// The moment the list shows.
    pub(crate) resource_version: i64,
    /// Asks for the next page; empty at the end.
    pub(crate) continue_token: String,
    /// Objects behind this page, when known.
    pub(crate) remaining: Option<i64>,
}

/// The continue token's JSON.
#[derive(Serialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

const TOKEN_VERSION: &str = "meta.k8s.io/v1";
const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// `NewTooLargeResourceVersionError`: the client has seen a later moment than this server.
pub(super) fn too_large_version(wanted: i64, current: i64) -> ApiError {
    let text = format!("Too large resource version: {wanted}, current: {current}");
    ApiError::timeout(text, 1).with_cause(Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    })
}

fn encode_token(rv: i64, start: &str) -> String {
    let token = Token {
        v: TOKEN_VERSION.to_owned(),
        rv,
        start: start.to_owned(),
    };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).expect("a struct of text and a number encodes"))
}

/// Upstream `DecodeContinue`; its texts.
fn decode_token(text: &str) -> Result<Token> {
    const INVALID: &str = "continue key is not valid";
    let bad = |why: String| ApiError::bad_request(format!("invalid continue token: {INVALID}: {why}"));
    let raw = GO_BASE64.decode(text).map_err(|e| {
        let at = match e {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(n) => n.saturating_sub(1),
            base64::DecodeError::InvalidPadding => text.find('=').unwrap_or_default(),
        };
        bad(format!("illegal base64 data at input byte {at}"))
    })?;
    let tree = json::parse(&raw).map_err(|e| bad(e.to_string()))?.object;
    let part = |name: &str| tree.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let token = Token {
        v: part("v"),
        rv: tree.get("rv").and_then(Value::as_i64).unwrap_or_default(),
        start: part("start"),
    };
    if token.v != TOKEN_VERSION {
        return Err(bad(format!(
            "server does not recognize this encoded version {}",
            token.v
        )));
    }
    if token.rv == 0 {
        return Err(bad(
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)".into()
        ));
    }
    if token.start.is_empty() {
        return Err(bad("encoded start key empty (version meta.k8s.io/v1)".into()));
    }
    // A path that is not clean could lead out of the prefix.
    let path = token.start.strip_prefix('/').unwrap_or(&token.start);
    if path.split('/').any(|s| matches!(s, "" | "." | "..")) {
        return Err(bad(token.start));
    }
    Ok(Token {
        start: path.to_owned(),
        ..token
    })
}

/// As Go's `RawURLEncoding`: no padding, unused bits may be set.
const GO_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

impl Store {
    /// The prefix of a namespace's objects, or of all.
    pub(super) fn scope(&self, ns: &str) -> String {
        if self.row.namespaced && !ns.is_empty() {
            format!("{}{ns}/", self.prefix)
        } else {
            self.prefix.clone()
        }
    }

    /// Lists a namespace, or everything.
    pub(crate) async fn list(&self, ns: &str, options: &ListOptions) -> Result<List> {
        let selection = Selection::new(options);
        let prefix = self.scope(ns);
        let paging = !options.continue_token.is_empty();
        let wanted = if paging { None } else { list_version(options)? };
        let mut request = ListRequest {
            prefix: prefix.clone(),
            ..Default::default()
        };
        // What the answer's resourceVersion must be, when the request fixes it.
        let mut fixed = 0;
        if paging {
            let token = decode_token(&options.continue_token)?;
            if !matches!(options.resource_version.as_str(), "" | "0") {
                return Err(ApiError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            request.start = format!("{prefix}{}", token.start);
            if token.rv > 0 {
                request.revision = token.rv;
                fixed = token.rv;
            }
        } else if let Some(rv) = wanted.filter(|rv| *rv > 0) {
            let exact = match options.version_match {
                Some(Match::Exact) => true,
                Some(Match::NotOlderThan) => false,
                None => options.limit > 0,
            };
            if exact {
                request.revision = rv;
                fixed = rv;
            } else {
                request.at_least = Some(rv);
            }
        }

        // "0" takes whatever is at hand.
        if wanted == Some(0) && !paging && options.version_match != Some(Match::Exact) {
            request.at_least = Some(0);
        }

        if let Some(name) = selection
            .single_name()
            .filter(|name| is_path_segment_name(name).is_empty())
            && !paging
            && request.revision == 0
            && (!self.row.namespaced || !ns.is_empty())
        {
            return self.list_one(ns, name, &selection, wanted).await;
        }

        let all = selection.is_everything();
        let mut out = List::default();
        // Whoever takes any moment gets all of it (upstream cacher `computeListLimit`).
        let limit = if wanted == Some(0) { 0 } else { options.limit };
        let mut fetch = limit;
        loop {
            request.limit = fetch;
            let page = match self.storage.list(&request).await {
                Ok(page) => page,
                Err(StorageError::Future) => {
                    let now = self.storage.current_revision().await.unwrap_or_default();
                    return Err(too_large_version(request.revision, now));
                }
                Err(e) => return Err(self.list_failed(e, paging, &request)),
            };
            if out.resource_version == 0 {
                out.resource_version = if fixed > 0 { fixed } else { page.revision };
                request.revision = out.resource_version;
                if let Some(rv) = wanted
                    && fixed == 0
                    && rv > page.revision
                {
                    return Err(too_large_version(rv, page.revision));
                }
            }
            let total = page.items.len();
            let mut last: &str = "";
            let mut left = 0;
            for (i, kv) in page.items.iter().enumerate() {
                if limit > 0 && out.items.len() == limit {
                    left = total - i;
                    break;
                }
                last = &kv.key;
                match self.entry(kv) {
                    Ok(entry) if all || selection.matches(&entry.index) => out.items.push(entry),
                    Ok(_) => {}
                    Err(error) => match unreadable(kv) {
                        Some(error) => return Err(error),
                        // One damaged object must not hide all others.
                        None => tracing::error!(key = &*kv.key, %error, "stored object cannot be decoded"),
                    },
                }
            }
            let more = page.more || left > 0;
            if !more {
                return Ok(out);
            }
            let next = format!("{last}\0");
            if limit > 0 && out.items.len() >= limit {
                out.continue_token = encode_token(out.resource_version, next.strip_prefix(&prefix).unwrap_or(&next));
                if all {
                    out.remaining = Some((page.count - total as i64 + left as i64).max(1));
                }
                return Ok(out);
            }
            request.start = next;
            // Few matches: read ahead in larger steps.
            fetch = (fetch * 2).min(10_000);
        }
    }

    /// `metadata.name=x` is one read.
    async fn list_one(&self, ns: &str, name: &str, selection: &Selection, wanted: Option<i64>) -> Result<List> {
        let (kv, revision) = self.read(ns, name, "list").await?;
        if let Some(rv) = wanted
            && rv > revision
        {
            return Err(too_large_version(rv, revision));
        }
        let mut out = List {
            resource_version: revision,
            ..Default::default()
        };
        if let Some(kv) = kv {
            let entry = self.entry(&kv).map_err(|error| unreadable(&kv).unwrap_or(error))?;
            if selection.matches(&entry.index) {
                out.items.push(entry);
            }
        }
        Ok(out)
    }

    fn list_failed(&self, e: StorageError, paging: bool, request: &ListRequest) -> ApiError {
        match e {
            StorageError::Compacted(_) if paging => {
                // From the same key on, as things are now (upstream `handleCompactedErrorForPaging`).
                let start = request.start.strip_prefix(&request.prefix).unwrap_or(&request.start);
                ApiError::expired(CONTINUE_EXPIRED).with_continue(encode_token(-1, start))
            }
            other => self.failed(other, "list"),
        }
    }
}

/// A value that cannot be decrypted fails the whole list.
fn unreadable(kv: &KeyValue) -> Option<ApiError> {
    let why = encryption::unreadable(&kv.value)?;
    Some(ApiError::internal(format!(
        "unable to transform key {}: {why}",
        quote(&kv.key)
    )))
}

/// The moment a list asks for (upstream `ValidateListOptions` of `storage/interfaces.go`).
fn list_version(options: &ListOptions) -> Result<Option<i64>> {
    options
        .version()
        .map_err(|e| ApiError::bad_request(format!("invalid resource version: {e}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn wrong_tokens_are_refused_in_upstreams_words() {
        let start = "invalid continue token: continue key is not valid: ";
        let token = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let cases = [
            ("{".to_owned(), "illegal base64 data at input byte 0"),
            ("ab=".to_owned(), "illegal base64 data at input byte 2"),
            (token("{"), "unexpected end of JSON input"),
            (
                token(r#"{"v":"v2"}"#),
                "server does not recognize this encoded version v2",
            ),
            (
                token(r#"{"v":"meta.k8s.io/v1","start":"a"}"#),
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                token(r#"{"v":"meta.k8s.io/v1","rv":1}"#),
                "encoded start key empty (version meta.k8s.io/v1)",
            ),
            (token(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}"#), "../a"),
        ];
        for (text, why) in cases {
            assert_eq!(decode_token(&text).err().unwrap().message, format!("{start}{why}"));
        }
        let good = decode_token(&encode_token(7, "ns/a\0")).unwrap();
        assert_eq!((good.rv, good.start.as_str()), (7, "ns/a\0"));
    }
}
