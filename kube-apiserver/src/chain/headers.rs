//! Headers every answer carries, and those that carry warnings.

use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, HeaderName, HeaderValue, USER_AGENT, WARNING};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// Longest audit id taken over from a client (upstream `maxAuditIDLength`).
const MAX_AUDIT_ID: usize = 64;
/// Characters of all warnings, and of one when these are too many (upstream `truncateAtTotalRunes`,
/// `truncateItemRunes`).
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

/// Headers of all answers (upstream `filters/cachecontrol.go`, `audit_init.go`).
pub(super) fn finish(headers: &mut HeaderMap, audit_id: &str) {
    if let Ok(v) = HeaderValue::from_str(audit_id) {
        headers.insert(AUDIT_ID, v);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
}

/// `Warning: 299 - "text"`, within upstream's limits (`warning.go` `AddWarning`): when all together are too long, each
/// is cut, and those behind the limit are left out.
pub(super) fn warnings(headers: &mut HeaderMap, all: &[String]) {
    let (mut shown, mut written, mut cutting) = (Vec::new(), 0, false);
    for (at, text) in all.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        if cutting && written >= MAX_WARNINGS {
            break;
        }
        if !cutting && written + text.chars().count() > MAX_WARNINGS {
            cutting = true;
            shown = all[..at].iter().map(|text| cut(text)).collect();
            written = shown.iter().map(|text| text.chars().count()).sum();
        }
        let text = if cutting { cut(text) } else { text };
        written += text.chars().count();
        shown.push(text);
    }
    // What has control characters is no header.
    for text in shown.iter().filter(|text| !text.contains(char::is_control)) {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(v) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            headers.append(WARNING, v);
        }
    }
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_WARNING).map_or(text.len(), |(at, _)| at);
    &text[..end]
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

    #[test]
    fn too_many_warnings_are_cut_and_then_left_out() {
        let shown = |all: &[String]| {
            let mut h = HeaderMap::new();
            warnings(&mut h, all);
            h.get_all(WARNING).iter().map(HeaderValue::len).collect::<Vec<_>>()
        };
        let frame = "299 - \"\"".len();
        // Together just short enough.
        assert_eq!(shown(&["a".repeat(4000), "b".repeat(96)]), [4000 + frame, 96 + frame]);
        assert_eq!(shown(&["a".repeat(4000), "b".repeat(97)]), [256 + frame, 97 + frame]);
        assert_eq!(shown(&["é".repeat(5000)]), [512 + frame]);
        // No more than upstream sends, however many there are.
        let many: Vec<String> = (0..100_000).map(|n| format!("warning number {n:06}")).collect();
        assert!(shown(&many).len() < 200);
        assert!(shown(&["a\nb".to_owned(), String::new()]).is_empty());
    }
}
