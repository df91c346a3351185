//! What k8s-openapi's generated sources say: JSON names, types, which fields are required.
//!
//! The sources are uniform, so names are read off the lines of the generated `Serialize` and `JsonSchema`
//! implementations; types are parsed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use syn::{GenericArgument, Item, PathArguments, Type};

use super::table::{FieldFacts, Table, TypeFacts};

/// Reads all types that are structs with named fields.
pub(super) fn read(folder: &Path) -> Result<Table> {
    let mut table = Table::default();
    for path in super::rust_files(folder)? {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let Some(definition) = text
            .strip_prefix("// Generated from definition io.k8s.")
            .and_then(|rest| rest.lines().next())
        else {
            continue;
        };
        // `io.k8s.List` is k8s-openapi's own generic.
        if definition == "List" {
            continue;
        }
        let (module, name) = definition.rsplit_once('.').unwrap_or(("", definition));
        let full = format!("{}.{name}", super::prefix(module.split('.')));
        let Some(facts) = one(&text, name).with_context(|| format!("in {}", path.display()))? else {
            continue;
        };
        table.types.insert(full, facts);
    }
    Ok(table)
}

/// The struct of a file; None for definitions that are no plain structs (`Quantity`, `WatchEvent`, ...).
fn one(text: &str, name: &str) -> Result<Option<TypeFacts>> {
    let file = syn::parse_file(text).context("parse")?;
    let wanted = name.replace('-', "_");
    let found = file.items.iter().find_map(|item| match item {
        Item::Struct(one) if one.ident == wanted && matches!(one.fields, syn::Fields::Named(_)) => Some(one),
        _ => None,
    });
    let Some(found) = found else {
        let unit = file
            .items
            .iter()
            .any(|item| matches!(item, Item::Struct(one) if one.ident == wanted && one.fields.is_empty()));
        return Ok(unit.then(TypeFacts::default));
    };
    let mut names = json_names(text);
    let mut out = TypeFacts::default();
    if names.len() == found.fields.len() + 2 && names[0] == "apiVersion" && names[1] == "kind" {
        out.type_meta = true;
        names.drain(..2);
    }
    if names.len() != found.fields.len() {
        bail!(
            "{name} has {} fields but serialises {}",
            found.fields.len(),
            names.len()
        );
    }
    let required = required(text);
    for (field, name) in found.fields.iter().zip(names) {
        let facts = FieldFacts {
            tags: "-".to_owned(),
            kind: kind(&field.ty)?,
            // metadata is listed as required, which upstream's specification does not do.
            required: required.contains(&name) && !(out.type_meta && name == "metadata"),
            ..FieldFacts::default()
        };
        out.fields.insert(name, facts);
    }
    Ok(Some(out))
}

/// The names in the order they are serialised, which is that of the struct's fields.
fn json_names(text: &str) -> Vec<String> {
    let calls = text
        .lines()
        .filter_map(|line| line.split_once("SerializeStruct::serialize_field(&mut state, \""));
    calls
        .filter_map(|(_, rest)| rest.split_once('"').map(|(name, _)| name.to_owned()))
        .collect()
}

/// The names in the outermost `required` list of the JSON schema literal.
fn required(text: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| *line != "            \"required\": [");
    lines.next();
    let inside = lines.take_while(|line| *line != "            ],");
    inside
        .map(|line| line.trim().trim_end_matches(',').trim_matches('"').to_owned())
        .collect()
}

/// A Rust type in the table's notation.
fn kind(ty: &Type) -> Result<String> {
    let Type::Path(path) = ty else {
        bail!("a type that is no path")
    };
    let segments: Vec<String> = path
        .path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    let last = path.path.segments.last().context("an empty path")?;
    let arguments = generics(&last.arguments);
    Ok(match (last.ident.to_string().as_str(), arguments.as_slice()) {
        ("Option" | "Box", [inner]) => kind(inner)?,
        ("Vec", [inner]) => match kind(inner)? {
            list if list.starts_with("[]") => bail!("a list of lists"),
            inner => format!("[]{inner}"),
        },
        ("BTreeMap", [_, inner]) => match kind(inner)?.as_str() {
            // Maps of lists are maps of a message `{items = 1}`.
            "[]str" => "{}strlist".to_owned(),
            inner => format!("{{}}{inner}"),
        },
        ("String", []) => "str".to_owned(),
        ("bool", []) => "bool".to_owned(),
        ("i32", []) => "i32".to_owned(),
        ("i64", []) => "i64".to_owned(),
        ("f64", []) => "f64".to_owned(),
        ("ByteString", []) => "bytes".to_owned(),
        ("Quantity", []) => "quantity".to_owned(),
        ("IntOrString", []) => "intstr".to_owned(),
        ("Time", []) => "time".to_owned(),
        ("MicroTime", []) => "microtime".to_owned(),
        ("RawExtension" | "FieldsV1" | "JSON", []) => "raw".to_owned(),
        ("Value", []) => "any".to_owned(),
        ("JSONSchemaPropsOrArray", []) => "orArray".to_owned(),
        ("JSONSchemaPropsOrBool", []) => "orBool".to_owned(),
        ("JSONSchemaPropsOrStringArray", []) => "orStrings".to_owned(),
        (name, []) => {
            let module = segments[..segments.len() - 1].iter().map(String::as_str);
            format!("&{}.{name}", super::prefix(module))
        }
        (name, _) => bail!("no notation for {name}<..>"),
    })
}

fn generics(arguments: &PathArguments) -> Vec<&Type> {
    let PathArguments::AngleBracketed(inside) = arguments else {
        return Vec::new();
    };
    let types = inside.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}
