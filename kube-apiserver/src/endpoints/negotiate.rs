//! Content negotiation: which bytes the client wants to read, and which it sent.
//!
//! Rules: upstream `apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`.

use apimachinery::status::{ApiError, Result};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};

use crate::request::Query;

/// An encoding of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// Media types of [`Format`], in the order errors name them.
const MEDIA_TYPES: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("application/yaml", Format::Yaml),
    ("application/vnd.kubernetes.protobuf", Format::Protobuf),
];

impl Format {
    /// The Content-Type of a single answer.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
            Format::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    fn named(media_type: &str) -> Option<Self> {
        MEDIA_TYPES.iter().find(|(m, _)| *m == media_type).map(|(_, f)| *f)
    }
}

/// What the client wants instead of the object itself (`as=` in Accept).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum View {
    /// The object.
    #[default]
    Object,
    /// `meta.k8s.io` Table.
    Table,
    /// `meta.k8s.io` PartialObjectMetadata, or the List of it.
    Metadata,
}

/// The negotiated answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Encoding.
    pub(crate) format: Format,
    /// Object or a view of it.
    pub(crate) view: View,
    /// `v1` or `v1beta1` of the view's kind.
    pub(crate) view_version: String,
    /// Indented JSON for people.
    pub(crate) pretty: bool,
}

impl Default for Output {
    fn default() -> Self {
        Output {
            format: Format::Json,
            view: View::Object,
            view_version: "v1".into(),
            pretty: false,
        }
    }
}

/// Accepted media types, as 406 and 415 list them.
fn accepted() -> Vec<&'static str> {
    MEDIA_TYPES.iter().map(|(m, _)| *m).collect()
}

struct Clause<'a> {
    media: &'a str,
    params: Vec<(&'a str, &'a str)>,
    q: f32,
}

fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut all: Vec<Clause<'_>> = accept
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let media = pieces.next().filter(|m| !m.is_empty())?;
            let params: Vec<_> = pieces.filter_map(|p| p.split_once('=')).collect();
            let q = params
                .iter()
                .find(|(k, _)| *k == "q")
                .and_then(|(_, v)| v.parse().ok())
                .unwrap_or(1.0);
            Some(Clause { media, params, q })
        })
        .collect();
    // Stable: among equals the client's order decides.
    all.sort_by(|a, b| b.q.total_cmp(&a.q));
    all
}

/// Chooses the output of a request. `views`: Table and metadata may be asked for.
pub(crate) fn output(headers: &HeaderMap, query: &Query, views: bool) -> Result<Output> {
    let accept = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let mut out = Output {
        pretty: pretty(headers, query),
        ..Default::default()
    };
    if accept.trim().is_empty() {
        return Ok(out);
    }
    for clause in clauses(&accept) {
        let format = match clause.media {
            "*/*" | "application/*" => Some(Format::Json),
            media => Format::named(media),
        };
        let Some(format) = format else { continue };
        let param = |name: &str| clause.params.iter().find(|(k, _)| *k == name).map(|(_, v)| *v);
        let view = match (param("as"), param("g")) {
            (None, _) => View::Object,
            (Some("Table"), Some("meta.k8s.io")) if views => View::Table,
            (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io")) if views => {
                View::Metadata
            }
            // Discovery's and other unknown views: this clause cannot be met here.
            _ => continue,
        };
        let version = param("v").unwrap_or("v1");
        if view != View::Object && !matches!(version, "v1" | "v1beta1") {
            continue;
        }
        if view == View::Table && format == Format::Protobuf {
            continue;
        }
        out.format = format;
        out.view = view;
        out.view_version = version.to_owned();
        if param("pretty") == Some("1") {
            out.pretty = true;
        }
        return Ok(out);
    }
    Err(ApiError::not_acceptable(&accepted()))
}

/// How to write an error, which must always find a way.
pub(crate) fn error_output(headers: &HeaderMap) -> Output {
    let found = output(headers, &Query::default(), true).unwrap_or_else(|_| Output {
        pretty: pretty(headers, &Query::default()),
        ..Output::default()
    });
    Output {
        view: View::Object,
        ..found
    }
}

/// People at a terminal get indented JSON (upstream `isPrettyPrint`).
fn pretty(headers: &HeaderMap, query: &Query) -> bool {
    if query.get("pretty").is_some() {
        return query.flag("pretty");
    }
    let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0")
}

/// The encoding of the request's body; none named means JSON.
pub(crate) fn input(headers: &HeaderMap) -> Result<Format> {
    let text = content_type(headers);
    if text.is_empty() {
        return Ok(Format::Json);
    }
    Format::named(text).ok_or_else(|| ApiError::unsupported_media_type(&accepted()))
}

/// The Content-Type without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    text.split(';').next().unwrap_or("").trim()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Result<Output> {
        let mut h = HeaderMap::new();
        h.insert(ACCEPT, accept.parse().unwrap());
        output(&h, &Query::default(), true)
    }

    #[test]
    fn the_first_clause_that_can_be_met_wins() {
        let o = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").unwrap();
        assert_eq!((o.format, o.view), (Format::Json, View::Table));
        let o = negotiate("application/vnd.kubernetes.protobuf, */*").unwrap();
        assert_eq!(o.format, Format::Protobuf);
        let o =
            negotiate("application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").unwrap();
        assert_eq!((o.format, o.view), (Format::Protobuf, View::Metadata));
        let o = negotiate("application/json;as=Nothing;v=v1;g=meta.k8s.io, application/yaml;q=0.5").unwrap();
        assert_eq!(o.format, Format::Yaml);
    }

    #[test]
    fn nothing_acceptable_is_406() {
        let e = negotiate("text/html").unwrap_err();
        assert_eq!(e.code, 406);
        assert!(e.message.contains("application/json"), "{}", e.message);
    }

    #[test]
    fn unknown_bodies_are_415() {
        let mut h = HeaderMap::new();
        assert_eq!(input(&h).unwrap(), Format::Json);
        h.insert(CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        assert_eq!(input(&h).unwrap(), Format::Json);
        h.insert(CONTENT_TYPE, "text/plain".parse().unwrap());
        assert_eq!(input(&h).unwrap_err().code, 415);
    }

    #[test]
    fn errors_are_indented_for_people_too() {
        let mut h = HeaderMap::new();
        h.insert(ACCEPT, "text/html".parse().unwrap());
        assert!(!error_output(&h).pretty);
        h.insert(USER_AGENT, "curl/8.0".parse().unwrap());
        assert!(error_output(&h).pretty);
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        h.insert(ACCEPT, table.parse().unwrap());
        assert_eq!(error_output(&h).view, View::Object);
    }
}
