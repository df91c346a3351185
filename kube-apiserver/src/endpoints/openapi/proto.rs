//! OpenAPI v2 as protobuf (gnostic's `openapi.v2.Document`): kubectl asks for this form only, to
//! validate kinds that have no PATCH (reviews) on its own side.
//!
//! Only what that needs: the definitions, with their types, descriptions, required fields and extensions. Paths are in
//! the JSON form.

use prost::Message;
use serde_json::Value;

/// What kubectl asks for.
pub(super) const ACCEPT: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What upstream answers with.
pub(super) const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

#[derive(Clone, PartialEq, Message)]
struct Document {
    #[prost(string, tag = "1")]
    swagger: String,
    #[prost(message, optional, tag = "2")]
    info: Option<Info>,
    #[prost(message, optional, tag = "8")]
    paths: Option<Empty>,
    #[prost(message, optional, tag = "9")]
    definitions: Option<NamedSchemas>,
}

#[derive(Clone, PartialEq, Message)]
struct Info {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Empty {}

/// `Definitions` and `Properties` look the same.
#[derive(Clone, PartialEq, Message)]
struct NamedSchemas {
    #[prost(message, repeated, tag = "1")]
    list: Vec<NamedSchema>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedSchema {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct Schema {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(string, tag = "2")]
    format: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(string, repeated, tag = "19")]
    required: Vec<String>,
    #[prost(message, optional, boxed, tag = "21")]
    additional_properties: Option<Box<AdditionalProperties>>,
    #[prost(message, optional, tag = "22")]
    kind: Option<TypeItem>,
    #[prost(message, optional, tag = "23")]
    items: Option<Items>,
    #[prost(message, optional, tag = "25")]
    properties: Option<NamedSchemas>,
    #[prost(message, repeated, tag = "31")]
    extensions: Vec<NamedAny>,
}

#[derive(Clone, PartialEq, Message)]
struct AdditionalProperties {
    #[prost(message, optional, boxed, tag = "1")]
    schema: Option<Box<Schema>>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeItem {
    #[prost(string, repeated, tag = "1")]
    value: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Items {
    #[prost(message, repeated, tag = "1")]
    schema: Vec<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedAny {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    /// JSON is YAML too.
    #[prost(string, tag = "2")]
    yaml: String,
}

/// Encodes a v2 document.
pub(super) fn encode(v2: &Value) -> Vec<u8> {
    let text = |p: &str| crate::objects::text(v2, p).to_owned();
    Document {
        swagger: text("/swagger"),
        info: Some(Info {
            title: text("/info/title"),
            version: text("/info/version"),
        }),
        paths: Some(Empty {}),
        definitions: named(v2.get("definitions")),
    }
    .encode_to_vec()
}

fn named(v: Option<&Value>) -> Option<NamedSchemas> {
    let list = v?
        .as_object()?
        .iter()
        .map(|(name, v)| NamedSchema {
            name: name.clone(),
            value: Some(schema(v)),
        })
        .collect();
    Some(NamedSchemas { list })
}

fn schema(v: &Value) -> Schema {
    let text = |k: &str| v[k].as_str().unwrap_or("").to_owned();
    let words = |k: &str| {
        v[k].as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    Schema {
        reference: text("$ref"),
        format: text("format"),
        description: text("description"),
        required: words("required"),
        additional_properties: v.get("additionalProperties").map(|a| {
            Box::new(AdditionalProperties {
                schema: Some(Box::new(schema(a))),
            })
        }),
        kind: v["type"].as_str().map(|t| TypeItem {
            value: vec![t.to_owned()],
        }),
        items: v.get("items").map(|i| Items {
            schema: vec![schema(i)],
        }),
        properties: named(v.get("properties")),
        extensions: v
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(k, _)| k.starts_with("x-"))
            .map(|(k, v)| NamedAny {
                name: k.clone(),
                value: Some(Any { yaml: v.to_string() }),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn definitions_keep_what_explains_and_patches_them() {
        let v2 = json!({"swagger": "2.0", "info": {"title": "t", "version": "v"}, "definitions": {"a.B": {
            "type": "object", "description": "about", "required": ["c"],
            "properties": {"c": {"type": "array", "items": {"$ref": "#/definitions/a.C"},
                "x-kubernetes-patch-merge-key": "name", "description": "field"}},
        }}});
        let bytes = encode(&v2);
        let document = Document::decode(&bytes[..]).expect("it was encoded");
        let list = document.definitions.map(|d| d.list).unwrap_or_default();
        let schema = list[0].value.as_ref().expect("a definition has a schema");
        assert_eq!((list[0].name.as_str(), schema.description.as_str()), ("a.B", "about"));
        let field = &schema.properties.as_ref().expect("it has properties").list[0];
        let field = field.value.as_ref().expect("a property has a schema");
        assert_eq!(field.description, "field");
        assert_eq!(
            field.items.as_ref().map(|i| i.schema[0].reference.as_str()),
            Some("#/definitions/a.C")
        );
        assert_eq!(field.extensions[0].name, "x-kubernetes-patch-merge-key");
        assert_eq!(
            field.extensions[0].value.as_ref().map(|a| a.yaml.as_str()),
            Some("\"name\"")
        );
    }
}
