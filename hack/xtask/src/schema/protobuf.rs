//! What k8s-pb's generated sources say: protobuf tags, and upstream's markers in the comments.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use syn::{Attribute, Expr, Item, Lit, Meta, Type};

use super::table::{FieldFacts, Table, TypeFacts};

/// All messages by the table's type name in lower case.
pub(super) type Messages = BTreeMap<String, Message>;

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message {
    atomic: bool,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    /// See [`super::normal`].
    name: String,
    tag: u32,
    /// The message type of a field that is neither a list nor a map.
    message: Option<String>,
    markers: Markers,
}

/// `+key=value` lines of a comment, in order.
#[derive(Debug, Default)]
struct Markers(Vec<(String, String)>);

/// Versions whose messages stand in for one that k8s-pb lacks, nearest first.
const SIBLINGS: [&str; 5] = ["v1", "v1beta2", "v1beta1", "v1alpha3", "v1alpha1"];

/// Reads all messages.
pub(super) fn read(folder: &Path) -> Result<Messages> {
    let mut out = Messages::new();
    for path in super::rust_files(folder)? {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if !text.contains("::prost::Message") {
            continue;
        }
        let file = syn::parse_file(&text).with_context(|| format!("parse {}", path.display()))?;
        let module = path
            .parent()
            .and_then(|parent| parent.strip_prefix(folder).ok())
            .unwrap_or(Path::new(""));
        let module: Vec<String> = module.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let prefix = super::prefix(module.iter().map(String::as_str));
        for item in &file.items {
            if let Item::Struct(one) = item {
                let fields = one
                    .fields
                    .iter()
                    .filter_map(|field| self::field(field, &module))
                    .collect();
                let atomic = Markers::read(&one.attrs).get("structType") == Some("atomic");
                out.insert(key(&format!("{prefix}.{}", one.ident)), Message { atomic, fields });
            }
        }
    }
    Ok(out)
}

/// Adds tags and markers to the table's fields.
pub(super) fn join(table: &mut Table, messages: &Messages) {
    for (name, facts) in &mut table.types {
        if let Some(message) = find(messages, name) {
            facts.atomic = message.atomic;
            walk(facts, message, messages, "", 0);
        }
    }
}

/// prost spells `HPAScalingPolicy` as `HpaScalingPolicy`: names are compared without case.
fn key(name: &str) -> String {
    name.to_lowercase()
}

fn find<'a>(messages: &'a Messages, name: &str) -> Option<&'a Message> {
    messages.get(&key(name)).or_else(|| {
        let mut parts = name.splitn(3, '.');
        let (group, version, kind) = (parts.next()?, parts.next()?, parts.next()?);
        let others = SIBLINGS.iter().filter(|other| **other != version);
        others
            .into_iter()
            .find_map(|other| messages.get(&key(&format!("{group}.{other}.{kind}"))))
    })
}

/// Matches a message's fields by name; a message-typed field without a JSON name is inlined in JSON.
fn walk(facts: &mut TypeFacts, message: &Message, messages: &Messages, path: &str, depth: usize) {
    for field in &message.fields {
        let target = facts
            .fields
            .iter_mut()
            .find(|(name, _)| super::normal(name) == field.name);
        if let Some((_, target)) = target {
            if target.tags == "-" {
                target.tags = format!("{path}{}", field.tag);
                field.markers.apply(target, field.message.as_deref());
            }
            continue;
        }
        let inner = field.message.as_ref().and_then(|name| messages.get(&key(name)));
        if let Some(inner) = inner.filter(|_| depth < 2) {
            walk(facts, inner, messages, &format!("{path}{}.", field.tag), depth + 1);
        }
    }
}

fn field(field: &syn::Field, module: &[String]) -> Option<Field> {
    let name = super::normal(&field.ident.as_ref()?.to_string());
    let attribute = field
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("prost"))?;
    let Meta::List(list) = &attribute.meta else { return None };
    let text = list.tokens.to_string();
    let tag = text.split("tag = \"").nth(1)?.split('"').next()?.parse().ok()?;
    let single = text.starts_with("message") && !text.contains("repeated");
    let message = if single { message_type(&field.ty, module) } else { None };
    Some(Field {
        name,
        tag,
        message,
        markers: Markers::read(&field.attrs),
    })
}

/// The message's name in the table, from a type such as `Option<super::super::meta::v1::Time>` seen from `module`.
fn message_type(ty: &Type, module: &[String]) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if let syn::PathArguments::AngleBracketed(inside) = &last.arguments {
        return inside.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::Type(inner) => message_type(inner, module),
            _ => None,
        });
    }
    let mut resolved: Vec<String> = module.to_vec();
    for segment in path.path.segments.iter().take(path.path.segments.len() - 1) {
        if segment.ident == "super" {
            resolved.pop();
        } else {
            resolved.push(segment.ident.to_string());
        }
    }
    Some(format!(
        "{}.{}",
        super::prefix(resolved.iter().map(String::as_str)),
        last.ident
    ))
}

// === impl Markers ===

impl Markers {
    fn read(attributes: &[Attribute]) -> Self {
        let lines = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc"))
            .filter_map(|attribute| {
                let Meta::NameValue(pair) = &attribute.meta else {
                    return None;
                };
                let Expr::Lit(literal) = &pair.value else { return None };
                let Lit::Str(text) = &literal.lit else { return None };
                Some(text.value())
            });
        let markers = lines.filter_map(|line| {
            let marker = line.trim().strip_prefix('+')?.to_owned();
            let (key, value) = marker.split_once('=').unwrap_or((&marker, ""));
            Some((key.to_owned(), value.trim().to_owned()))
        });
        Self(markers.collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    fn all(&self, key: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn apply(&self, field: &mut FieldFacts, message: Option<&str>) {
        match self.get("listType") {
            Some("set") => field.list_type = Some("set".to_owned()),
            Some("map") => field.list_type = Some(format!("map={}", self.all("listMapKey").join(","))),
            _ => {}
        }
        field.map_type = self.get("mapType").map(str::to_owned);
        let key = self.get("patchMergeKey");
        field.patch = self.get("patchStrategy").map(|strategy| match key {
            Some(key) => format!("{strategy}:{key}"),
            None => strategy.to_owned(),
        });
        // `ref(X)` names a Go constant: the overlay spells it out.
        field.default = self
            .get("default")
            .filter(|value| !value.starts_with("ref("))
            .map(str::to_owned);
        // Names of references default to the empty text; the specification does not require them.
        if self.get("optional").is_some() && field.default.is_some() {
            field.required = false;
        }
        if field.kind == "[]str" && message.is_some() {
            field.kind = "strlist".to_owned();
        }
    }
}
