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
    /// How far the tag is read that `held` begins with.
    begun: Option<Scan>,
    /// Text goes on until this.
    until: Option<&'static [u8]>,
    /// Bytes of tags that were looked at.
    #[cfg(test)]
    looked: usize,
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
            begun: None,
            until: None,
            #[cfg(test)]
            looked: 0,
        }
    }

    /// Takes a piece of the page and writes what is settled. A byte is read once, however small the pieces are.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(chunk);
        let settled = self.settle(&bytes, out);
        bytes.drain(..settled);
        self.held = bytes;
    }

    /// Writes what can be decided; how many bytes that was.
    fn settle(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut rest = bytes;
        loop {
            if let Some(end) = self.until {
                let Some(at) = find(rest, end) else {
                    // The end may have begun.
                    let keep = rest.len().min(end.len() - 1);
                    out.extend_from_slice(&rest[..rest.len() - keep]);
                    return bytes.len() - keep;
                };
                out.extend_from_slice(&rest[..at]);
                rest = &rest[at..];
                self.until = None;
            }
            let Some(at) = rest.iter().position(|b| *b == b'<') else {
                out.extend_from_slice(rest);
                return bytes.len();
            };
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            match self.look(rest) {
                Found::Incomplete if rest.len() < MAX_TAG => return bytes.len() - rest.len(),
                Found::Incomplete => {
                    // All of it is text: a tag that begins in it has no end there either.
                    out.extend_from_slice(rest);
                    self.begun = None;
                    return bytes.len();
                }
                Found::Text => {
                    out.push(b'<');
                    rest = &rest[1..];
                }
                Found::Comment => {
                    // The dashes that open a comment may close it too.
                    out.extend_from_slice(&rest[..2]);
                    rest = &rest[2..];
                    self.until = Some(b"-->");
                }
                Found::Tag(tag) => {
                    self.tag(&tag, &rest[..tag.end], out);
                    rest = &rest[tag.end..];
                    self.until = RAW.iter().find(|(n, _)| *n == tag.name).map(|(_, end)| *end);
                }
            }
        }
    }

    /// What begins at the `<` that `bytes` begin with. A tag that has begun is read on where it was left.
    fn look(&mut self, bytes: &[u8]) -> Found {
        match bytes.get(1) {
            None => Found::Incomplete,
            Some(b) if b.is_ascii_alphabetic() => {
                let mut scan = self.begun.take().unwrap_or_default();
                #[cfg(test)]
                let from = scan.at;
                let done = scan.read(bytes);
                #[cfg(test)]
                {
                    self.looked += scan.at - from;
                }
                if done {
                    return Found::Tag(scan.tag(bytes));
                }
                self.begun = Some(scan);
                Found::Incomplete
            }
            Some(b'!') if bytes.starts_with(b"<!--") => Found::Comment,
            Some(b'!') if b"<!--".starts_with(bytes) => Found::Incomplete,
            Some(_) => Found::Text,
        }
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

/// A start tag, as far as it is read.
struct Scan {
    /// The next byte.
    at: usize,
    state: State,
    /// Where the key or value began that is being read.
    start: usize,
    name: Range<usize>,
    key: Range<usize>,
    /// Keys and values.
    attributes: Vec<(Range<usize>, Range<usize>)>,
}

#[derive(Clone, Copy)]
enum State {
    Name,
    Gap,
    Key,
    AfterKey,
    BeforeValue,
    Quoted(u8),
    Bare,
}

impl Default for Scan {
    fn default() -> Self {
        Scan {
            // Behind the `<`.
            at: 1,
            state: State::Name,
            start: 1,
            name: 0..0,
            key: 0..0,
            attributes: vec![],
        }
    }
}

impl Scan {
    /// Reads on; whether the tag is complete. `at` is behind its `>` then.
    fn read(&mut self, bytes: &[u8]) -> bool {
        while let Some(&b) = bytes.get(self.at) {
            let blank = matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
            // A byte that ends one thing and begins the next is looked at again.
            let (next, read) = match self.state {
                State::Name if blank || matches!(b, b'/' | b'>') => {
                    self.name = self.start..self.at;
                    (State::Gap, false)
                }
                State::Gap if b == b'>' => {
                    self.at += 1;
                    return true;
                }
                State::Gap if blank || b == b'/' => (State::Gap, true),
                State::Gap => {
                    self.start = self.at;
                    (State::Key, true)
                }
                State::Key if blank || matches!(b, b'/' | b'>' | b'=') => {
                    self.key = self.start..self.at;
                    (State::AfterKey, false)
                }
                State::AfterKey if b == b'=' => (State::BeforeValue, true),
                State::AfterKey if !blank => (State::Gap, false),
                State::BeforeValue if matches!(b, b'"' | b'\'') => {
                    self.start = self.at + 1;
                    (State::Quoted(b), true)
                }
                State::BeforeValue if !blank => {
                    self.start = self.at;
                    (State::Bare, false)
                }
                State::Quoted(quote) if b == quote => {
                    self.attributes.push((self.key.clone(), self.start..self.at));
                    (State::Gap, true)
                }
                State::Bare if blank || b == b'>' => {
                    self.attributes.push((self.key.clone(), self.start..self.at));
                    (State::Gap, false)
                }
                same => (same, true),
            };
            self.state = next;
            self.at += usize::from(read);
        }
        false
    }

    /// The complete tag at the beginning of `bytes`.
    fn tag(self, bytes: &[u8]) -> Tag {
        let lower = |range: Range<usize>| String::from_utf8_lossy(&bytes[range]).to_ascii_lowercase();
        Tag {
            name: lower(self.name),
            attributes: self
                .attributes
                .into_iter()
                .map(|(key, value)| (lower(key), value))
                .collect(),
            end: self.at,
        }
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
            (r#"<!--><a href="/x">"#, r#"<!--><a href="/p/x">"#),
            (r#"<!---><a href="/x">-->"#, r#"<!---><a href="/p/x">-->"#),
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

    #[test]
    fn a_byte_of_a_hostile_page_is_read_once() {
        let long = "x".repeat(2 * MAX_TAG);
        for page in [
            // A tag without end, in its value, between its attributes, in its name.
            format!("<a href=\"{long}"),
            format!("<a {}", "b> =\" c=d".repeat(MAX_TAG / 4)),
            format!("<{long}"),
            // Tags in tags.
            "<a".repeat(2 * MAX_TAG),
            format!("<a '{}", "<b>".repeat(MAX_TAG)),
        ] {
            for chunk in [1, 1000] {
                let mut html = Html::new(Rewrite {
                    prefix: "/p".into(),
                    backend: "b:80".into(),
                    host: "h".into(),
                });
                let mut out = vec![];
                let mut held = 0;
                for piece in page.as_bytes().chunks(chunk) {
                    html.push(piece, &mut out);
                    held = held.max(html.held.len());
                }
                html.finish(&mut out);
                assert!(html.looked <= page.len(), "{} of {}", html.looked, page.len());
                assert!(held <= MAX_TAG + chunk);
                assert_eq!(out.len(), page.len());
            }
        }
    }
}
