//! `--authentication-config`: who may ask without credentials. JWT authenticators are not part of this build.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/validation` `ValidateAuthenticationConfiguration`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::Anonymous;

const KIND: &str = "AuthenticationConfiguration";
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
    jwt: Vec<Value>,
    anonymous: Option<AnonymousConfiguration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnonymousConfiguration {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    path: String,
}

/// What a file says of anonymous requests, if anything. The errors are upstream's.
pub(crate) fn anonymous(path: &Path) -> Result<Option<Anonymous>, Vec<String>> {
    let path = path.display().to_string();
    let value = component::config_file::load_any(&path, &VERSIONS, KIND);
    let value = value.map_err(|e| {
        vec![format!(
            "failed to load authentication configuration from file {path:?}: {e}"
        )]
    })?;
    parse(value)
}

fn parse(value: Value) -> Result<Option<Anonymous>, Vec<String>> {
    let configuration: Configuration = component::config_file::decode_strict(value).map_err(|e| vec![e])?;
    if !configuration.jwt.is_empty() {
        return Err(vec![
            "jwt: JWT authenticators are not supported by this build".to_owned(),
        ]);
    }
    let Some(anonymous) = configuration.anonymous else {
        return Ok(None);
    };
    let paths: Vec<String> = anonymous.conditions.into_iter().map(|c| c.path).collect();
    if !anonymous.enabled && !paths.is_empty() {
        let shown: Vec<String> = paths.iter().map(|p| format!("{{\"Path\":{p:?}}}")).collect();
        return Err(vec![format!(
            "anonymous.conditions: Invalid value: [{}]: enabled should be set to true when conditions are defined",
            shown.join(",")
        )]);
    }
    Ok(Some(Anonymous {
        enabled: anonymous.enabled,
        paths,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mut rest: Value) -> Result<Option<Anonymous>, Vec<String>> {
        rest["apiVersion"] = VERSIONS[0].into();
        rest["kind"] = KIND.into();
        parse(rest)
    }

    #[test]
    fn a_file_may_let_strangers_in_to_some_paths() {
        assert_eq!(read(json!({})).unwrap(), None);
        let some = read(json!({"anonymous": {"enabled": true, "conditions": [{"path": "/livez"}]}}));
        let some = some.unwrap().unwrap();
        assert!(some.admits("/livez") && !some.admits("/livez/ping") && !some.admits("/"));
        let none = read(json!({"anonymous": {"enabled": false}})).unwrap().unwrap();
        assert!(!none.admits("/livez"));
        let e = read(json!({"anonymous": {"conditions": [{"path": "/livez"}]}})).unwrap_err();
        let want = "anonymous.conditions: Invalid value: [{\"Path\":\"/livez\"}]: enabled should be set to true when conditions are defined";
        assert_eq!(e, [want]);
        assert!(read(json!({"jwt": [{}]})).unwrap_err()[0].contains("not supported"));
    }
}
