//! Formats of strings in schemas (apiextensions-apiserver `pkg/apiserver/validation/formats.go`).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::validation::visit;
use crate::check::text;

/// Formats of strings that are checked, without their dashes; others are ignored, and warned about.
const STRINGS: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// Formats of the schemas that nothing checks, as often as they occur (`getUnrecognizedFormatsInCRD`).
/// Schemas that all versions share are looked at once.
pub fn unrecognized_formats(obj: &CustomResourceDefinition) -> Vec<String> {
    let mut found = vec![];
    let schemas = obj.spec.versions.iter().map(|v| v.schema.as_ref());
    let mut schemas: Vec<_> = schemas.collect();
    if schemas.iter().all(|s| *s == schemas[0]) {
        schemas.truncate(1);
    }
    for schema in schemas
        .into_iter()
        .flatten()
        .filter_map(|s| s.open_api_v3_schema.as_ref())
    {
        visit(schema, &mut |s| {
            let format = text(&s.format);
            let known = match text(&s.type_) {
                "" | "string" => STRINGS.contains(&format.replace('-', "").as_str()),
                "integer" => matches!(format, "int32" | "int64"),
                "number" => matches!(format, "float" | "double"),
                _ => false,
            };
            if !format.is_empty() && !known {
                found.push(format.to_string());
            }
        });
    }
    found
}
