//! Headers every answer carries, and those that carry warnings.

use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderName, HeaderValue, USER_AGENT, WARNING};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// Longest audit id taken over from a client (upstream `maxAuditIDLength`).
const MAX_AUDIT_ID: usize = 64;
/// Total size of warnings, and size of one (upstream `warning.go`).
const MAX_WARNINGS: usize = 4096;
const MAX_WARNING: usize = 256;

/// The client's audit id, or a new one.
pub(super) fn audit_id(headers: &HeaderMap) -> String {
    match headers.get(&AUDIT_ID).and_then(|v| v.to_str().ok()) {
        Some(id) if !id.is_empty() => id.chars().take(MAX_AUDIT_ID).collect(),
        _ => apimachinery::names::new_uid(),
    }
}

/// What an error needs to know of the request once the request is consumed.
pub(super) fn for_errors(headers: &HeaderMap) -> HeaderMap {
    let mut few = HeaderMap::new();
    for name in [ACCEPT, USER_AGENT] {
        for value in headers.get_all(&name) {
            few.append(name.clone(), value.clone());
        }
    }
    few
}

/// Headers of all answers (DROPIN.md section 5).
pub(super) fn finish(headers: &mut HeaderMap, audit_id: &str) {
    if let Ok(v) = HeaderValue::from_str(audit_id) {
        headers.insert(AUDIT_ID, v);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
}

/// `Warning: 299 - "text"`, each once, within upstream's limits.
pub(super) fn warnings(headers: &mut HeaderMap, all: &[String]) {
    let long: usize = all.iter().map(String::len).sum();
    for text in all {
        let mut text = text.clone();
        if long > MAX_WARNINGS && text.len() > MAX_WARNING {
            let cut = (0..=MAX_WARNING).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            text.truncate(cut);
        }
        let quoted: String = text
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| {
                if matches!(c, '"' | '\\') {
                    vec!['\\', c]
                } else {
                    vec![c]
                }
            })
            .collect();
        if let Ok(v) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            headers.append(WARNING, v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted() {
        let mut h = HeaderMap::new();
        warnings(&mut h, &["unknown field \"spec.x\"".to_owned()]);
        assert_eq!(h[WARNING], "299 - \"unknown field \\\"spec.x\\\"\"");
    }
}
