//! `--authorization-config`: the chain of authorizers from a file.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/validation` `ValidateAuthorizationConfiguration`.

use std::path::Path;

use apimachinery::field::{self, Error, ErrorList};
use apimachinery::validation::is_dns1123_subdomain;
use serde::Deserialize;
use serde_json::Value;

use crate::config_file;

const KIND: &str = "AuthorizationConfiguration";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    #[serde(default)]
    authorizers: Vec<Authorizer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorizer {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    webhook: Option<Value>,
}

/// The modes that a file names, in order. The errors are upstream's.
pub(crate) fn modes(path: &Path) -> Result<Vec<String>, Vec<String>> {
    let configuration = config_file::read(path, KIND)
        .map_err(|why| vec![format!("failed to load AuthorizationConfiguration from file: {why}")])?;
    of(configuration)
}

fn of(configuration: Configuration) -> Result<Vec<String>, Vec<String>> {
    let errors = validate(&configuration.authorizers);
    if !errors.is_empty() {
        return Err(errors.iter().map(ToString::to_string).collect());
    }
    Ok(configuration.authorizers.into_iter().map(|a| a.kind).collect())
}

fn validate(authorizers: &[Authorizer]) -> ErrorList {
    let mut errors = ErrorList::new();
    let list = field::Path::new("authorizers");
    if authorizers.is_empty() {
        errors.push(Error::required(
            &list,
            "at least one authorization mode must be defined",
        ));
    }
    let mut known = super::config::MODES;
    known.sort_unstable();
    for (i, a) in authorizers.iter().enumerate() {
        let (path, before) = (list.index(i), &authorizers[..i]);
        let kind = a.kind.as_str();
        if kind.is_empty() {
            errors.push(Error::required(&path.child("type"), ""));
            continue;
        }
        if !known.contains(&kind) {
            errors.push(Error::not_supported(&path.child("type"), kind, &known));
            continue;
        }
        if kind != "Webhook" && before.iter().any(|b| b.kind == kind) {
            errors.push(Error::duplicate(&path.child("type"), kind));
            continue;
        }
        let wrong = is_dns1123_subdomain(&a.name);
        if a.name.is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else if before.iter().any(|b| b.name == a.name) {
            errors.push(Error::duplicate(&path.child("name"), a.name.as_str()));
        } else if !wrong.is_empty() {
            let why = format!("authorizer name is invalid: {}", wrong.join(", "));
            errors.push(Error::invalid(&path.child("name"), a.name.as_str(), why));
        }
        if kind == "Webhook" && a.webhook.is_none() {
            errors.push(Error::required(&path.child("webhook"), "required when type=Webhook"));
        } else if kind != "Webhook" && a.webhook.is_some() {
            let why = "may only be specified when type=Webhook";
            errors.push(Error::invalid(&path.child("webhook"), "non-null", why));
        }
    }
    errors
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(authorizers: Value) -> Result<Vec<String>, Vec<String>> {
        of(serde_json::from_value(json!({"authorizers": authorizers})).unwrap())
    }

    #[test]
    fn a_file_names_the_modes_in_order() {
        let two = json!([{"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}]);
        assert_eq!(read(two).unwrap(), ["Node", "RBAC"]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (authorizers, want) in [
            (
                json!([]),
                "authorizers: Required value: at least one authorization mode must be defined",
            ),
            (
                json!([{"type": "Foo", "name": "x"}]),
                "authorizers[0].type: Unsupported value: \"Foo\": supported values: \"ABAC\", \"AlwaysAllow\", \"AlwaysDeny\", \"Node\", \"RBAC\", \"Webhook\"",
            ),
            (
                json!([{"type": "Node", "name": "x"}, {"type": "Node", "name": "y"}]),
                "authorizers[1].type: Duplicate value: \"Node\"",
            ),
            (
                json!([{"type": "Node", "name": "x"}, {"type": "RBAC", "name": "x"}]),
                "authorizers[1].name: Duplicate value: \"x\"",
            ),
            (json!([{"type": "RBAC"}]), "authorizers[0].name: Required value"),
            (json!([{"name": "x"}]), "authorizers[0].type: Required value"),
            (
                json!([{"type": "RBAC", "name": "x", "webhook": {}}]),
                "authorizers[0].webhook: Invalid value: \"non-null\": may only be specified when type=Webhook",
            ),
        ] {
            let errors = read(authorizers).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with(want), "{want}: {errors:?}");
        }
    }
}
