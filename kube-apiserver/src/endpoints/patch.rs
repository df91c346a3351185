//! PATCH: JSON patch, merge patch, strategic merge patch, server-side apply.

use apimachinery::codec::yaml;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use axum::body::Body;
use http::{HeaderMap, Response};
use serde_json::Value;

use super::{Call, codec, negotiate, settle, update};
use crate::registry::{convert, field_manager};

/// Patch media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, driven by the schema table.
    Strategic,
    /// A configuration to apply.
    Apply,
}

/// In the order errors name them (upstream `installer.go`).
const MEDIA_TYPES: [(&str, Kind); 4] = [
    ("application/json-patch+json", Kind::Json),
    ("application/merge-patch+json", Kind::Merge),
    ("application/strategic-merge-patch+json", Kind::Strategic),
    ("application/apply-patch+yaml", Kind::Apply),
];

impl Kind {
    /// The kind of patch a request carries.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = negotiate::content_type(headers);
        MEDIA_TYPES.iter().find(|(m, _)| *m == content_type).map(|(_, k)| *k)
    }
}

/// A patch read from a request.
pub(super) struct Patch {
    pub(super) kind: Kind,
    pub(super) body: Value,
    pub(super) strictness: codec::Strictness,
    /// What strict decoding of the patch itself objects to, one line each.
    pub(super) strict: Vec<String>,
    force: bool,
}

impl Patch {
    /// Reads the patch; 415 for other media types.
    pub(super) async fn read(call: &Call) -> Result<Self> {
        let Some(kind) = Kind::of(&call.head.headers) else {
            return Err(ApiError::unsupported_media_type(&MEDIA_TYPES.map(|(m, _)| m)));
        };
        let mut patch = Patch::new(kind, &call.body().await?, codec::Strictness::parse(&call.query))?;
        patch.force = call.query.flag("force");
        Ok(patch)
    }

    /// Reads the body of a patch.
    pub(super) fn new(kind: Kind, bytes: &[u8], strictness: codec::Strictness) -> Result<Self> {
        let (body, strict) = match kind {
            Kind::Apply => configuration(bytes)?,
            _ => codec::decode_patch(kind, bytes)?,
        };
        Ok(Patch {
            kind,
            body,
            strictness,
            strict,
            force: false,
        })
    }

    /// Whether this is an apply, which creates what is not there and records its owners itself.
    pub(super) fn is_apply(&self) -> bool {
        self.kind == Kind::Apply
    }

    /// Applies it to an object in a served version (null: there is none), and checks the result's fields.
    pub(super) fn apply(&self, call: &Call, object: &Value) -> Result<Value> {
        if self.kind == Kind::Apply {
            let applied = call.writer().apply(object, &self.body, self.force)?;
            self.check_duplicates(call)?;
            return Ok(applied);
        }
        let expected = call.expected();
        let patched = codec::apply_patch(self.kind, object, &self.body, expected)?;
        let no_owners = field_manager::says_no_owners(&patched);
        let mut object = codec::check_patched(patched, self, expected, &call.ctx)?;
        if no_owners {
            field_manager::set_no_owners(&mut object);
        }
        Ok(object)
    }

    fn check_duplicates(&self, call: &Call) -> Result<()> {
        match self.strictness {
            _ if self.strict.is_empty() => {}
            codec::Strictness::Ignore => {}
            codec::Strictness::Warn => self.strict.iter().for_each(|line| call.ctx.warn(line.trim())),
            codec::Strictness::Strict => {
                return Err(ApiError::bad_request(format!(
                    "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n{}",
                    self.strict.join("\n")
                )));
            }
        }
        Ok(())
    }
}

/// The configuration of an apply, with its duplicate keys as upstream's YAML reader names them.
fn configuration(bytes: &[u8]) -> Result<(Value, Vec<String>)> {
    let undecodable = |why: &dyn std::fmt::Display| ApiError::bad_request(format!("error decoding YAML: {why}"));
    let (tree, strict) = yaml::parse(&String::from_utf8_lossy(bytes)).map_err(|e| undecodable(&e))?;
    let kind = match &tree {
        Value::Object(_) => "",
        Value::Null => return Ok((Value::Object(Default::default()), vec![])),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
    };
    if !kind.is_empty() {
        let text = format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        );
        return Err(undecodable(&text));
    }
    let lines = strict.iter().flat_map(|text| text.lines().skip(1)).map(str::to_owned);
    Ok((tree, lines.collect()))
}

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = call.output()?;
    let patch = Patch::read(&call).await?;
    let store = call.store()?.clone();
    let name = call.ctx.info.name.clone();
    let this = &call;
    let creates = patch.is_apply() && call.sub.is_none();
    let writer = call.writer();
    let change = move |old: &Value| {
        if old.is_null() && !creates {
            return Err(ApiError::not_found(store.group_resource(), &name));
        }
        let new = if convert::is_hub(this.row) || old.is_null() {
            patch.apply(this, old)?
        } else {
            patch.apply(this, &convert::from_hub(this.row, old))?
        };
        if old.is_null() && !meta::uid(&new).is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                meta::uid(&new)
            );
            return Err(ApiError::conflict(store.group_resource(), &name, why));
        }
        update::check_name(&new, &name)?;
        let mut new = settle(&store, this.row, new);
        if !patch.is_apply() {
            writer.track(old, &mut new);
        }
        Ok(new)
    };
    update::replace(this, &out, &change, creates).await
}
