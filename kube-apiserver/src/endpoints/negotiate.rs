//! Content negotiation: which bytes the client wants to read, and which it sent.
//!
//! Rules: upstream `apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`.

use apimachinery::field::quote;
use apimachinery::status::{ApiError, Result};
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};

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

    pub(crate) fn named(media_type: &str) -> Option<Self> {
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
    /// `meta.k8s.io` PartialObjectMetadata.
    Metadata,
    /// `meta.k8s.io` PartialObjectMetadataList.
    MetadataList,
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
    /// Large bodies may be compressed.
    pub(crate) gzip: bool,
}

impl Default for Output {
    fn default() -> Self {
        Output {
            format: Format::Json,
            view: View::Object,
            view_version: "v1".into(),
            pretty: false,
            gzip: false,
        }
    }
}

/// Accepted media types, as 406 and 415 list them.
fn accepted() -> Vec<&'static str> {
    MEDIA_TYPES.iter().map(|(m, _)| *m).collect()
}

/// One alternative of an Accept header.
#[derive(Debug, Clone, PartialEq)]
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    params: Vec<(&'a str, &'a str)>,
    q: f32,
}

impl<'a> Clause<'a> {
    /// One comma-separated part; `None` for what is no media type.
    fn parse(part: &'a str) -> Option<Self> {
        let trim = |s: &'a str| s.trim_matches(' ');
        let (media, rest) = part.split_once(';').unwrap_or((part, ""));
        let (kind, subtype) = match trim(media).split_once('/') {
            None if trim(media) == "*" => ("*", "*"),
            None => return None,
            Some((_, subtype)) if subtype.is_empty() || subtype.contains('/') => return None,
            Some((kind, subtype)) => (trim(kind), trim(subtype)),
        };
        let mut clause = Clause {
            kind,
            subtype,
            params: vec![],
            q: 1.0,
        };
        for (key, value) in rest.split(';').filter_map(|p| p.split_once('=')) {
            if value.is_empty() || value.contains('=') {
                continue;
            }
            match trim(key) {
                "q" => clause.q = value.parse().unwrap_or(0.0),
                key => clause.params.push((key, trim(value))),
            }
        }
        Some(clause)
    }

    fn before(&self, other: &Self) -> bool {
        self.q > other.q || self.kind != "*" && other.kind == "*" || self.subtype != "*" && other.subtype == "*"
    }

    fn covers(&self, media_type: &str) -> bool {
        let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
        match (self.kind, self.subtype) {
            ("*", "*") => true,
            (k, "*") => k == kind,
            (k, s) => k == kind && s == subtype,
        }
    }

    fn param(&self, name: &str) -> Option<&'a str> {
        self.params.iter().rev().find(|(k, _)| *k == name).map(|(_, v)| *v)
    }

    /// The view asked for; `None` when `format` cannot be answered this way
    /// (upstream `acceptMediaTypeOptions`, `RequestScope.AllowsMediaTypeTransform`).
    fn view(&self, format: Format, views: bool) -> Option<(View, &'a str)> {
        let stream = self.param("stream").unwrap_or("watch");
        if stream != "watch" || self.param("stream").is_some() && format == Format::Yaml {
            return None;
        }
        if self.param("sv").is_some_and(|v| !views || v != "v1") {
            return None;
        }
        let (kind, group, version) = (self.param("as"), self.param("g"), self.param("v"));
        if kind.is_none() && group.is_none() && version.is_none() {
            return Some((View::Object, "v1"));
        }
        let version = version.filter(|v| views && group == Some("meta.k8s.io") && matches!(*v, "v1" | "v1beta1"))?;
        let view = match kind? {
            "Table" if format != Format::Protobuf => View::Table,
            "PartialObjectMetadata" => View::Metadata,
            "PartialObjectMetadataList" => View::MetadataList,
            _ => return None,
        };
        Some((view, version))
    }
}

/// Go sorts so many by insertion.
const SHORT: usize = 12;

/// The alternatives, the best first: upstream's order, which is no strict one, so it takes upstream's
/// algorithm (`munnerz/goautoneg`, Go's insertion sort for short slices).
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut all: Vec<Clause<'_>> = accept
        .split(',')
        .filter_map(|p| Clause::parse(p.trim_matches(' ')))
        .collect();
    if all.len() > SHORT {
        // Nobody means this many; no header shall cost quadratic time.
        all.sort_by(|a, b| b.q.total_cmp(&a.q).then((a.kind == "*").cmp(&(b.kind == "*"))));
        return all;
    }
    for i in 1..all.len() {
        let mut j = i;
        while j > 0 && all[j].before(&all[j - 1]) {
            all.swap(j, j - 1);
            j -= 1;
        }
    }
    all
}

/// Chooses the output of a request. `views`: Table and metadata may be asked for.
pub(crate) fn output(headers: &HeaderMap, query: &Query, views: bool) -> Result<Output> {
    let out = choose(headers, query, views).ok_or_else(|| ApiError::not_acceptable(&accepted()))?;
    let include = query.get("includeObject").unwrap_or_default();
    if out.view == View::Table && !matches!(include, "" | "None" | "Metadata" | "Object") {
        return Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
            quote(include)
        )));
    }
    Ok(out)
}

fn choose(headers: &HeaderMap, query: &Query, views: bool) -> Option<Output> {
    // As upstream, only the first header counts.
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let out = Output {
        pretty: pretty(headers, query),
        gzip: takes_gzip(headers),
        ..Default::default()
    };
    if accept.is_empty() {
        return Some(out);
    }
    clauses(accept).iter().find_map(|clause| {
        let covered = MEDIA_TYPES.iter().filter(|(media, _)| clause.covers(media));
        covered.into_iter().find_map(|(_, format)| {
            let (view, version) = clause.view(*format, views)?;
            Some(Output {
                format: *format,
                view,
                view_version: version.to_owned(),
                pretty: out.pretty || clause.param("pretty") == Some("1"),
                gzip: out.gzip,
            })
        })
    })
}

/// How to write an error; `None` when nothing acceptable is left.
pub(crate) fn error_output(headers: &HeaderMap, query: &Query) -> Option<Output> {
    choose(headers, query, false)
}

/// Whether the client reads gzip (upstream `negotiateContentEncoding`: the bare token).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    accept.split(',').any(|token| token.trim() == "gzip")
}

/// People at a terminal get indented JSON (upstream `isPrettyPrint`).
fn pretty(headers: &HeaderMap, query: &Query) -> bool {
    if let Some(text) = query.get("pretty").filter(|t| !t.is_empty()) {
        // Go's `strconv.ParseBool`.
        return matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True");
    }
    let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0")
}

/// The encoding of the request's body; none named means JSON.
pub(crate) fn input(headers: &HeaderMap) -> Result<Format> {
    let text = content_type(headers).to_ascii_lowercase();
    if text.is_empty() {
        return Ok(Format::Json);
    }
    Format::named(&text).ok_or_else(|| ApiError::unsupported_media_type(&accepted()))
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
    fn the_best_clause_that_can_be_met_wins() {
        use Format::{Json, Protobuf, Yaml};
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let cases = [
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                (Json, View::Table),
            ),
            ("application/vnd.kubernetes.protobuf, */*", (Protobuf, View::Object)),
            (partial, (Protobuf, View::MetadataList)),
            (
                "application/json;as=Nothing;v=v1;g=meta.k8s.io, application/yaml;q=0.5",
                (Yaml, View::Object),
            ),
            ("application/yaml;q=0.2, application/json;q=0.1", (Yaml, View::Object)),
            // What is named goes before what is not, whatever the weights.
            ("*/*, application/yaml;q=0.1", (Yaml, View::Object)),
            ("text/html, */*;q=0.8", (Json, View::Object)),
            ("*", (Json, View::Object)),
            ("application/cbor, application/json", (Json, View::Object)),
            ("*/*;as=Table;g=meta.k8s.io;v=v1", (Json, View::Table)),
            ("application/json;stream=watch", (Json, View::Object)),
        ];
        for (accept, want) in cases {
            let out = negotiate(accept).unwrap();
            assert_eq!((out.format, out.view), want, "{accept}");
        }
        for accept in [
            "application/cbor",
            "application/yaml;stream=watch",
            "application/json;stream=other",
            "application/json;as=Table;g=meta.k8s.io",
            "application/json;v=v1",
            "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1",
        ] {
            assert_eq!(negotiate(accept).unwrap_err().code, 406, "{accept}");
        }
    }

    #[test]
    fn gzip_is_one_of_the_encodings_named() {
        let mut h = HeaderMap::new();
        for (text, yes) in [
            ("gzip", true),
            ("br, gzip", true),
            ("gzip;q=1.0", false),
            ("identity", false),
        ] {
            h.insert(ACCEPT_ENCODING, text.parse().unwrap());
            assert_eq!(output(&h, &Query::default(), true).unwrap().gzip, yes, "{text}");
        }
    }

    #[test]
    fn tables_refuse_unknown_objects_in_rows() {
        let mut h = HeaderMap::new();
        h.insert(ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap());
        let e = output(&h, &Query::parse("includeObject=x"), true).unwrap_err();
        assert_eq!(
            e.message,
            "Unable to convert to Table as requested: includeObject: Invalid value: \"x\": must be 'Metadata', 'Object', 'None', or empty"
        );
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
    fn errors_need_a_plain_clause() {
        let mut h = HeaderMap::new();
        h.insert(ACCEPT, "text/html".parse().unwrap());
        assert_eq!(error_output(&h, &Query::default()), None);
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        h.insert(ACCEPT, table.parse().unwrap());
        assert_eq!(error_output(&h, &Query::default()), None);
        h.insert(ACCEPT, format!("{table},application/json").parse().unwrap());
        h.insert(USER_AGENT, "curl/8.0".parse().unwrap());
        let out = error_output(&h, &Query::default()).unwrap();
        assert_eq!((out.view, out.pretty), (View::Object, true));
        // The query's word counts for errors too.
        let out = error_output(&h, &Query::parse("pretty=false")).unwrap();
        assert!(!out.pretty);
        h.remove(USER_AGENT);
        assert!(error_output(&h, &Query::parse("pretty=true")).unwrap().pretty);
    }
}
