//! The file of `--encryption-provider-config`, read strictly.
//!
//! Upstream: `apiserver/pkg/apis/apiserver/v1` `EncryptionConfiguration`, `encryptionconfig.loadConfig`.

mod validation;

use std::fmt;
use std::path::Path;

use apimachinery::field::{aggregate, quote};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use component::config_file;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

const VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";

/// Which resources are kept how; earlier lists come first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Configuration {
    #[serde(default)]
    pub(super) resources: Vec<Resources>,
}

/// Some resources and their providers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resources {
    #[serde(default)]
    pub(super) resources: Vec<String>,
    #[serde(default)]
    pub(super) providers: Vec<Provider>,
}

/// One provider: exactly one of the fields is set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) aesgcm: Option<Keys>,
    pub(super) aescbc: Option<Keys>,
    pub(super) secretbox: Option<Keys>,
    pub(super) identity: Option<Empty>,
    pub(super) kms: Option<Kms>,
}

/// No settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// Keys in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(default)]
    pub(super) keys: Vec<Key>,
}

/// A key with its name, which is stored beside what it protects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    #[serde(default)]
    pub(super) name: String,
    /// In base64.
    #[serde(default)]
    secret: Secret,
}

/// A plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kms {
    #[serde(default = "v1", rename = "apiVersion")]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) cachesize: Option<i32>,
    #[serde(default)]
    pub(super) endpoint: String,
    #[serde(default)]
    pub(super) timeout: Timeout,
}

fn v1() -> String {
    "v1".to_owned()
}

/// Nanoseconds, written as Go writes durations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeout(pub(super) i64);

impl Default for Timeout {
    fn default() -> Self {
        Timeout(3_000_000_000)
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = apimachinery::duration::parse(&text);
        parsed.map(Timeout).map_err(serde::de::Error::custom)
    }
}

/// A text that is never shown, and wiped when it goes.
#[derive(Default)]
struct Secret(Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Secret(text.into()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name: {}, Secret: [REDACTED]", self.name)
    }
}

impl Key {
    /// The key itself.
    ///
    /// # Errors
    /// It is not written in base64.
    pub(super) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let decoded = STANDARD.decode(self.secret.0.as_bytes());
        decoded.map(Zeroizing::new).map_err(|_| {
            format!(
                "could not obtain secret for named key {}: illegal base64 data",
                self.name
            )
        })
    }
}

/// What was read, and a hash of it: nobody need keep the keys to see whether they changed.
#[derive(Debug)]
pub(super) struct File {
    pub(super) configuration: Configuration,
    pub(super) hash: String,
}

/// Reads and checks a file. `reload`: it is read again when it changes.
///
/// # Errors
/// Upstream's texts, without a secret in them.
pub(super) fn load(path: &Path, reload: bool) -> Result<File, String> {
    let (bytes, hash) = content(path).map_err(|why| format!("error while loading file: {why}"))?;
    let configuration = parse(&bytes).map_err(|why| {
        let path = quote(&path.display().to_string());
        format!("error decoding encryption provider configuration file {path}: {why}")
    })?;
    match aggregate(&validation::validate(&configuration, reload)) {
        None => Ok(File { configuration, hash }),
        Some(wrong) => Err(wrong),
    }
}

/// The hash of a file as it is now.
///
/// # Errors
/// It cannot be read, or is empty.
pub(super) fn hash(path: &Path) -> Result<String, String> {
    content(path).map(|(_, hash)| hash)
}

fn content(path: &Path) -> Result<(Zeroizing<Vec<u8>>, String), String> {
    let name = path.display().to_string();
    let shown = quote(&name);
    let bytes = std::fs::read(path).map(Zeroizing::new).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        format!("error reading encryption provider configuration file {shown}: open {name}: {why}")
    })?;
    if bytes.is_empty() {
        return Err(format!("encryption provider configuration file {shown} is empty"));
    }
    let sum = digest::digest(&digest::SHA256, &bytes);
    Ok((bytes, format!("sha256:{}", super::hex(sum.as_ref()))))
}

fn parse(bytes: &[u8]) -> Result<Configuration, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    let mut value = config_file::parse(text).map_err(|why| match why.starts_with("yaml: unmarshal errors:") {
        // A field that is given twice.
        true => format!("strict decoding error: {why}"),
        false => why,
    })?;
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (field("apiVersion"), field("kind"));
    if kind.is_empty() {
        // Upstream shows the whole file here, keys and all.
        return Err("Object 'Kind' is missing".to_owned());
    }
    if version.is_empty() {
        return Err("Object 'apiVersion' is missing".to_owned());
    }
    if (version, kind) != (VERSION, KIND) {
        return Err(format!("no kind {kind:?} is registered for version {version:?}"));
    }
    let mut unknown = vec![];
    FILE.unknown(&value, "", &mut unknown);
    if !unknown.is_empty() {
        return Err(format!("strict decoding error: {}", unknown.join(", ")));
    }
    without_nulls(&mut value);
    crate::config_file::content(value).map_err(|why| match why.strip_prefix("strict decoding error: time: ") {
        Some(why) => format!("time: {why}"),
        None => without_texts(&why),
    })
}

/// The fields of an object; those of its parts, or of the items of its lists.
struct Shape(&'static [(&'static str, Shape)]);

const LEAF: Shape = Shape(&[]);
const KEYS: Shape = Shape(&[("keys", Shape(&[("name", LEAF), ("secret", LEAF)]))]);
const KMS: Shape = Shape(&[
    ("apiVersion", LEAF),
    ("name", LEAF),
    ("cachesize", LEAF),
    ("endpoint", LEAF),
    ("timeout", LEAF),
]);
const PROVIDER: Shape = Shape(&[
    ("aesgcm", KEYS),
    ("aescbc", KEYS),
    ("secretbox", KEYS),
    ("identity", LEAF),
    ("kms", KMS),
]);
const LIST: Shape = Shape(&[("resources", LEAF), ("providers", PROVIDER)]);
const FILE: Shape = Shape(&[("apiVersion", LEAF), ("kind", LEAF), ("resources", LIST)]);

impl Shape {
    /// Fields that are none, with their paths: serde tells one, without.
    fn unknown(&self, value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.unknown(item, &format!("{path}[{i}]"), found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    match self.0.iter().find(|(known, _)| known == name) {
                        Some((_, shape)) => shape.unknown(field, &path, found),
                        None => found.push(format!("unknown field {}", quote(&path))),
                    }
                }
            }
            _ => {}
        }
    }
}

/// A field that is null is one that is not there.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// serde shows the text that stands where something else should: here it may be a key.
fn without_texts(why: &str) -> String {
    let (Some(begin), Some(end)) = (why.find("type: string \""), why.rfind("\", expected")) else {
        return why.to_owned();
    };
    format!("{}type: string{}", &why[..begin], &why[end + 1..])
}

#[cfg(test)]
mod tests;
