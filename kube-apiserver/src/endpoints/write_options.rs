//! The query options of a write: `dryRun`, `fieldManager`, `fieldValidation`, `force`.
//!
//! Rules: upstream `apimachinery/pkg/apis/meta/v1/validation/validation.go`
//! (`ValidateCreateOptions`, `ValidateUpdateOptions`, `ValidatePatchOptions`).

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::gvk::GroupKind;
use apimachinery::status::{ApiError, Result};
use http::HeaderMap;

use super::patch;
use crate::request::Query;

/// In the order errors name them.
const VALIDATIONS: [&str; 4] = ["", "Ignore", "Strict", "Warn"];

/// Whether the write shall leave no trace; an error when an option is wrong for `verb`.
pub(super) fn dry_run(verb: &str, query: &Query, headers: &HeaderMap) -> Result<bool> {
    let patch = match verb {
        // A body that is no patch is refused first.
        "patch" => match patch::Kind::of(headers) {
            Some(kind) => Some(kind),
            None => return Ok(false),
        },
        _ => None,
    };
    let kind = match verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => return Ok(false),
    };
    let mut errors = ErrorList::new();
    let field_manager = query.get("fieldManager").unwrap_or_default();
    if patch == Some(patch::Kind::Apply) {
        if field_manager.is_empty() {
            errors.push(Error::required(
                &Path::new("fieldManager"),
                "is required for apply patch",
            ));
        }
    } else if patch.is_some() && query.get("force").is_some_and(|v| !v.is_empty()) {
        errors.push(Error::forbidden(
            &Path::new("force"),
            "may not be specified for non-apply patch",
        ));
    }
    if kind != "DeleteOptions" {
        api::meta::field_manager(&mut errors, field_manager, &Path::new("fieldManager"));
    }
    let values: Vec<&str> = query.all("dryRun").filter(|v| !v.is_empty()).collect();
    for value in values.iter().filter(|v| **v != "All") {
        errors.push(Error::not_supported(&Path::new("dryRun"), *value, &["All"]));
    }
    let validation = query.get("fieldValidation").unwrap_or_default();
    if kind != "DeleteOptions" && !VALIDATIONS.contains(&validation) {
        errors.push(Error::not_supported(
            &Path::new("fieldValidation"),
            validation,
            &VALIDATIONS,
        ));
    }
    if errors.is_empty() {
        return Ok(!values.is_empty());
    }
    Err(ApiError::invalid(&GroupKind::new("meta.k8s.io", kind), "", errors))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn checked(verb: &str, query: &str) -> Result<bool> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/merge-patch+json".parse().unwrap());
        dry_run(verb, &Query::parse(query), &headers)
    }

    #[test]
    fn an_apply_needs_a_manager_and_may_be_forced() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-type",
            "application/apply-patch+yaml; charset=utf-8".parse().unwrap(),
        );
        let checked = |query: &str| dry_run("patch", &Query::parse(query), &headers);
        assert!(!checked("fieldManager=x&force=true").unwrap());
        let why =
            r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#;
        assert_eq!(checked("force=true").unwrap_err().message, why);
    }

    #[test]
    fn wrong_options_are_named_with_the_kind_of_their_verb() {
        let cases = [
            (
                "create",
                "dryRun=x",
                r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "x": supported values: "All""#,
            ),
            (
                "update",
                "fieldValidation=x",
                r#"UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn""#,
            ),
            (
                "patch",
                "force=true",
                r#"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#,
            ),
            (
                "delete",
                "dryRun=x",
                r#"DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "x": supported values: "All""#,
            ),
            (
                "create",
                "fieldManager=a%01",
                r#"CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: "a\x01": invalid character U+0001 (at position 1)"#,
            ),
        ];
        for (verb, query, message) in cases {
            assert_eq!(checked(verb, query).unwrap_err().message, message);
        }
        let long = format!("fieldManager={}", "a".repeat(129));
        assert_eq!(
            checked("create", &long).unwrap_err().message,
            r#"CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes"#
        );
    }

    #[test]
    fn only_writes_are_dry() {
        assert!(checked("patch", "dryRun=All&fieldManager=kubectl").unwrap());
        assert!(!checked("patch", "dryRun=").unwrap());
        assert!(!checked("get", "dryRun=x").unwrap());
    }
}
