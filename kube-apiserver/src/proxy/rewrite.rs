//! What a browser needs to go on through the proxy: redirects and links of a page lead back here.
//!
//! Upstream: `apimachinery/pkg/util/proxy/transport.go`. Pages are rewritten as they stream by.

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateDecoder, DeflateEncoder, GzDecoder, GzEncoder};
use futures::StreamExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{HeaderMap, Response};
use std::io::{self, Write as _};

use super::html::Html;
use super::paths;

/// How URLs of one proxied request map to our own.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    /// Our path up to and with the subresource, without trailing slash.
    pub(crate) prefix: String,
    /// `host:port` of the backend.
    pub(crate) backend: String,
    /// The `Host` the client sent.
    pub(crate) host: String,
}

impl Rewrite {
    /// A URL that leads through the proxy; none when it can stay as it is: relative ones, and those
    /// of other hosts.
    pub(crate) fn url(&self, url: &str) -> Option<String> {
        let (origin, host, rest) = parse(url)?;
        let elsewhere = !host.is_empty() && host != self.backend && host != self.host;
        if elsewhere || !rest.starts_with('/') {
            return None;
        }
        let keep = !host.is_empty() && host == self.host;
        let origin = if keep { origin } else { "" };
        let cut = rest.find(['?', '#']).unwrap_or(rest.len());
        let (path, tail) = rest.split_at(cut);
        let path = if path.starts_with(&self.prefix) {
            path.to_owned()
        } else {
            let slash = if path.ends_with('/') { "/" } else { "" };
            format!("{}{slash}", paths::clean(&format!("{}/{path}", self.prefix)))
        };
        let new = format!("{origin}{path}{tail}");
        (new != url).then_some(new)
    }

    /// `X-Forwarded-Uri` of a request for `path` of the backend.
    pub(super) fn forwarded_uri(&self, path: &str) -> String {
        let slash = if path.ends_with('/') { "/" } else { "" };
        format!("{}{slash}", paths::clean(&format!("{}/{path}", self.prefix)))
    }

    /// Makes an answer fit: its `Location`, or the links of its HTML.
    pub(super) fn answer(self, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        if let Some(location) = parts.headers.get(LOCATION) {
            let new = location.to_str().ok().and_then(|l| self.url(l));
            if let Some(value) = new.and_then(|l| HeaderValue::from_str(&l).ok()) {
                parts.headers.insert(LOCATION, value);
            }
            return Response::from_parts(parts, body);
        }
        let Some(coding) = html_coding(&parts.headers) else {
            return Response::from_parts(parts, body);
        };
        parts.headers.remove(CONTENT_LENGTH);
        Response::from_parts(parts, filtered(body, Page::new(self, coding)))
    }
}

/// Scheme with host (`http://a:1`, may be empty), host with port, and the rest.
fn parse(url: &str) -> Option<(&str, &str, &str)> {
    let scheme = url
        .find(':')
        .filter(|i| {
            let name = &url[..*i];
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        })
        .map_or(0, |i| i + 1);
    let Some(after) = url[scheme..].strip_prefix("//") else {
        // `mailto:x` has no path; `http:/a` is as good as `/a`.
        return Some((&url[..scheme], "", &url[scheme..]));
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let host = after[..end].rsplit('@').next().unwrap_or_default();
    Some((&url[..scheme + 2 + end], host, &after[end..]))
}

/// Encodings of a page that can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
}

/// The encoding of an HTML answer; none when it is not HTML or cannot be read.
fn html_coding(headers: &HeaderMap) -> Option<Coding> {
    let content = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    if content.split(';').next().map(str::trim) != Some("text/html") {
        return None;
    }
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"") => Some(Coding::Identity),
        Some(b"gzip") => Some(Coding::Gzip),
        Some(b"deflate") => Some(Coding::Deflate),
        Some(_) => None,
    }
}

/// Decoding, rewriting and encoding of one page, chunk by chunk.
struct Page {
    html: Html,
    unpack: Unpack,
    pack: Pack,
}

enum Unpack {
    Identity,
    Gzip(Box<GzDecoder<Vec<u8>>>),
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
}

enum Pack {
    Identity,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Deflate(Box<DeflateEncoder<Vec<u8>>>),
}

impl Page {
    fn new(rewrite: Rewrite, coding: Coding) -> Self {
        let (unpack, pack) = match coding {
            Coding::Identity => (Unpack::Identity, Pack::Identity),
            Coding::Gzip => (
                Unpack::Gzip(Box::new(GzDecoder::new(vec![]))),
                Pack::Gzip(Box::new(GzEncoder::new(vec![], Compression::default()))),
            ),
            Coding::Deflate => (
                Unpack::Deflate(Box::new(DeflateDecoder::new(vec![]))),
                Pack::Deflate(Box::new(DeflateEncoder::new(vec![], Compression::best()))),
            ),
        };
        Page {
            html: Html::new(rewrite),
            unpack,
            pack,
        }
    }

    fn push(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        let plain = match &mut self.unpack {
            Unpack::Identity => chunk.to_vec(),
            Unpack::Gzip(d) => {
                d.write_all(chunk)?;
                std::mem::take(d.get_mut())
            }
            Unpack::Deflate(d) => {
                d.write_all(chunk)?;
                std::mem::take(d.get_mut())
            }
        };
        let mut out = vec![];
        self.html.push(&plain, &mut out);
        self.packed(out, false)
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        let rest = match &mut self.unpack {
            Unpack::Identity => vec![],
            Unpack::Gzip(d) => {
                d.try_finish()?;
                std::mem::take(d.get_mut())
            }
            Unpack::Deflate(d) => {
                d.try_finish()?;
                std::mem::take(d.get_mut())
            }
        };
        let mut out = vec![];
        self.html.push(&rest, &mut out);
        self.html.finish(&mut out);
        self.packed(out, true)
    }

    fn packed(&mut self, plain: Vec<u8>, last: bool) -> io::Result<Vec<u8>> {
        match &mut self.pack {
            Pack::Identity => Ok(plain),
            Pack::Gzip(e) => {
                e.write_all(&plain)?;
                if last {
                    e.try_finish()?;
                }
                Ok(std::mem::take(e.get_mut()))
            }
            Pack::Deflate(e) => {
                e.write_all(&plain)?;
                if last {
                    e.try_finish()?;
                }
                Ok(std::mem::take(e.get_mut()))
            }
        }
    }
}

fn filtered(body: Body, page: Page) -> Body {
    let stream = futures::stream::unfold(Some((body.into_data_stream(), page)), |state| async move {
        let (mut chunks, mut page) = state?;
        loop {
            let (out, done) = match chunks.next().await {
                Some(Ok(chunk)) => (page.push(&chunk).map_err(axum::Error::new), false),
                Some(Err(error)) => (Err(error), true),
                None => (page.finish().map_err(axum::Error::new), true),
            };
            match out {
                Ok(bytes) if bytes.is_empty() && !done => {}
                Ok(bytes) => return Some((Ok(Bytes::from(bytes)), (!done).then_some((chunks, page)))),
                Err(error) => return Some((Err(error), None)),
            }
        }
    });
    Body::from_stream(stream)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn rewrite() -> Rewrite {
        Rewrite {
            prefix: "/api/v1/namespaces/n/services/s/proxy".into(),
            backend: "10.1.0.5:80".into(),
            host: "localhost:8001".into(),
        }
    }

    #[test]
    fn urls_of_the_backend_lead_through_the_proxy() {
        let p = "/api/v1/namespaces/n/services/s/proxy";
        for (url, want) in [
            ("/a/b?q=1#f", Some(format!("{p}/a/b?q=1#f"))),
            ("/a/", Some(format!("{p}/a/"))),
            ("/", Some(format!("{p}/"))),
            ("http://10.1.0.5:80/a", Some(format!("{p}/a"))),
            // The client's own name for us stays.
            ("http://localhost:8001/a", Some(format!("http://localhost:8001{p}/a"))),
            ("//10.1.0.5:80/a", Some(format!("{p}/a"))),
            ("http://example.com/a", None),
            ("a/b", None),
            ("?x", None),
            ("#top", None),
            ("mailto:a@b", None),
            ("javascript:void(0)", None),
            ("", None),
            // There already.
            ("/api/v1/namespaces/n/services/s/proxy/x", None),
        ] {
            assert_eq!(rewrite().url(url), want, "{url}");
        }
    }

    #[test]
    fn a_compressed_page_is_rewritten_and_compressed_again() {
        let mut gz = GzEncoder::new(vec![], Compression::default());
        gz.write_all(b"<a href='/x'>y</a>").unwrap();
        let bytes = gz.finish().unwrap();
        let mut page = Page::new(rewrite(), Coding::Gzip);
        let mut out = vec![];
        for chunk in bytes.chunks(5) {
            out.extend(page.push(chunk).unwrap());
        }
        out.extend(page.finish().unwrap());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&out[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "<a href='/api/v1/namespaces/n/services/s/proxy/x'>y</a>");
    }
}
