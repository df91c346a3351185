//! Configuration files of the API server's own group, strictly read.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/{v1,v1beta1,v1alpha1}`.

use std::path::Path;

use component::config_file;
use serde::de::DeserializeOwned;
use serde_json::Value;

const VERSIONS: [&str; 3] = [
    "apiserver.config.k8s.io/v1",
    "apiserver.config.k8s.io/v1beta1",
    "apiserver.config.k8s.io/v1alpha1",
];

/// The file's content as `T`, which has the fields of all its versions and denies others. The error is upstream's text
/// without a word of what the file is for.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<T, String> {
    let value = config_file::load_any(&path.display().to_string(), &VERSIONS, kind);
    content(value.map_err(|error| error.to_string())?)
}

/// A document as `T`, whose `apiVersion` and `kind` have been looked at.
pub(crate) fn content<T: DeserializeOwned>(mut value: Value) -> Result<T, String> {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| name != "apiVersion" && name != "kind");
    }
    config_file::decode_strict(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        a: i64,
    }

    #[test]
    fn a_file_of_any_version_is_read_and_one_of_another_kind_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            super::read::<Small>(file.path(), "Small")
        };
        for version in VERSIONS {
            assert_eq!(
                read(&format!("apiVersion: {version}\nkind: Small\na: 1\n")),
                Ok(Small { a: 1 })
            );
        }
        for (text, why) in [
            (
                "apiVersion: v1\nkind: Small\na: 1\n",
                "no kind \"Small\" is registered for version \"v1\"",
            ),
            (
                "apiVersion: apiserver.config.k8s.io/v1\nkind: Small\na: 1\nb: 2\n",
                "strict decoding error: unknown field \"b\"",
            ),
            ("a: 1\n", "Object 'Kind' is missing"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
