//! `--admission-control-config-file`: what an administrator says to single plugins.
//!
//! Upstream: `apiserver/pkg/admission/config.go` `ReadAdmissionConfiguration`. As there, what the file says about a
//! plugin that is not enabled, or that no plugin has the name of, is not looked at.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;

use component::config_file;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config_file::content;

/// Version and kind of a document.
pub(super) type Kind = (&'static str, &'static str);

const KINDS: [Kind; 2] = [
    ("apiserver.config.k8s.io/v1", "AdmissionConfiguration"),
    ("apiserver.k8s.io/v1alpha1", "AdmissionConfiguration"),
];
/// Plugins whose own configuration may stand in the file's place, with the key that tells it.
const WHOLE_FILE: [(&str, &str); 2] = [
    ("ImagePolicyWebhook", "imagePolicy"),
    ("PodNodeSelector", "podNodeSelectorPluginConfig"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    plugins: Option<Vec<Plugin>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugin {
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
    configuration: Option<Value>,
}

/// The configurations of the enabled plugins that have one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Configurations(Vec<(String, Value)>);

impl Configurations {
    /// What a plugin is told: a document with a kind of its own.
    pub(crate) fn of(&self, plugin: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == plugin).map(|(_, value)| value)
    }

    /// What a plugin is told, which has to be of one of its kinds; nothing if it is told nothing.
    ///
    /// # Errors
    /// Another kind, or fields that `T` does not take, in upstream's words.
    pub(super) fn decode<T: DeserializeOwned + Default>(&self, plugin: &str, kinds: &[Kind]) -> Result<T, String> {
        let Some(value) = self.of(plugin) else {
            return Ok(T::default());
        };
        is_one_of(value, kinds)?;
        content(value.clone())
    }

    /// What a test tells one plugin.
    #[cfg(test)]
    pub(crate) fn telling(plugin: &str, value: Value) -> Self {
        Configurations(vec![(plugin.to_owned(), value)])
    }

    /// Reads the file, and the files that it names.
    ///
    /// # Errors
    /// A file that cannot be read or has another shape, in upstream's words.
    pub(crate) fn read(path: &Path, enabled: &[&str]) -> Result<Self, String> {
        let failed = |why: &dyn Display| format!("failed to read plugin config: {why}");
        let text = read(path).map_err(|why| {
            failed(&format!(
                "unable to read admission control configuration from {:?} [{why}]",
                path.display().to_string()
            ))
        })?;
        let value = config_file::parse(&text).map_err(|e| failed(&e))?;
        if let Err(why) = is_one_of(&value, &KINDS) {
            let legacy = WHOLE_FILE.iter().any(|(_, key)| value.get(key).is_some());
            if !legacy {
                return Err(failed(&why));
            }
            let told = WHOLE_FILE.iter().filter(|(name, _)| enabled.contains(name));
            return Ok(Configurations(
                told.map(|(name, _)| ((*name).to_owned(), value.clone())).collect(),
            ));
        }
        let file: File = content(value).map_err(|e| failed(&e))?;
        let mut all = Configurations::default();
        let mut seen = BTreeSet::new();
        for plugin in file.plugins.unwrap_or_default() {
            // The first of a name counts, also if it says nothing.
            if !enabled.contains(&plugin.name.as_str()) || !seen.insert(plugin.name.clone()) {
                continue;
            }
            let value = match plugin.configuration {
                Some(value) if !value.is_null() => value,
                _ if plugin.path.is_empty() => continue,
                _ => {
                    let path = path.parent().unwrap_or(Path::new("")).join(&plugin.path);
                    let text = read(&path).map_err(|why| {
                        let path = path.display();
                        format!("Couldn't open admission plugin configuration {path}: {why}")
                    })?;
                    config_file::parse(&text).map_err(|e| format!("{}: {e}", path.display()))?
                }
            };
            all.0.push((plugin.name, value));
        }
        Ok(all)
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        format!("open {}: {why}", path.display())
    })
}

/// Says in Go's words what is wrong with a document of no such kind (`runtime.NewMissing*Err`, `NewNotRegisteredErr`).
fn is_one_of(document: &Value, kinds: &[Kind]) -> Result<(), String> {
    let field = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (field("apiVersion"), field("kind"));
    if kinds.contains(&(api_version, kind)) {
        return Ok(());
    }
    Err(if kind.is_empty() {
        "Object 'Kind' is missing".to_owned()
    } else if api_version.is_empty() {
        "Object 'apiVersion' is missing".to_owned()
    } else {
        format!("no kind {kind:?} is registered for version {api_version:?} in scheme")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    const ENABLED: [&str; 3] = ["PodNodeSelector", "PodSecurity", "LimitRanger"];

    fn given(text: &str) -> (tempfile::TempDir, Result<Configurations, String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("selector.yaml"),
            "podNodeSelectorPluginConfig: {a: b}\n",
        )
        .unwrap();
        let path = dir.path().join("admission.yaml");
        std::fs::write(&path, text).unwrap();
        let read = Configurations::read(&path, &ENABLED);
        (dir, read)
    }

    #[test]
    fn each_enabled_plugin_gets_what_is_nested_or_in_a_file_beside() {
        let (_dir, all) = given(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n\
             - {name: PodSecurity, configuration: {kind: PodSecurityConfiguration}}\n\
             - {name: PodSecurity, configuration: {kind: Second}}\n\
             - {name: PodNodeSelector, path: selector.yaml}\n\
             - {name: LimitRanger}\n\
             - {name: LimitRanger, configuration: {kind: Second}}\n\
             - {name: EventRateLimit, path: not-there.yaml}\n\
             - {name: Nobody, configuration: {}}\n",
        );
        let all = all.unwrap();
        assert_eq!(
            all.of("PodSecurity"),
            Some(&json!({"kind": "PodSecurityConfiguration"}))
        );
        assert_eq!(
            all.of("PodNodeSelector"),
            Some(&json!({"podNodeSelectorPluginConfig": {"a": "b"}}))
        );
        for none in ["LimitRanger", "EventRateLimit", "Nobody"] {
            assert_eq!(all.of(none), None, "{none}");
        }
        assert_eq!(
            given("apiVersion: apiserver.k8s.io/v1alpha1\nkind: AdmissionConfiguration\n").1,
            Ok(Configurations::default())
        );
    }

    #[test]
    fn a_file_may_be_the_configuration_of_one_plugin_itself() {
        let (_dir, all) = given("podNodeSelectorPluginConfig: {a: b}\n");
        assert_eq!(
            all.unwrap().of("PodNodeSelector"),
            Some(&json!({"podNodeSelectorPluginConfig": {"a": "b"}}))
        );
        let (_dir, all) = given("imagePolicy: {}\n");
        assert_eq!(all.unwrap().of("ImagePolicyWebhook"), None, "it is not enabled");
    }

    #[test]
    fn other_files_are_refused() {
        let ours = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n";
        for (text, want) in [
            (String::new(), "failed to read plugin config: Object 'Kind' is missing"),
            (
                "kind: AdmissionConfiguration".to_owned(),
                "failed to read plugin config: Object 'apiVersion' is missing",
            ),
            (
                "apiVersion: v1\nkind: Pod".to_owned(),
                "failed to read plugin config: no kind \"Pod\" is registered for version \"v1\" in scheme",
            ),
            (
                format!("{ours}more: 1\n"),
                "failed to read plugin config: strict decoding error: unknown field \"more\"",
            ),
            (
                format!("{ours}plugins: [{{name: PodSecurity, path: gone.yaml}}]\n"),
                "Couldn't open admission plugin configuration ",
            ),
        ] {
            let error = given(&text).1.unwrap_err();
            assert!(error.starts_with(want), "{text}: {error}");
        }
        let error = Configurations::read(Path::new("/nowhere/x"), &ENABLED).unwrap_err();
        assert_eq!(
            error,
            "failed to read plugin config: unable to read admission control configuration from \"/nowhere/x\" [open /nowhere/x: no such file or directory]"
        );
    }
}
