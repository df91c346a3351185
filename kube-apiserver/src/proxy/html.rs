//! Rewrites the URL attributes of an HTML stream, leaving every other byte as it is.
//!
//! Which attributes hold URLs: upstream `apimachinery/pkg/util/proxy/transport.go`. Tags are found as
//! browsers find them: not in comments, and not in the text of scripts and the like.

use std::ops::Range;

use super::rewrite::Rewrite;

/// Tags and their attributes that hold a URL.
const URLS: [(&str, &[&str]); 25] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// Elements whose content is text, with the end that closes them.
const RAW: [(&str, &[u8]); 10] = [
    ("iframe", b"</iframe"),
    ("noembed", b"</noembed"),
    ("noframes", b"</noframes"),
    ("noscript", b"</noscript"),
    ("plaintext", b"</plaintext"),
    ("script", b"</script"),
    ("style", b"</style"),
    ("textarea", b"</textarea"),
    ("title", b"</title"),
    ("xmp", b"</xmp"),
];

/// A tag longer than this is not one.
const MAX_TAG: usize = 64 * 1024;

/// The rewriter of one page.
pub(super) struct Html {
    rewrite: Rewrite,
    /// What could not be decided yet.
    held: Vec<u8>,
    /// Text goes on until this.
    until: Option<&'static [u8]>,
}

/// What stands at a `<`.
enum Found {
    Tag(Tag),
    Comment,
    Text,
    Incomplete,
}

struct Tag {
    name: String,
    /// Lower-case names and where the values are.
    attributes: Vec<(String, Range<usize>)>,
    end: usize,
}

impl Html {
    pub(super) fn new(rewrite: Rewrite) -> Self {
        Html {
            rewrite,
            held: vec![],
            until: None,
        }
    }

    /// Takes a piece of the page and writes what is settled.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(chunk);
        let bytes = std::mem::take(&mut self.held);
        let mut rest = &bytes[..];
        loop {
            if let Some(end) = self.until {
                let Some(at) = find(rest, end) else {
                    // The end may have begun.
                    let keep = rest.len().min(end.len() - 1);
                    out.extend_from_slice(&rest[..rest.len() - keep]);
                    rest = &rest[rest.len() - keep..];
                    break;
                };
                out.extend_from_slice(&rest[..at]);
                rest = &rest[at..];
                self.until = None;
            }
            let Some(at) = rest.iter().position(|b| *b == b'<') else {
                out.extend_from_slice(rest);
                rest = &[];
                break;
            };
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            match look(rest) {
                Found::Incomplete if rest.len() < MAX_TAG => break,
                Found::Incomplete | Found::Text => {
                    out.push(b'<');
                    rest = &rest[1..];
                }
                Found::Comment => {
                    out.extend_from_slice(&rest[..4]);
                    rest = &rest[4..];
                    self.until = Some(b"-->");
                }
                Found::Tag(tag) => {
                    self.tag(&tag, &rest[..tag.end], out);
                    rest = &rest[tag.end..];
                    self.until = RAW.iter().find(|(n, _)| *n == tag.name).map(|(_, end)| *end);
                }
            }
        }
        self.held = rest.to_vec();
    }

    /// The page has ended: whatever was held is text.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    fn tag(&self, tag: &Tag, bytes: &[u8], out: &mut Vec<u8>) {
        let urls = URLS.iter().find(|(n, _)| *n == tag.name).map_or(&[][..], |(_, a)| *a);
        let mut done = 0;
        for (_, range) in tag.attributes.iter().filter(|(n, _)| urls.contains(&n.as_str())) {
            let new = std::str::from_utf8(&bytes[range.clone()])
                .ok()
                .and_then(|url| self.rewrite.url(url.trim()));
            if let Some(new) = new {
                out.extend_from_slice(&bytes[done..range.start]);
                out.extend_from_slice(new.as_bytes());
                done = range.end;
            }
        }
        out.extend_from_slice(&bytes[done..]);
    }
}

/// Position of `end`, whatever the case.
fn find(bytes: &[u8], end: &[u8]) -> Option<usize> {
    bytes.windows(end.len()).position(|w| w.eq_ignore_ascii_case(end))
}

/// What begins at the `<` that `bytes` begin with.
fn look(bytes: &[u8]) -> Found {
    match bytes.get(1) {
        None => Found::Incomplete,
        Some(b) if b.is_ascii_alphabetic() => tag(bytes).map_or(Found::Incomplete, Found::Tag),
        Some(b'!') if bytes.starts_with(b"<!--") => Found::Comment,
        Some(b'!') if b"<!--".starts_with(bytes) => Found::Incomplete,
        Some(_) => Found::Text,
    }
}

/// Parses a start tag; none when it is not complete.
fn tag(bytes: &[u8]) -> Option<Tag> {
    let blank = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
    let lower = |b: &[u8]| String::from_utf8_lossy(b).to_ascii_lowercase();
    let mut i = 1;
    let run = |i: &mut usize, more: &dyn Fn(u8) -> bool| -> Option<Range<usize>> {
        let start = *i;
        while more(*bytes.get(*i)?) {
            *i += 1;
        }
        Some(start..*i)
    };
    let name = run(&mut i, &|b| !blank(b) && !matches!(b, b'/' | b'>'))?;
    let mut attributes = vec![];
    loop {
        run(&mut i, &|b| blank(b) || b == b'/')?;
        if bytes[i] == b'>' {
            let name = lower(&bytes[name]);
            return Some(Tag {
                name,
                attributes,
                end: i + 1,
            });
        }
        let start = i;
        i += 1;
        run(&mut i, &|b| !blank(b) && !matches!(b, b'/' | b'>' | b'='))?;
        let key = lower(&bytes[start..i]);
        run(&mut i, &blank)?;
        if bytes[i] != b'=' {
            continue;
        }
        i += 1;
        run(&mut i, &blank)?;
        let value = match bytes[i] {
            quote @ (b'"' | b'\'') => {
                i += 1;
                let value = run(&mut i, &|b| b != quote)?;
                i += 1;
                value
            }
            _ => run(&mut i, &|b| !blank(b) && b != b'>')?,
        };
        attributes.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(page: &str, chunk: usize) -> String {
        let mut html = Html::new(Rewrite {
            prefix: "/p".into(),
            backend: "b:80".into(),
            host: "h".into(),
        });
        let mut out = vec![];
        for piece in page.as_bytes().chunks(chunk) {
            html.push(piece, &mut out);
        }
        html.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn links_are_rewritten_wherever_the_page_is_cut() {
        for (page, want) in [
            (r#"<a href="/x">y</a>"#, r#"<a href="/p/x">y</a>"#),
            ("<A  HREF = '/x' >y", "<A  HREF = '/p/x' >y"),
            ("<img src=/i.png alt=a>", "<img src=/p/i.png alt=a>"),
            (r#"<img alt="a > b" src="/i">"#, r#"<img alt="a > b" src="/p/i">"#),
            (r#"<link href="/c"/><br/>"#, r#"<link href="/p/c"/><br/>"#),
            (r#"<a href="rel">"#, r#"<a href="rel">"#),
            (r#"<a title="/x">"#, r#"<a title="/x">"#),
            (r#"<p href="/x">"#, r#"<p href="/x">"#),
            (
                r#"<!-- <a href="/x"> --><a href="/y">"#,
                r#"<!-- <a href="/x"> --><a href="/p/y">"#,
            ),
            (
                r#"<script src="/s">if (a<b) "<a href='/x'>"</SCRIPT><a href='/z'>"#,
                r#"<script src="/p/s">if (a<b) "<a href='/x'>"</SCRIPT><a href='/p/z'>"#,
            ),
            ("a < b <", "a < b <"),
            (r#"<a href="/x"#, r#"<a href="/x"#),
            (
                "<!DOCTYPE html><html><body>é</body></html>",
                "<!DOCTYPE html><html><body>é</body></html>",
            ),
        ] {
            for chunk in [1, 2, 7, 1000] {
                assert_eq!(rewritten(page, chunk), want, "in pieces of {chunk}");
            }
        }
    }
}
