//! Bytes of one encoding to values and back, with the strictness the client asked for.
//!
//! The schema table drives it all; kinds the table lacks (Table, PartialObjectMetadata) are JSON,
//! the latter also protobuf by hand.

mod gzip;
mod metadata;
pub(crate) mod protobuf_list;

use apimachinery::codec::{json, proto, yaml};
use apimachinery::field::{Error, Path};
use apimachinery::gvk::{GroupKind, GroupVersionKind};
use apimachinery::meta;
use apimachinery::patch;
use apimachinery::status::{ApiError, Result};
use bytes::Bytes;
use serde_json::Value;

pub(crate) use gzip::Gzip;

use super::negotiate::Format;
use super::patch::{Kind as PatchKind, Patch};
use crate::request::{Query, RequestContext};

/// `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Unknown and duplicate fields pass silently.
    Ignore,
    /// They pass with a warning each; the default.
    Warn,
    /// They are refused.
    Strict,
}

impl Strictness {
    /// Reads the query parameter, which `write_options` has checked.
    pub(crate) fn parse(query: &Query) -> Self {
        match query.get("fieldValidation") {
            Some("Ignore") => Strictness::Ignore,
            Some("Strict") => Strictness::Strict,
            _ => Strictness::Warn,
        }
    }

    /// Turns what strict decoding found into warnings or an error.
    fn settle(self, found: Vec<String>, expected: &GroupVersionKind, ctx: &RequestContext) -> Result<()> {
        match self {
            _ if found.is_empty() => Ok(()),
            Strictness::Ignore => Ok(()),
            Strictness::Warn => {
                for text in &found {
                    yaml_warnings(text).for_each(|warning| ctx.warn(warning));
                }
                Ok(())
            }
            Strictness::Strict => Err(json::cannot_be_handled(
                expected,
                &expected.kind,
                json::strict_error(&found),
            )),
        }
    }
}

/// Each line of what a YAML reader found; other findings are one (upstream `parseYAMLWarnings`).
fn yaml_warnings(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.strip_prefix("yaml: unmarshal errors:\n").unwrap_or(text);
    lines.split('\n').map(str::trim)
}

/// A kind as (group, version, kind).
type Expected = (&'static str, &'static str, &'static str);

fn gvk((group, version, kind): Expected) -> GroupVersionKind {
    GroupVersionKind::new(group, version, kind)
}

/// A value with apiVersion and kind, encoded.
pub(crate) fn encode(format: Format, pretty: bool, v: &Value) -> Result<Bytes> {
    let bytes = match format {
        Format::Json => {
            // Go's encoder ends with a newline, its indenting one does not.
            if pretty {
                serde_json::to_vec_pretty(v).map_err(ApiError::internal)?
            } else {
                let mut bytes = serde_json::to_vec(v).map_err(ApiError::internal)?;
                bytes.push(b'\n');
                bytes
            }
        }
        Format::Yaml => yaml::encode(v).map_err(ApiError::internal)?.into_bytes(),
        Format::Protobuf => match meta::kind(v) {
            "PartialObjectMetadata" | "PartialObjectMetadataList" => metadata::encode(v)?,
            _ => proto::encode_object(api::schema(), v).map_err(ApiError::internal)?,
        },
    };
    Ok(bytes.into())
}

/// One event of a watch stream, framed.
pub(crate) fn watch_frame(format: Format, kind: &str, object: &Value) -> Result<Bytes> {
    if format == Format::Protobuf {
        return Ok(protobuf_frame(kind, &encode(format, false, object)?));
    }
    let mut frame = format!("{{\"type\":\"{kind}\",\"object\":").into_bytes();
    serde_json::to_writer(&mut frame, object).map_err(ApiError::internal)?;
    frame.extend_from_slice(b"}\n");
    Ok(frame.into())
}

/// Bytes in front of an event in protobuf that say how long it is.
pub(crate) const LENGTH_PREFIX: usize = 4;

/// One event whose object is encoded already, with envelope.
pub(crate) fn protobuf_frame(kind: &str, object: &[u8]) -> Bytes {
    let event = proto::encode_watch_event(kind, object);
    let mut frame = Vec::with_capacity(event.len() + LENGTH_PREFIX);
    frame.extend_from_slice(&(event.len() as u32).to_be_bytes());
    frame.extend_from_slice(&event);
    frame.into()
}

/// A body as a value of the kind expected; a body without apiVersion and kind is taken to be of
/// that kind.
pub(crate) fn decode(
    format: Format,
    body: &[u8],
    expected: Expected,
    strictness: Strictness,
    ctx: &RequestContext,
) -> Result<Value> {
    let want = gvk(expected);
    let decoded = match format {
        Format::Json => json::decode_request(api::schema(), &want, body)?,
        Format::Yaml => {
            let (text, mut strict) = yaml::to_json(body).map_err(|e| json::unrecognized(&want, body, e))?;
            let mut decoded = json::decode_request(api::schema(), &want, &text)?;
            strict.append(&mut decoded.strict);
            decoded.strict = strict;
            decoded
        }
        Format::Protobuf => json::Decoded {
            object: decode_proto(&want, body)?,
            strict: vec![],
            empty: vec![],
        },
    };
    strictness.settle(decoded.strict, &want, ctx)?;
    *ctx.given_empty.lock() = decoded.empty;
    let mut object = decoded.object;
    if meta::api_version(&object) != want.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            meta::api_version(&object),
            want.api_version()
        )));
    }
    meta::set_gvk(&mut object, &want.api_version(), &want.kind);
    Ok(object)
}

/// Upstream `protobuf.Serializer.Decode`.
fn decode_proto(want: &GroupVersionKind, body: &[u8]) -> Result<Value> {
    let unrecognized = |why: &dyn std::fmt::Display| json::unrecognized(want, body, why);
    match body.strip_prefix(proto::MAGIC.as_slice()) {
        None if body.is_empty() => return Err(unrecognized(&"empty data")),
        Some([]) => return Err(unrecognized(&"empty body")),
        _ => {}
    }
    let unknown = proto::unwrap(body).map_err(|e| unrecognized(&e))?;
    let schema = api::schema();
    let (actual, ty) = json::resolve(schema, want, body, unknown.api_version, unknown.kind)?;
    let mut object =
        proto::decode(schema, ty, unknown.raw).map_err(|e| json::cannot_be_handled(&actual, &want.kind, e))?;
    meta::set_gvk(&mut object, &actual.api_version(), &actual.kind);
    Ok(object)
}

/// An options body (`DeleteOptions`), which clients send in any group's version.
pub(crate) fn decode_options(format: Format, body: &[u8], kind: &str) -> Result<Value> {
    let schema = api::schema();
    let ty = schema
        .id(&format!("meta.v1.{kind}"))
        .ok_or_else(|| ApiError::internal(format!("no {kind} in the table")))?;
    match format {
        Format::Protobuf => {
            let unknown = proto::unwrap(body).map_err(|e| ApiError::bad_request(e.to_string()))?;
            proto::decode(schema, ty, unknown.raw).map_err(|e| ApiError::bad_request(e.to_string()))
        }
        _ => {
            let decoded = match format {
                Format::Yaml => yaml::decode(schema, ty, body),
                _ => json::decode(schema, ty, body),
            };
            let object = decoded
                .map(|d| d.object)
                .map_err(|e| ApiError::bad_request(e.to_string()))?;
            // Another object must not pass for options that name nothing.
            match meta::kind(&object) {
                "" => Ok(object),
                own if own == kind => Ok(object),
                _ => Err(ApiError::bad_request(format!(
                    "decoded object cannot be converted to {kind}"
                ))),
            }
        }
    }
}

/// A patch's body: any JSON, and what only strictness minds of it.
pub(super) fn decode_patch(kind: PatchKind, body: &[u8]) -> Result<(Value, Vec<String>)> {
    let decoded = json::parse(body).map_err(|e| {
        let prefix = if kind == PatchKind::Strategic {
            ""
        } else {
            "error decoding patch: "
        };
        ApiError::bad_request(format!("{prefix}{e}"))
    })?;
    let mut strict = decoded.strict;
    if kind == PatchKind::Json {
        strict.extend(patch::json::unknown_fields(&decoded.object));
        strict.iter_mut().for_each(|why| why.insert_str(0, "json patch "));
    }
    Ok((decoded.object, strict))
}

/// Applies a patch to an object of a kind.
pub(crate) fn apply_patch(kind: PatchKind, object: &Value, body: &Value, expected: Expected) -> Result<Value> {
    let mut target = object.clone();
    let done = match kind {
        PatchKind::Json => patch::json::Patch::from_value(body).and_then(|p| {
            let schema = api::schema();
            if let Some(ty) = schema.kind(&gvk(expected)) {
                p.write_structs(schema, ty, &mut target);
            }
            p.apply(&mut target)
        }),
        // Merged by its owners already (`registry::field_manager`).
        PatchKind::Apply => Ok(()),
        PatchKind::Merge => patch::merge::apply_map(&mut target, body),
        PatchKind::Strategic => {
            let schema = api::schema();
            let ty = schema.kind(&gvk(expected)).ok_or_else(|| {
                ApiError::unsupported_media_type(&["application/json-patch+json", "application/merge-patch+json"])
            })?;
            patch::strategic::apply(schema, ty, &mut target, body)
        }
    };
    done.map_err(|e| e.to_api_error())?;
    Ok(target)
}

/// Decodes the result of a patch as its kind again: unknown fields by strictness, wrong types are an error
/// (upstream `handlers/patch.go`).
pub(super) fn check_patched(patched: Value, sent: &Patch, expected: Expected, ctx: &RequestContext) -> Result<Value> {
    let want = gvk(expected);
    let schema = api::schema();
    let Some(ty) = schema.kind(&want) else {
        return Ok(patched);
    };
    let refused = |why: String| {
        let text = match sent.kind {
            PatchKind::Strategic => patch::go_text(&sent.body),
            _ => patched.to_string(),
        };
        let e = Error::invalid(&Path::new("patch"), text.as_str(), why);
        ApiError::invalid(&GroupKind::new("", ""), "", vec![e])
    };
    let (api_version, kind) = (meta::api_version(&patched), meta::kind(&patched));
    if api_version != want.api_version() || kind != want.kind {
        return Err(refused(format!(
            "converting ({}.{kind}) to ({}.{}): unknown conversion",
            api_version.rsplit('/').next().unwrap_or_default(),
            apimachinery::schema::group_prefix(&want.group),
            want.kind
        )));
    }
    let decoded = json::conform(schema, ty, &patched).map_err(|e| refused(e.to_string()))?;
    let strict = [sent.strict.as_slice(), &decoded.strict].concat();
    if sent.strictness == Strictness::Strict && !strict.is_empty() {
        return Err(refused(json::strict_error(&strict)));
    }
    let mut object = decoded.object;
    meta::set_gvk(&mut object, &want.api_version(), &want.kind);
    sent.strictness.settle(strict, &want, ctx)?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const CONFIG_MAP: Expected = ("", "v1", "ConfigMap");

    fn sent(kind: PatchKind, body: &Value, strictness: Strictness) -> Result<Value> {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let patch = Patch::new(kind, body.to_string().as_bytes(), strictness)?;
        let patched = apply_patch(kind, &object, &patch.body, CONFIG_MAP)?;
        check_patched(patched, &patch, CONFIG_MAP, &RequestContext::internal())
    }

    fn patched(change: Value, strictness: Strictness) -> ApiError {
        sent(PatchKind::Merge, &change, strictness).unwrap_err()
    }

    #[test]
    fn a_strategic_patch_with_a_wrong_result_is_shown_as_go_prints_it() {
        let e = sent(PatchKind::Strategic, &json!({"data": {"a": 1}}), Strictness::Warn).unwrap_err();
        let start = " \"\" is invalid: patch: Invalid value: \"map[data:map[a:1]]\": ";
        assert!(e.message.starts_with(start), "{}", e.message);
    }

    #[test]
    fn strictness_minds_the_patch_itself() {
        let refused = |kind, body: &str, strictness| {
            let object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "x"}});
            let patch = Patch::new(kind, body.as_bytes(), strictness)?;
            let patched = apply_patch(kind, &object, &patch.body, CONFIG_MAP)?;
            let ctx = RequestContext::internal();
            check_patched(patched, &patch, CONFIG_MAP, &ctx).map(|_| ctx.warnings.lock().clone())
        };
        for (kind, body, why) in [
            (
                PatchKind::Json,
                r#"[{"op": "remove", "path": "/data/a", "froM": "/b"}]"#,
                "json patch unknown field \"[0].froM\"",
            ),
            (
                PatchKind::Merge,
                r#"{"data": {"b": "1", "b": "2"}}"#,
                "duplicate field \"data.b\"",
            ),
            (
                PatchKind::Strategic,
                r#"{"data": {"b": "1", "b": "2"}}"#,
                "duplicate field \"data.b\"",
            ),
        ] {
            let e = refused(kind, body, Strictness::Strict).unwrap_err();
            assert!(
                e.message.ends_with(&format!("strict decoding error: {why}")),
                "{}",
                e.message
            );
            assert_eq!(refused(kind, body, Strictness::Warn).unwrap(), [why]);
            assert!(refused(kind, body, Strictness::Ignore).unwrap().is_empty());
        }
        let e = refused(PatchKind::Json, "[", Strictness::Warn).unwrap_err();
        assert!(e.message.starts_with("error decoding patch: "), "{}", e.message);
    }

    #[test]
    fn a_patch_with_a_wrong_result_is_refused_namelessly() {
        let e = patched(json!({"data": {"a": 1}}), Strictness::Warn);
        let start = " \"\" is invalid: patch: Invalid value: \"{";
        assert!(e.message.starts_with(start), "{}", e.message);
        assert!(e.message.ends_with("of type string"), "{}", e.message);
        let e = patched(json!({"x": 1}), Strictness::Strict);
        let why = "strict decoding error: unknown field \"x\"";
        assert!(e.message.ends_with(why), "{}", e.message);
        let e = patched(json!({"kind": "Secret"}), Strictness::Warn);
        let why = "converting (v1.Secret) to (core.ConfigMap): unknown conversion";
        assert!(e.message.ends_with(why), "{}", e.message);
    }

    #[test]
    fn a_body_in_protobuf_is_refused_in_upstreams_words() {
        let ctx = RequestContext::internal();
        let refusal = |body: &[u8]| {
            decode(Format::Protobuf, body, CONFIG_MAP, Strictness::Warn, &ctx)
                .unwrap_err()
                .message
        };
        let start = "the object provided is unrecognized (must be of type ConfigMap): ";
        assert_eq!(refusal(b""), format!("{start}empty data (<empty>)"));
        assert_eq!(refusal(b"k8s\0"), format!("{start}empty body (6b387300)"));
        assert_eq!(
            refusal(b"{}"),
            format!(
                "{start}provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({{}})"
            )
        );
        assert_eq!(
            refusal(&proto::wrap("v1", "Secret", &[])),
            "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion"
        );
        assert_eq!(
            refusal(&proto::wrap("v1", "ConfigMap", &[0x0a, 0x7f])),
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: unexpected EOF"
        );
    }

    #[test]
    fn duplicate_keys_in_yaml_are_warned_of_line_by_line() {
        let ctx = RequestContext::internal();
        let body = b"data:\n  a: b\n  a: c\nx: 1\n";
        decode(Format::Yaml, body, CONFIG_MAP, Strictness::Warn, &ctx).unwrap();
        let warnings = ctx.warnings.lock().clone();
        assert_eq!(
            warnings,
            ["line 3: key \"a\" already set in map", "unknown field \"x\""]
        );
        let e = decode(Format::Yaml, body, CONFIG_MAP, Strictness::Strict, &ctx).unwrap_err();
        assert_eq!(
            e.message,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 3: key \"a\" already set in map, unknown field \"x\""
        );
    }

    #[test]
    fn another_object_is_no_delete_options() {
        let decode = |body: &[u8]| decode_options(Format::Json, body, "DeleteOptions");
        assert!(decode(br#"{"gracePeriodSeconds": 1}"#).is_ok());
        assert!(decode(br#"{"kind": "DeleteOptions", "apiVersion": "v1"}"#).is_ok());
        assert_eq!(decode(br#"{"kind": "Pod", "apiVersion": "v1"}"#).unwrap_err().code, 400);
    }

    #[test]
    fn a_body_that_is_no_yaml_is_unrecognized() {
        let ctx = RequestContext::internal();
        let e = decode(Format::Yaml, b"a: b: c", CONFIG_MAP, Strictness::Warn, &ctx).unwrap_err();
        let start = "the object provided is unrecognized (must be of type ConfigMap): error converting YAML to JSON";
        assert!(e.message.starts_with(start), "{}", e.message);
        assert!(e.message.ends_with("(613a20623a2063)"), "{}", e.message);
    }
}
