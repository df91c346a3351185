//! The outer form of PEM texts (Go's `encoding/pem`).

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// One block: its type and whether it has headers.
struct Block<'a> {
    type_: &'a str,
    headers: bool,
    rest: &'a str,
}

/// The first whole block of a text.
fn block(text: &str) -> Option<Block<'_>> {
    let mut rest = text;
    loop {
        let at = rest.find(BEGIN)?;
        let body = &rest[at + BEGIN.len()..];
        let (type_, after) = body.split_once(DASHES)?;
        let end = format!("-----END {type_}-----");
        let at_line_start = at == 0 || rest[..at].ends_with('\n');
        if let Some((content, rest)) = after.split_once(end.as_str())
            && at_line_start
        {
            return Some(Block {
                type_,
                headers: content.contains(':'),
                rest,
            });
        }
        rest = body;
    }
}

/// Whether a text's first block is a request (`certificates.ParseCSR`).
pub(super) fn starts_with_request(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    block(&text).is_some_and(|b| b.type_ == "CERTIFICATE REQUEST")
}

/// What is wrong with an issued certificate (`validateCertificate`); nothing is fine.
pub(super) fn certificate_error(data: &[u8]) -> Option<String> {
    if data.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(data);
    let (mut rest, mut count) = (text.as_ref(), 0);
    while let Some(found) = block(rest) {
        if found.type_ != "CERTIFICATE" {
            return Some(format!(
                "only CERTIFICATE PEM blocks are allowed, found {:?}",
                found.type_
            ));
        }
        if found.headers {
            return Some("no PEM block headers are permitted".to_string());
        }
        count += 1;
        rest = found.rest;
    }
    (count == 0).then(|| "must contain at least one CERTIFICATE PEM block".to_string())
}
