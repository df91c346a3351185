//! `--authorization-config`: the chain of authorizers from a file.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/validation` `ValidateAuthorizationConfiguration`.

use std::path::Path;

use apimachinery::field::{self, Error, ErrorList};
use apimachinery::validation::is_dns1123_subdomain;
use serde::Deserialize;
use serde_json::Value;

const KIND: &str = "AuthorizationConfiguration";
const VERSIONS: [&str; 3] = [
    "apiserver.config.k8s.io/v1",
    "apiserver.config.k8s.io/v1beta1",
    "apiserver.config.k8s.io/v1alpha1",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configuration {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
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
    let value = component::config_file::load_any(&path.display().to_string(), &VERSIONS, KIND);
    parse(value.map_err(|e| vec![e.to_string()])?)
}

fn parse(value: Value) -> Result<Vec<String>, Vec<String>> {
    let configuration: Configuration = component::config_file::decode_strict(value).map_err(|e| vec![e])?;
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
        parse(json!({"apiVersion": VERSIONS[0], "kind": KIND, "authorizers": authorizers}))
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
            (
                json!([{"type": "RBAC", "name": "x", "more": 1}]),
                "strict decoding error: unknown field \"more\"",
            ),
        ] {
            let errors = read(authorizers).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with(want), "{want}: {errors:?}");
        }
    }
}
