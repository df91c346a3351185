//! Paths of proxied requests: what is ours, what goes on. Upstream: `requestinfo.go` (the parts of
//! the path), `endpoints/handlers/rest.go` `getRequestOptions`, Go's `path.Clean` and `url.EscapedPath`.

use crate::request::{RequestInfo, percent_decode};

/// Splits the raw path of a `.../proxy/...` request behind the subresource: our part without a
/// trailing slash, and the rest (empty, or beginning with a slash).
pub(crate) fn split(info: &RequestInfo) -> (&str, &str) {
    let path = info.path.as_str();
    let outside = path.len() - path.trim_start_matches('/').len();
    let inside = path[outside..].trim_end_matches('/');
    let all = inside.split('/').count();
    // `parts` begins at the resource: resource, name, subresource are ours.
    let ours = all - info.parts.len().saturating_sub(3).min(all);
    let segments = inside.split('/').take(ours);
    let length = segments.map(|s| s.len() + 1).sum::<usize>().saturating_sub(1);
    path.split_at(outside + length)
}

/// The path to ask the backend for, encoded: cleaned of `.`, `..` and doubled slashes, with the
/// trailing slash the client sent. Empty when nothing follows the subresource.
pub(crate) fn backend(rest: &str) -> String {
    if rest.is_empty() {
        return String::new();
    }
    let decoded = percent_decode(rest);
    let mut clean = clean(&decoded);
    if decoded.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    escape(&clean)
}

/// An absolute path without `.`, `..` and empty segments.
pub(super) fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = vec![];
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            s => segments.push(s),
        }
    }
    format!("/{}", segments.join("/"))
}

fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for b in path.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(b as char),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' => {
                out.push(b as char);
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_cut_behind_the_subresource_whatever_the_names_are() {
        for (path, ours, rest) in [
            (
                "/api/v1/namespaces/n/pods/p/proxy",
                "/api/v1/namespaces/n/pods/p/proxy",
                "",
            ),
            (
                "/api/v1/namespaces/n/pods/p/proxy/",
                "/api/v1/namespaces/n/pods/p/proxy",
                "/",
            ),
            (
                "/api/v1/namespaces/proxy-1/services/proxy:80/proxy/proxy/a",
                "/api/v1/namespaces/proxy-1/services/proxy:80/proxy",
                "/proxy/a",
            ),
            (
                "/api/v1/nodes/proxy/proxy/healthz",
                "/api/v1/nodes/proxy/proxy",
                "/healthz",
            ),
            ("/api/v1/nodes/n/proxy//a//b/", "/api/v1/nodes/n/proxy", "//a//b/"),
        ] {
            let info = RequestInfo::parse(&http::Method::GET, path, "");
            assert_eq!(split(&info), (ours, rest), "{path}");
        }
    }

    #[test]
    fn backend_paths_are_clean_and_keep_their_last_slash() {
        for (rest, path) in [
            ("", ""),
            ("/", "/"),
            ("//a//b/", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/../../etc", "/etc"),
            ("/a%20b%2Fc", "/a%20b/c"),
            ("/%C3%A9(1)", "/%C3%A9%281%29"),
        ] {
            assert_eq!(backend(rest), path, "{rest}");
        }
    }
}
