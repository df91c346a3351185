#![allow(clippy::unwrap_used)]

use prost::encoding::decode_varint;
use serde_json::json;

use super::*;

/// The bytes of the one field reached by `tags`, each an occurrence of a tag in the message before.
fn dig<'a>(mut bytes: &'a [u8], tags: &[(u32, usize)]) -> Option<&'a [u8]> {
    for (tag, nth) in tags {
        bytes = fields(bytes).into_iter().filter(|(t, _)| t == tag).nth(*nth)?.1;
    }
    Some(bytes)
}

/// Number and bytes of each field; numbers as they stand on the wire.
fn fields(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let mut out = vec![];
    while !bytes.is_empty() {
        let key = decode_varint(&mut bytes).unwrap();
        let before = bytes;
        let length = match key & 7 {
            0 => {
                decode_varint(&mut bytes).unwrap();
                before.len() - bytes.len()
            }
            1 => 8,
            2 => decode_varint(&mut bytes).unwrap() as usize,
            other => panic!("wire type {other}"),
        };
        let start = if key & 7 == 2 { bytes } else { before };
        out.push(((key >> 3) as u32, &start[..length]));
        bytes = &start[length..];
    }
    out
}

fn text<'a>(bytes: &'a [u8], tags: &[(u32, usize)]) -> Option<&'a str> {
    dig(bytes, tags).map(|b| std::str::from_utf8(b).unwrap())
}

#[test]
fn definitions_of_v2_keep_what_explains_and_patches_them() {
    let bytes = v2::encode(
        &json!({"swagger": "2.0", "info": {"title": "t", "version": "v"}, "definitions": {"a.B": {
            "type": "object", "description": "about", "required": ["c"],
            "properties": {"c": {"type": "array", "items": {"$ref": "#/definitions/a.C"},
                "x-kubernetes-patch-merge-key": "name", "description": "field"}},
            "additionalProperties": {"type": "string"},
        }}}),
    );
    assert_eq!(text(&bytes, &[(2, 0), (2, 0)]), Some("v"));
    assert_eq!(text(&bytes, &[(9, 0), (1, 0), (1, 0)]), Some("a.B"));
    let schema = dig(&bytes, &[(9, 0), (1, 0), (2, 0)]).unwrap();
    assert_eq!(text(schema, &[(4, 0)]), Some("about"));
    assert_eq!(text(schema, &[(22, 0), (1, 0)]), Some("object"));
    assert_eq!(text(schema, &[(21, 0), (1, 0), (22, 0), (1, 0)]), Some("string"));
    let field = dig(schema, &[(25, 0), (1, 0), (2, 0)]).unwrap();
    assert_eq!(text(field, &[(4, 0)]), Some("field"));
    assert_eq!(text(field, &[(23, 0), (1, 0), (1, 0)]), Some("#/definitions/a.C"));
    assert_eq!(text(field, &[(31, 0), (1, 0)]), Some("x-kubernetes-patch-merge-key"));
    assert_eq!(text(field, &[(31, 0), (2, 0), (2, 0)]), Some("name\n"));
}

#[test]
fn paths_of_v2_have_operations_parameters_and_responses() {
    let bytes = v2::encode(&json!({"paths": {"/p/": {
        "get": {"operationId": "read", "produces": ["application/json"],
            "parameters": [{"in": "body", "name": "body", "required": true, "schema": {"$ref": "#/definitions/a.B"}}],
            "responses": {"200": {"description": "OK", "schema": {"type": "string"}}}},
        "parameters": [{"$ref": "#/parameters/pretty"}, {"in": "path", "name": "n", "type": "string", "required": true},
            {"in": "query", "name": "q", "type": "boolean", "uniqueItems": true}]}},
        "security": [{"BearerToken": []}],
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}}}));
    let item = dig(&bytes, &[(8, 0), (2, 0), (2, 0)]).unwrap();
    let get = dig(item, &[(2, 0)]).unwrap();
    assert_eq!(text(get, &[(5, 0)]), Some("read"));
    assert_eq!(text(get, &[(6, 0)]), Some("application/json"));
    // ParametersItem > Parameter > BodyParameter > Schema.
    assert_eq!(
        text(get, &[(8, 0), (1, 0), (1, 0), (5, 0), (1, 0)]),
        Some("#/definitions/a.B")
    );
    assert_eq!(text(get, &[(9, 0), (1, 0), (1, 0)]), Some("200"));
    let answer = [(9, 0), (1, 0), (2, 0), (1, 0), (2, 0), (1, 0), (22, 0), (1, 0)];
    assert_eq!(text(get, &answer), Some("string"));
    assert_eq!(text(item, &[(9, 0), (2, 0), (1, 0)]), Some("#/parameters/pretty"));
    assert_eq!(text(item, &[(9, 1), (1, 0), (2, 0), (4, 0), (4, 0)]), Some("n"));
    assert_eq!(text(item, &[(9, 2), (1, 0), (2, 0), (3, 0), (6, 0)]), Some("boolean"));
    assert_eq!(dig(item, &[(9, 2), (1, 0), (2, 0), (3, 0), (20, 0)]), Some(&[1][..]));
    assert_eq!(dig(&bytes, &[(12, 0), (1, 0), (2, 0)]), Some(&[][..]));
    assert_eq!(text(&bytes, &[(13, 0), (1, 0), (2, 0), (2, 0), (3, 0)]), Some("header"));
}

#[test]
fn documents_of_v3_tell_schemas_from_references_and_defaults_by_type() {
    let bytes = v3::encode(&json!({"openapi": "3.0.0", "info": {"title": "t", "version": "v"},
    "paths": {"/p": {"post": {"requestBody": {"content": {"*/*": {"schema": {"$ref": "#/a"}}}},
        "responses": {"200": {"description": "OK"}}, "x-kubernetes-action": "post"}}},
    "components": {"schemas": {"A": {"properties": {
        "n": {"default": 0}, "b": {"default": false}, "s": {"default": ""},
        "o": {"allOf": [{"$ref": "#/b"}], "default": {}}, "l": {"items": {"$ref": "#/c"}, "enum": ["X"]}}}}}}));
    assert_eq!(text(&bytes, &[(2, 0), (6, 0)]), Some("v"));
    let post = dig(&bytes, &[(4, 0), (1, 0), (2, 0), (6, 0)]).unwrap();
    let body = [(7, 0), (1, 0), (2, 0), (1, 0), (2, 0), (1, 0), (2, 0), (1, 0)];
    assert_eq!(text(post, &body), Some("#/a"));
    assert_eq!(text(post, &[(8, 0), (2, 0), (2, 0), (1, 0), (1, 0)]), Some("OK"));
    assert_eq!(text(post, &[(13, 0), (2, 0), (2, 0)]), Some("post\n"));
    // Properties of A, by name.
    let properties = dig(&bytes, &[(5, 0), (1, 0), (1, 0), (2, 0), (1, 0), (31, 0)]).unwrap();
    let of = |nth: usize, rest: &[(u32, usize)]| {
        let tags: Vec<_> = [(1, nth), (2, 0), (1, 0)]
            .into_iter()
            .chain(rest.iter().copied())
            .collect();
        dig(properties, &tags)
    };
    assert_eq!(of(0, &[(33, 0), (2, 0)]), Some(&[0][..]), "b");
    assert_eq!(of(1, &[(30, 0), (1, 0), (2, 0), (1, 0)]), Some(&b"#/c"[..]), "l");
    assert_eq!(of(1, &[(24, 0), (2, 0)]), Some(&b"X\n"[..]), "l");
    assert_eq!(of(2, &[(33, 0), (1, 0)]), Some(&[0; 8][..]), "n");
    assert_eq!(of(3, &[(26, 0), (2, 0), (1, 0)]), Some(&b"#/b"[..]), "o");
    assert_eq!(of(3, &[(33, 0)]), Some(&[][..]), "o");
    assert_eq!(of(4, &[(33, 0), (3, 0)]), Some(&[][..]), "s");
}
