use serde_json::{Value, json};

use super::super::*;
use crate::apiextensions::v1::defaults::custom_resource_definition as default;
use crate::cases::{Case, creates};

/// Cases about one schema; paths of errors are below `spec.validation.openAPIV3Schema`.
fn check(cases: &[(&str, Value, &[&str])]) {
    for (name, schema, want) in cases {
        let base = json!({"metadata": {"name": "things.example.com"}, "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        }});
        let want: Vec<String> = want
            .iter()
            .map(|e| {
                let dot = if e.starts_with(['.', ':']) { "" } else { "." };
                format!("spec.validation.openAPIV3Schema{dot}{e}")
            })
            .collect();
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        let case: Case<'_> = (name, json!({}), &want);
        creates(&base, default, custom_resource_definition_create, &[case]);
    }
}

/// A schema with one property `a`.
fn with(property: Value) -> Value {
    json!({"type": "object", "properties": {"a": property}})
}

#[test]
fn schemas_are_structural() {
    let meta = |properties: Value| json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": properties}}});
    check(&[
        ("an object", json!({"type": "object"}), &[]),
        (
            "no type",
            json!({}),
            &["type: Required value: must not be empty at the root"],
        ),
        (
            "a list",
            json!({"type": "array", "items": {"type": "string"}}),
            &["type: Invalid value: \"array\": must be object at the root"],
        ),
        (
            "a property without a type",
            with(json!({})),
            &["properties[a].type: Required value: must not be empty for specified object fields"],
        ),
        (
            "items without a type",
            with(json!({"type": "array", "items": {}})),
            &["properties[a].items.type: Required value: must not be empty for specified array items"],
        ),
        (
            "a list of nothing",
            with(json!({"type": "array"})),
            &["properties[a].items: Required value: must be specified"],
        ),
        (
            "a map at the root",
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            &["additionalProperties: Forbidden: must not be used at the root"],
        ),
        (
            "unknown fields kept",
            with(json!({"x-kubernetes-preserve-unknown-fields": true})),
            &[],
        ),
        (
            "a number or text",
            with(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]})),
            &[],
        ),
        (
            "types under a junctor",
            with(json!({"type": "string", "anyOf": [{"type": "string", "description": "d", "nullable": true}]})),
            &[
                "properties[a].anyOf[0].description: Forbidden: must be empty to be structural",
                "properties[a].anyOf[0].nullable: Forbidden: must be false to be structural",
                "properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
            ],
        ),
        (
            "a type in `not` of the root",
            json!({"type": "object", "not": {"type": "string", "default": 1}}),
            &[
                "not.default: Forbidden: must be undefined to be structural",
                "not.type: Forbidden: must be empty to be structural",
            ],
        ),
        (
            "a junctor on a property that is not there",
            json!({"type": "object", "anyOf": [{"properties": {"a": {"minimum": 1}}}]}),
            &[
                "properties[a]: Required value: because it is defined in spec.validation.openAPIV3Schema.anyOf[0].properties[a]",
            ],
        ),
        (
            "metadata under a junctor",
            json!({"type": "object", "properties": {"metadata": {"type": "object"}}, "oneOf": [{"properties": {"metadata": {"minimum": 1}}}]}),
            &["oneOf[0].properties[metadata]: Forbidden: must not be specified in a nested context"],
        ),
        (
            "names restricted",
            meta(json!({"name": {"type": "string", "maxLength": 3}})),
            &[],
        ),
        (
            "labels restricted",
            meta(json!({"labels": {"type": "object"}})),
            &[
                "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ],
        ),
        (
            "a kind that is a number",
            json!({"type": "object", "properties": {"kind": {"type": "integer"}}}),
            &["properties[kind].type: Invalid value: \"integer\": must be string"],
        ),
        (
            "an embedded text",
            with(json!({"type": "string", "x-kubernetes-embedded-resource": true})),
            &[
                "properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
                "properties[a].type: Invalid value: \"string\": must be object if x-kubernetes-embedded-resource is true",
            ],
        ),
        (
            "a number or text of unknown fields",
            with(json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true})),
            &[
                "properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true",
            ],
        ),
    ]);
}

#[test]
fn fields_of_other_dialects_are_refused() {
    check(&[
        (
            "an unknown type",
            with(json!({"type": "struct"})),
            &[
                "properties[a].type: Unsupported value: \"struct\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
            ],
        ),
        (
            "null as a type",
            with(json!({"type": "null"})),
            &[
                "properties[a].type: Unsupported value: \"null\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
                "properties[a].type: Forbidden: type cannot be set to null, use nullable as an alternative",
            ],
        ),
        (
            "references and the like",
            with(
                json!({"type": "object", "id": "x", "$ref": "#/y", "definitions": {"d": {"type": "string"}}, "patternProperties": {"p": {"type": "string"}}, "dependencies": {"q": ["r"]}, "additionalItems": true}),
            ),
            &[
                "properties[a].id: Forbidden: id is not supported",
                "properties[a].additionalItems: Forbidden: additionalItems is not supported",
                "properties[a].patternProperties: Forbidden: patternProperties is not supported",
                "properties[a].definitions: Forbidden: definitions is not supported",
                "properties[a].dependencies: Forbidden: dependencies is not supported",
                "properties[a].$ref: Forbidden: $ref is not supported",
            ],
        ),
        (
            "`$schema`, which only the structural form refuses",
            with(json!({"type": "object", "$schema": "x"})),
            &[": Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"],
        ),
        (
            "items by position",
            with(json!({"type": "array", "items": [{"type": "string"}]})),
            &["properties[a].items: Forbidden: items must be a schema object and not an array"],
        ),
        (
            "unique items",
            with(json!({"type": "array", "uniqueItems": true, "items": {"type": "string"}})),
            &[
                "properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ],
        ),
        (
            "properties and others",
            with(
                json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            ),
            &[
                "properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
            ],
        ),
        (
            "a nullable root",
            json!({"type": "object", "nullable": true}),
            &[".nullable: Forbidden: nullable cannot be true at the root"],
        ),
        (
            "a default of the kind",
            json!({"type": "object", "properties": {"kind": {"type": "string", "default": "x"}}}),
            &["properties[kind].default: Forbidden: must not be set in top-level kind"],
        ),
        (
            "unknown fields not kept",
            with(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": false})),
            &["properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
        ),
    ]);
}

#[test]
fn lists_and_maps_are_described_whole() {
    let items =
        json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "o": {"type": "object"}}});
    check(&[
        (
            "a list of maps",
            with(
                json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}),
            ),
            &[],
        ),
        (
            "keys of a plain list",
            with(json!({"type": "array", "items": items, "x-kubernetes-list-map-keys": ["k"]})),
            &[
                "properties[a].x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty",
            ],
        ),
        (
            "keys of a set",
            with(
                json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "x-kubernetes-list-map-keys": ["k"]}),
            ),
            &[
                "properties[a].x-kubernetes-list-type: Invalid value: \"set\": must be map if x-kubernetes-list-map-keys is non-empty",
            ],
        ),
        (
            "a list of maps without keys",
            with(json!({"type": "array", "items": items, "x-kubernetes-list-type": "map"})),
            &[
                "properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
            ],
        ),
        (
            "keys that are none",
            with(
                json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "k", "x"]}),
            ),
            &[
                "properties[a].x-kubernetes-list-map-keys: Invalid value: [\"k\",\"k\",\"x\"]: must not contain duplicate entries",
                "properties[a].x-kubernetes-list-map-keys: Invalid value: [\"k\",\"k\",\"x\"]: entries must all be names of item properties",
            ],
        ),
        (
            "a key that is an object and may be missing",
            with(
                json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["o"]}),
            ),
            &[
                "properties[a].items.properties[o].type: Invalid value: \"object\": must be a scalar type if parent array's x-kubernetes-list-type is map",
                "properties[a].items.properties[o].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            ],
        ),
        (
            "a map of texts",
            with(
                json!({"type": "array", "items": {"type": "string", "nullable": true}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}),
            ),
            &[
                "properties[a].items.type: Invalid value: \"string\": must be object if parent array's x-kubernetes-list-type is map",
                "properties[a].items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is map",
            ],
        ),
        (
            "a set of objects",
            with(json!({"type": "array", "items": items, "x-kubernetes-list-type": "set"})),
            &[
                "properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
            ],
        ),
        (
            "an unknown list type",
            with(json!({"type": "array", "items": items, "x-kubernetes-list-type": "bag"})),
            &[
                "properties[a].x-kubernetes-list-type: Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\"",
            ],
        ),
        (
            "an unknown map type of a text",
            with(json!({"type": "string", "x-kubernetes-map-type": "loose"})),
            &[
                "properties[a].type: Invalid value: \"string\": must be object if x-kubernetes-map-type is specified",
                "properties[a].x-kubernetes-map-type: Unsupported value: \"loose\": supported values: \"atomic\", \"granular\"",
            ],
        ),
        (
            "a list type of a text",
            with(json!({"type": "string", "x-kubernetes-list-type": "set"})),
            &["properties[a].type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified"],
        ),
    ]);
}

#[test]
fn rules_have_expressions_messages_and_paths() {
    let rules = |rule: Value| json!({"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [rule]});
    check(&[
        (
            "a rule",
            rules(json!({"rule": "true", "message": "m", "fieldPath": ".a", "reason": "FieldValueInvalid"})),
            &[],
        ),
        (
            "no rule",
            rules(json!({"rule": " "})),
            &["x-kubernetes-validations[0].rule: Required value: rule is not specified"],
        ),
        (
            "an empty message",
            rules(json!({"rule": "true", "message": " "})),
            &["x-kubernetes-validations[0].message: Invalid value: \" \": must be non-empty if specified"],
        ),
        (
            "a message of two lines",
            rules(json!({"rule": "true", "message": "a\nb"})),
            &["x-kubernetes-validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks"],
        ),
        (
            "a rule of two lines",
            rules(json!({"rule": "true\n&& true", "messageExpression": " "})),
            &[
                "x-kubernetes-validations[0].message: Required value: message must be specified if rule contains line breaks",
                "x-kubernetes-validations[0].messageExpression: Required value: messageExpression must be non-empty if specified",
            ],
        ),
        (
            "an unknown reason, a path to nowhere",
            rules(json!({"rule": "true", "reason": "Because", "fieldPath": ".b"})),
            &[
                "x-kubernetes-validations[0].reason: Unsupported value: \"Because\": supported values: \"FieldValueDuplicate\", \"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\"",
                "x-kubernetes-validations[0].fieldPath: Invalid value: \".b\": must be a valid path",
            ],
        ),
    ]);
}
