//! `--authentication-config`: who may ask without credentials. JWT authenticators are not part of this build.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/validation` `ValidateAuthenticationConfiguration`.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::Anonymous;
use crate::config_file;

const KIND: &str = "AuthenticationConfiguration";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
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
    let configuration = config_file::read(path, KIND).map_err(|why| {
        let path = path.display().to_string();
        vec![format!(
            "failed to load authentication configuration from file {path:?}: {why}"
        )]
    })?;
    of(configuration)
}

fn of(configuration: Configuration) -> Result<Option<Anonymous>, Vec<String>> {
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

    fn read(content: Value) -> Result<Option<Anonymous>, Vec<String>> {
        of(serde_json::from_value(content).unwrap())
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
